//! The cgroup of a task, made ready for it.

use super::error::LaunchError;
use crate::policy::cgroup;
use crate::policy::limits::CgroupWrite;
use crate::policy::text::keyed;
use crate::sys::cgroup::Cgroup;
use rustix::io::Errno;
use std::time::Duration;

/// How long the processes of a forgotten task may take to die.
const VACATE: Duration = Duration::from_secs(10);

/// Opens it, empties it and writes its limits.
pub(super) fn prepare(spec: &cgroup::Cgroup) -> Result<Cgroup, LaunchError> {
    let cgroup = Cgroup::open(&spec.path)?;
    vacate(&cgroup, spec.is_tasks_own)?;
    limit(&cgroup, &spec.writes)?;
    Ok(cgroup)
}

/// What is in a task's own cgroup was started by a plugin that died before anybody heard of it. Another's is left as it is.
fn vacate(cgroup: &Cgroup, is_tasks_own: bool) -> Result<(), LaunchError> {
    let found = cgroup.state()?;
    if !found.populated && !found.frozen {
        return Ok(());
    }
    if !is_tasks_own || keyed(&cgroup.read("cgroup.stat")?, "nr_descendants") != Some(0) {
        let what = if found.populated { "holds processes" } else { "is frozen" };
        let reason = format!("{} {what}, and is no cgroup that Nomad makes for this task alone", cgroup.path().display());
        return Err(LaunchError::refused("cgroup", reason));
    }
    if found.frozen {
        // By a plugin that died while it killed what is in it. Whatever is cloned there would stand still.
        cgroup.write("cgroup.freeze", "0")?;
    }
    if !found.populated {
        return Ok(());
    }
    log::warn!("{} holds processes that no plugin knows: killing them", cgroup.path().display());
    cgroup.kill()?;
    match cgroup.wait_empty(VACATE)? {
        true => Ok(()),
        false => Err(LaunchError::refused("cgroup", format!("{} holds processes that do not die of SIGKILL", cgroup.path().display()))),
    }
}

/// A controller that is not there is an error only where somebody asked for what it does.
fn limit(cgroup: &Cgroup, writes: &[CgroupWrite]) -> Result<(), LaunchError> {
    for CgroupWrite { file, value, option } in writes {
        match (cgroup.write(file, value), option) {
            (Err(e), None) if e.is(Errno::NOENT) => {}
            (Err(e), Some(option)) if e.is(Errno::NOENT) => {
                let reason = format!("{file} can't be set to {}: the cgroup has no such file (controller not enabled)", value.trim());
                return Err(LaunchError::refused(*option, reason));
            }
            (other, _) => other?,
        }
    }
    Ok(())
}
