//! The Landlock ruleset of a task, from what it is granted.

use super::held::Held;
use crate::error::At;
use crate::launch_error::LaunchError;
use crate::policy::abi::Abi;
use crate::policy::access::{Mode, PathKind, rights, ruleset_attr};
use crate::policy::allocation::Allocation;
use crate::policy::filter::Instruction;
use crate::policy::grant::Grant;
use crate::policy::granted::Granted;
use crate::policy::identity::Identity;
use crate::policy::port::Ports;
use crate::policy::untrusted::Untrusted;
use crate::sys::landlock;
use crate::sys::path;
use rustix::fs::fstat;
use rustix::io::Errno;
use std::os::fd::{AsFd, RawFd};
use std::path::Path;
use std::sync::Arc;

/// What the child enforces on itself.
#[derive(Clone, Debug)]
pub struct Rules {
    pub ruleset: RawFd,
    /// Of landlock_restrict_self(2).
    pub flags: u32,
    /// Rights on the task's own /proc, which exists only in the child: a rule opened in the plugin would name the host's.
    pub proc_access: u64,
    /// The same on the message queues of its own ipc namespace.
    pub queue_access: u64,
    /// The system call filter; empty: there is none.
    pub filter: Arc<[Instruction]>,
}

/// The ruleset under construction, with what decides how paths are opened.
pub(super) struct Ruleset {
    kernel: landlock::Ruleset,
    abi: Abi,
    own_proc: bool,
    pub untrusted: Untrusted,
    pub granted: Vec<Granted>,
}

impl Ruleset {
    /// All rights that the ABI knows are handled, its scopes too. Network rights only where ports are named.
    pub fn empty(abi: Abi, ports: &Ports, own_proc: bool, untrusted: Untrusted) -> Result<Ruleset, LaunchError> {
        let kernel = landlock::Ruleset::new(&ruleset_attr(abi, ports.handled()))?;
        for (port, access) in ports.allowed() {
            kernel.allow_port(port, access).at_path("landlock_add_rule TCP port", port.to_string())?;
        }
        Ok(Ruleset { kernel, abi, own_proc, untrusted, granted: Vec::new() })
    }

    /// Opens what is granted and allows it. What is in another allocation is not there for this task.
    pub fn grant(&mut self, grants: &[Grant], allocation: Option<&Allocation>) -> Result<(), LaunchError> {
        for grant in grants {
            let Grant { mode, path, option, required } = grant;
            if allocation.is_some_and(|allocation| allocation.hides(path)) {
                if *required {
                    let reason = format!("{} is in the client's directory of allocations, of which a task sees its own", path.display());
                    return Err(LaunchError::refused(*option, reason));
                }
                continue;
            }
            let unveil = |errno| LaunchError::of_unveil(option, *mode, path, errno);
            let (file, way) = match path::find(path, &self.untrusted) {
                Err(Errno::NOENT | Errno::NOTDIR) if !required => continue,
                other => other.map_err(unveil)?,
            };
            let stat = fstat(&file).map_err(unveil)?;
            let granted = Granted::new(grant, way, Identity::from(stat), stat.st_mode);
            for kind in granted.kinds(self.own_proc) {
                self.add(&file, kind, *mode, path)?;
            }
            self.granted.push(granted);
        }
        Ok(())
    }

    pub fn add(&self, file: impl AsFd, kind: PathKind, mode: Mode, path: &Path) -> Result<(), LaunchError> {
        let access = rights(mode, kind, self.abi);
        // A mode that means nothing on this kind of path (c on a file) makes no rule: the kernel refuses empty ones.
        if access.is_empty() {
            return Ok(());
        }
        Ok(self.kernel.allow(file.as_fd(), access.0).at_path("landlock_add_rule", path)?)
    }

    /// Nothing is added any more, but what the child adds.
    pub fn finish(self, flags: u32, filter: Arc<[Instruction]>, held: &mut Held) -> Result<Rules, LaunchError> {
        let access = |mode| rights(mode, PathKind::Directory, self.abi).0;
        let (proc_access, queue_access) = (access(Mode::R), access(Mode::RWC));
        Ok(Rules { ruleset: held.hold(self.kernel.0)?, flags, proc_access, queue_access, filter })
    }
}
