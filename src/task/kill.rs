//! The end of processes that no namespace's end ends: of a task without a pid namespace, and of what a dead plugin left.

use crate::error::Result;
use crate::launch_error::LaunchError;
use crate::policy;
use crate::policy::namespace::NamespaceMode;
use crate::policy::text::{keyed, pids};
use crate::sys::cgroup::Cgroup;
use crate::watch::cgroup::{state, wait_empty};
use crate::watch::pidfd;
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
        match wait_empty(cgroup, limit) {
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
            NamespaceMode::Private => kill_all(cgroup),
            NamespaceMode::Host => kill_each(cgroup),
        };
        if let Err(e) = killed {
            log::warn!(task_id = id; "{e}");
        }
    }
}

/// How long the processes of a forgotten task may take to die.
const VACATE: Duration = Duration::from_secs(10);

/// Before a launch: what is in the task's own cgroup was started by a plugin that died before anybody heard of it.
/// Another's is left as it is.
pub(super) fn vacate(spec: &policy::cgroup::Cgroup) -> std::result::Result<(), LaunchError> {
    let (path, cgroup) = (&spec.path, Cgroup::open(&spec.path)?);
    let found = state(&cgroup)?;
    if !found.populated && !found.frozen {
        return Ok(());
    }
    if !spec.is_tasks_own || keyed(&cgroup.read("cgroup.stat")?, "nr_descendants") != Some(0) {
        let what = if found.populated { "holds processes" } else { "is frozen" };
        let reason = format!("{} {what}, and is no cgroup that Nomad makes for this task alone", path.display());
        return Err(LaunchError::refused("cgroup", reason));
    }
    if found.frozen {
        // By a plugin that died while it killed what is in it. Whatever is cloned there would stand still.
        cgroup.write("cgroup.freeze", "0")?;
    }
    if !found.populated {
        return Ok(());
    }
    log::warn!("{} holds processes that no plugin knows: killing them", path.display());
    kill_all(&cgroup)?;
    match wait_empty(&cgroup, VACATE)? {
        true => Ok(()),
        false => Err(LaunchError::refused("cgroup", format!("{} holds processes that do not die of SIGKILL", path.display()))),
    }
}

/// SIGKILL for every process at once. Only for what is left when a task's init is gone: several kernels (seen: 6.1.0-50 of Debian, 6.12.107,
/// 6.18; not 7.3) compare a clone into the cgroup with the kill count of the *parent's* cgroup, so that every later CLONE_INTO_CGROUP here
/// makes a child that is killed at birth.
pub fn kill_all(cgroup: &Cgroup) -> Result<()> {
    cgroup.write("cgroup.kill", "1")
}

/// SIGKILL for each process, frozen meanwhile so that none can fork. For a task without a pid namespace, which its init's end does not
/// end; it does not do to later clones what [`kill_all`] does. Waits for a second at most; what has not died by then can't.
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
        if wait_empty(cgroup, Duration::from_millis(10))? {
            break;
        }
    }
    Ok(())
}
