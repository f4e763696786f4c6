//! The Landlock ruleset of a task, from what it is granted.

use super::error::LaunchError;
use super::held::Held;
use super::launcher::Launcher;
use crate::error::At;
use crate::policy::abi::Abi;
use crate::policy::access::{Mode, PathKind, rights, ruleset_attr};
use crate::policy::allocation::Allocation;
use crate::policy::filter::{Instruction, Subject};
use crate::policy::grant::Grant;
use crate::policy::namespace::NamespaceMode;
use crate::policy::spec::TaskSpec;
use crate::sys;
use crate::sys::landlock::LOG_NEW_EXEC_ON;
use crate::sys::path::{self, Found, Identity, Untrusted};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd, RawFd};
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
    /// The system call filter; empty: there is none.
    pub filter: Arc<[Instruction]>,
}

/// The ruleset under construction, with what decides how paths are opened.
pub(super) struct Ruleset {
    kernel: sys::landlock::Ruleset,
    abi: Abi,
    flags: u32,
    own_proc: bool,
    pub untrusted: Untrusted,
    pub granted: Vec<Granted>,
}

/// A path that was granted, opened.
pub(super) struct Granted {
    pub found: Found,
    pub identity: Identity,
    pub kind: PathKind,
    /// A file or directory that may be written, for which its mount must be writable.
    pub is_writable: bool,
    /// Where it is written.
    pub option: &'static str,
}

impl Ruleset {
    /// All rights that the ABI knows are handled, its scopes too. Network rights only where ports are named.
    pub fn new(spec: &TaskSpec) -> Result<Ruleset, LaunchError> {
        let rules = &spec.rules;
        let kernel = sys::landlock::Ruleset::new(&ruleset_attr(rules.abi, rules.ports.handled()))?;
        for (port, access) in rules.ports.allowed() {
            kernel.allow_port(port, access).at_path("landlock_add_rule TCP port", port.to_string())?;
        }
        Ok(Ruleset {
            kernel,
            abi: rules.abi,
            // Without a flag the kernel logs what is denied before an exec alone: nothing here.
            flags: if rules.denial_events { LOG_NEW_EXEC_ON } else { 0 },
            own_proc: spec.namespaces.pid == NamespaceMode::Private,
            untrusted: Untrusted { uid: spec.privileges.identity.uid, trees: writable(spec)? },
            granted: Vec::new(),
        })
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
            let unveil = |errno| LaunchError::Unveil { option, mode: mode.to_string(), path: path.clone(), errno };
            let found = match path::find(path, &self.untrusted) {
                Err(Errno::NOENT | Errno::NOTDIR) if !required => continue,
                other => other.map_err(unveil)?,
            };
            let stat = fstat(&found.file).map_err(unveil)?;
            let (file_type, identity) = (FileType::from_raw_mode(stat.st_mode), Identity::from(stat));
            let kind = PathKind::of(stat.st_mode);
            // The host's /proc may be mounted elsewhere too, and the task's own has its rule from the child.
            if !(self.own_proc && found.path.starts_with("/proc")) {
                self.add(&found.file, kind, *mode, path)?;
            }
            // A device, socket or FIFO can be written on a read-only mount.
            let mountable = matches!(file_type, FileType::Directory | FileType::RegularFile);
            let is_writable = mountable && (mode.contains(Mode::W) || mode.contains(Mode::C));
            self.granted.push(Granted { found, identity, kind, is_writable, option });
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
    pub fn finish(self, filter: Option<&Subject>, launcher: &Launcher, held: &mut Held) -> Result<Rules, LaunchError> {
        let proc_access = rights(Mode::R, PathKind::Directory, self.abi).0;
        let filter = filter.map(|subject| launcher.filter(subject)).unwrap_or_default();
        Ok(Rules { ruleset: held.hold(OwnedFd::from(self.kernel))?, flags: self.flags, proc_access, filter })
    }
}

/// What rules know of a file.
pub(super) fn kind_of(file: impl AsFd) -> rustix::io::Result<PathKind> {
    Ok(PathKind::of(fstat(file)?.st_mode))
}

/// The directories in which the task may create files. A path that leads there by a link of the task's own making is found all the same:
/// what this names is only not to be trusted, and opening it for a rule refuses the link.
fn writable(spec: &TaskSpec) -> Result<Vec<Identity>, LaunchError> {
    let mut trees = Vec::new();
    for path in spec.creates_in() {
        // What can't be opened is reported, or passed over, where it is granted.
        if let Ok(dir) = path::open(path, &Untrusted::default()) {
            trees.push(Identity::of(&dir).at_path("stat", path)?);
        }
    }
    Ok(trees)
}
