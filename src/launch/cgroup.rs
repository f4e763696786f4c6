//! The cgroup of a task, made ready for it.

use crate::launch_error::LaunchError;
use crate::policy::cgroup;
use crate::policy::limits::CgroupWrite;
use crate::sys::cgroup::Cgroup;
use rustix::io::Errno;

/// Opens it and writes its limits. A controller that is not there is an error only where somebody asked for what it does.
pub(super) fn prepare(spec: &cgroup::Cgroup) -> Result<Cgroup, LaunchError> {
    let cgroup = Cgroup::open(&spec.path)?;
    for CgroupWrite { file, value, option } in &spec.writes {
        match (cgroup.write(file, value), option) {
            (Err(e), None) if e.is(Errno::NOENT) => {}
            (Err(e), Some(option)) if e.is(Errno::NOENT) => {
                let reason = format!("{file} can't be set to {}: the cgroup has no such file (controller not enabled)", value.trim());
                return Err(LaunchError::refused(*option, reason));
            }
            (other, _) => other?,
        }
    }
    Ok(cgroup)
}
