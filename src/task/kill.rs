//! The end of processes that no namespace's end ends: of a task without a pid namespace, and of what a dead plugin left.

use crate::error::Result;
use crate::launch::LaunchError;
use crate::policy::text::pids;
use crate::sys::cgroup::Cgroup;
use crate::watch::cgroup::{state, wait_empty};
use crate::watch::pidfd;
use rustix::process::{Signal, pidfd_send_signal};
use std::path::Path;
use std::time::Duration;

/// How long the processes of a forgotten task may take to die.
const VACATE: Duration = Duration::from_secs(10);

/// Before a launch: the cgroup at `path` is this task's alone. What is in it was started by a plugin that died before anybody heard of it.
pub(super) fn vacate(path: &Path) -> std::result::Result<(), LaunchError> {
    let cgroup = Cgroup::open(path)?;
    let found = state(&cgroup)?;
    if found.frozen {
        // By a plugin that died while it killed what is in it. Whatever is cloned there would stand still.
        cgroup.write("cgroup.freeze", "0")?;
    }
    if !found.populated {
        return Ok(());
    }
    log::warn!("{} holds processes that no plugin knows: killing them", path.display());
    cgroup.kill()?;
    match wait_empty(&cgroup, VACATE)? {
        true => Ok(()),
        false => Err(LaunchError::refused("cgroup", format!("{} holds processes that do not die of SIGKILL", path.display()))),
    }
}

/// SIGKILL for each process, frozen meanwhile so that none can fork. For a task without a pid namespace, which its init's end does not
/// end; it does not do to later clones what [`Cgroup::kill`] does. Waits for a second at most; what has not died by then can't.
pub(super) fn kill_each(cgroup: &Cgroup) -> Result<()> {
    cgroup.write("cgroup.freeze", "1")?;
    let killed = kill_listed(cgroup);
    cgroup.write("cgroup.freeze", "0")?;
    killed
}

fn kill_listed(cgroup: &Cgroup) -> Result<()> {
    let list = || -> Result<Vec<u32>> { Ok(pids(&cgroup.read("cgroup.procs")?).collect()) };
    for _ in 0..100 {
        for some in list()?.chunks(64) {
            let opened = some.iter().filter_map(|pid| Some((*pid, pidfd::open(*pid).ok()?)));
            let opened: Vec<_> = opened.collect();
            // A pid that is still listed is not another's by now.
            let still = list()?;
            for (_, pidfd) in opened.iter().filter(|(pid, _)| still.contains(pid)) {
                // ESRCH: it has died.
                let _ = pidfd_send_signal(pidfd, Signal::KILL);
            }
        }
        if wait_empty(cgroup, Duration::from_millis(10))? {
            break;
        }
    }
    Ok(())
}
