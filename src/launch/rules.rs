//! The Landlock ruleset of a task, from what it is granted.

use super::LaunchError;
use crate::policy::abi::Abi;
use crate::policy::access::{Mode, PathKind, handled_fs, rights, ruleset_attr_size, scoped};
use crate::policy::grant::Grant;
use crate::policy::namespace::NamespaceMode;
use crate::policy::spec::TaskSpec;
use crate::policy::view_mode::ViewMode;
use crate::sys::error::At;
use crate::sys::landlock::{Ruleset, RulesetAttr};
use crate::sys::path::{self, Found, Identity, Untrusted};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// The ruleset under construction, with what decides how paths are opened.
pub(super) struct Rules {
    pub ruleset: Ruleset,
    abi: Abi,
    pub untrusted: Untrusted,
    /// What was granted; in the host's view only what of it may be written.
    pub granted: Vec<Granted>,
    pub firmware: Firmware,
    /// Without symlinks.
    pub state_dir: PathBuf,
    /// A grant holds the state_dir, or is in it.
    pub reaches_state: bool,
    own_proc: bool,
    view: ViewMode,
}

pub(super) const FIRMWARE: &str = "/sys/firmware";

/// Whether /sys/firmware is granted, by itself or with what is above.
#[derive(Default)]
pub(super) struct Firmware {
    by_itself: bool,
    from_above: bool,
}

impl Firmware {
    fn look(&mut self, granted: &Path) {
        self.by_itself |= granted.starts_with(FIRMWARE);
        self.from_above |= Path::new(FIRMWARE).starts_with(granted);
    }

    /// Only who names it sees it.
    pub fn is_hidden(&self) -> bool {
        self.from_above && !self.by_itself
    }
}

/// A path that was granted, opened.
pub(super) struct Granted {
    pub found: Found,
    pub kind: PathKind,
    /// A file or directory that may be written, for which its mount must be writable.
    pub is_writable: bool,
    /// Where it is written.
    pub option: &'static str,
}

impl Rules {
    /// All rights that the ABI knows are handled, its scopes too. Network rights only where ports are named.
    pub fn new(spec: &TaskSpec) -> Result<Rules, LaunchError> {
        let handled_access_net = spec.rules.ports.handled();
        let attr = RulesetAttr {
            handled_access_fs: handled_fs(spec.rules.abi).0,
            handled_access_net,
            scoped: scoped(spec.rules.abi),
            ..RulesetAttr::default()
        };
        let ruleset = Ruleset::new(&attr, ruleset_attr_size(spec.rules.abi))?;
        for (port, access) in spec.rules.ports.allowed() {
            ruleset.allow_port(port, access).at_path("landlock_add_rule TCP port", port.to_string())?;
        }
        Ok(Rules {
            ruleset,
            abi: spec.rules.abi,
            untrusted: Untrusted { uid: spec.privileges.identity.uid, trees: writable(spec)? },
            granted: Vec::new(),
            firmware: Firmware::default(),
            state_dir: std::fs::canonicalize(&spec.state_dir).unwrap_or_else(|_| spec.state_dir.clone()),
            reaches_state: false,
            own_proc: spec.namespaces.pid == NamespaceMode::Private,
            view: spec.view.mode,
        })
    }

    pub fn grant(&mut self, grant: &Grant) -> Result<(), LaunchError> {
        let unveil = |errno| LaunchError::Unveil { option: grant.option, mode: grant.mode.to_string(), path: grant.path.clone(), errno };
        let found = match path::find(&grant.path, &self.untrusted) {
            Err(Errno::NOENT | Errno::NOTDIR) if !grant.required => return Ok(()),
            other => other.map_err(unveil)?,
        };
        let file_type = FileType::from_raw_mode(fstat(&found.file).map_err(unveil)?.st_mode);
        let kind = match file_type {
            FileType::Directory => PathKind::Directory,
            FileType::CharacterDevice | FileType::BlockDevice => PathKind::Device,
            _ => PathKind::File,
        };
        // The host's /proc may be mounted elsewhere too, and the task's own has its rule from the child.
        if !(self.own_proc && found.path.starts_with("/proc")) {
            self.add(found.file.as_fd(), kind, grant.mode, &grant.path)?;
        }
        self.firmware.look(&found.path);
        self.reaches_state |= self.state_dir.starts_with(&found.path) || found.path.starts_with(&self.state_dir);
        // A device, socket or FIFO can be written on a read-only mount.
        let mountable = matches!(file_type, FileType::Directory | FileType::RegularFile);
        let is_writable = mountable && (grant.mode.contains(Mode::W) || grant.mode.contains(Mode::C));
        if is_writable || self.view == ViewMode::Private {
            self.granted.push(Granted { found, kind, is_writable, option: grant.option });
        }
        Ok(())
    }

    pub fn add(&self, file: BorrowedFd<'_>, kind: PathKind, mode: Mode, path: &Path) -> Result<(), LaunchError> {
        let access = rights(mode, kind, self.abi);
        // A mode that means nothing on this kind of path (c on a file) makes no rule: the kernel refuses empty ones.
        if access.is_empty() {
            return Ok(());
        }
        Ok(self.ruleset.allow(file, access.0).at_path("landlock_add_rule", path)?)
    }
}

/// The directories in which the task may create files. A path that leads there by a link of the task's own making is found all the same:
/// what this names is only not to be trusted, and opening it for a rule refuses the link.
fn writable(spec: &TaskSpec) -> Result<Vec<Identity>, LaunchError> {
    let create = spec.rules.grants.iter().filter(|grant| grant.mode.contains(Mode::C)).map(|grant| &grant.path);
    let own = spec.view.directories.iter().flat_map(|directories| [&directories.alloc_dir, &directories.task_dir]);
    let volumes = spec.view.volumes.iter().filter(|volume| !volume.read_only).map(|volume| &volume.source);
    let mut trees = Vec::new();
    for path in create.chain(own).chain(volumes) {
        // What can't be opened is reported, or passed over, where it is granted.
        if let Ok(dir) = path::open(path, &Untrusted::default()) {
            trees.push(Identity::of(&dir).at_path("stat", path)?);
        }
    }
    Ok(trees)
}
