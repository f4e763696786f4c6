//! What a task sees of its allocation's directories.

use super::allocation::Allocation;
use super::mount::Copy;
use std::path::PathBuf;

/// One of them, opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The task's own directory.
    Task,
    /// What all tasks of the allocation share.
    Shared,
    Logs,
    Secrets,
}

/// What is attached where, in this order: its own directory, and the shared one under both of its names, with the logs read-only in both. What the
/// client mounts below them for other tasks, now or later, would show the same inodes writable, and is left out. Nor does either receive
/// anything: one slave for each task would have the host's every mount look at all of them.
///
/// `is_original`: the client has mounted nothing below the task's directory, whose own mounts are not all for the task.
pub fn views(allocation: &Allocation, is_original: bool) -> Vec<(Part, Copy, PathBuf)> {
    let (task, shared) = (allocation.task_dir(), allocation.alloc_dir().join("alloc"));
    let own = match is_original {
        false => vec![(Part::Task, Copy::CLOSED, task.to_path_buf())],
        true => vec![
            (Part::Task, Copy::alone(false), task.to_path_buf()),
            (Part::Shared, Copy::alone(false), task.join("alloc")),
            (Part::Secrets, Copy::alone(false), task.join("secrets")),
        ],
    };
    let others = [
        (Part::Logs, Copy::alone(true), task.join("alloc/logs")),
        (Part::Shared, Copy::alone(false), shared.clone()),
        (Part::Logs, Copy::alone(true), shared.join("logs")),
    ];
    own.into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn logs_are_read_only_wherever_they_are_seen() {
        let allocation = Allocation::new(["/a/x", "/m/x-web"].map(Path::new)).unwrap();
        for is_original in [false, true] {
            let views = views(&allocation, is_original);
            let logs: Vec<_> =
                views.iter().filter(|(part, ..)| *part == Part::Logs).map(|(_, how, at)| (how.is_read_only, at.clone())).collect();
            assert_eq!(logs, [(true, "/m/x-web/alloc/logs".into()), (true, "/a/x/alloc/logs".into())]);
            // Each behind what it is in.
            let at = |path: &str| views.iter().position(|(.., at)| at == Path::new(path));
            assert!(at("/m/x-web") < at("/m/x-web/alloc/logs") && at("/m/x-web/alloc") < at("/m/x-web/alloc/logs"));
            assert!(at("/a/x/alloc") < at("/a/x/alloc/logs"));
            assert_eq!(at("/m/x-web/secrets").is_some(), is_original);
        }
    }
}
