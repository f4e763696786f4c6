//! The end of a task that no namespace ends.

use crate::error::Result;
use crate::policy::text::pids;
use crate::sys::cgroup::Cgroup;
use crate::watch::cgroup::wait_empty;
use crate::watch::pidfd;
use rustix::process::{Signal, pidfd_send_signal};
use std::time::Duration;

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
