//! The end of a task that no namespace ends.

use crate::policy::namespace::NamespaceMode;
use crate::policy::text::pids;
use crate::sys::cgroup::Cgroup;
use crate::watch::{Result, pidfd};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use std::time::Duration;

/// How long the kernel may take to clear the cgroup once init is gone, before what is left is killed.
const SETTLE: Duration = Duration::from_millis(20);
/// How long to wait before a cgroup that can't be read is looked at again.
const RETRY: Duration = Duration::from_secs(1);
/// How often a cgroup that does not empty (a process that can't be killed) is said to be so.
const REMIND: Duration = Duration::from_secs(10);

/// Waits until nothing is left in the cgroup of a task whose init is gone, and ends what its end did not.
pub(super) fn clear(id: &str, cgroup: &Cgroup, pid_mode: NamespaceMode) {
    let mut limit = if pid_mode == NamespaceMode::Host { Duration::ZERO } else { SETTLE };
    loop {
        match cgroup.wait_empty(limit) {
            Ok(true) => return,
            Ok(false) if limit < REMIND => limit = REMIND,
            Ok(false) => log::warn!(task_id = id; "processes in {} have not died of SIGKILL yet", cgroup.path().display()),
            // It can't be told at the moment.
            Err(e) if matches!(e.errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => {
                log::warn!(task_id = id; "{e}");
                std::thread::sleep(RETRY);
                continue;
            }
            // The client has removed the cgroup, so nothing was in it.
            Err(_) => return,
        }
        let killed = match pid_mode {
            NamespaceMode::Private => cgroup.kill(),
            NamespaceMode::Host => kill_each(cgroup),
        };
        if let Err(e) = killed {
            log::warn!(task_id = id; "{e}");
        }
    }
}

/// SIGKILL for each process, frozen meanwhile so that none can fork. For a task without a pid namespace, which its init's end does not
/// end; it does not do to later clones what [`Cgroup::kill`] does. Waits for a second at most; what has not died by then can't.
fn kill_each(cgroup: &Cgroup) -> Result<()> {
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
        if cgroup.wait_empty(Duration::from_millis(10))? {
            break;
        }
    }
    Ok(())
}
