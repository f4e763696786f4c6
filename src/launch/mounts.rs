//! A task's mounts: everything that the plan of its mount namespace needs.

use super::directories::TaskDirectories;
use super::plan::lifted;
use super::root::{self, Root};
use super::rules::{Granted, Rules};
use super::{LaunchError, base};
use crate::policy::access::{Mode, PathKind};
use crate::policy::view_mode::ProtectSystem;
use crate::policy::view_mode::ViewMode;
use crate::sys::cgroup::Cgroup;
use crate::sys::error::At;
use crate::sys::mount::{self, Copy, MOUNT_ATTR_RDONLY, MS_SLAVE, MountAttr, MountAttrFlags};
use crate::sys::mount_table::is_below;
use crate::sys::path;
use rustix::fs::{FileType, Mode as FileMode, chmodat, fstat, mkdirat};
use rustix::io::Errno;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where programs look for their cgroup's limits.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What the child makes of the namespace that it gets a copy of. In this order.
pub(super) struct Mounts {
    /// `None`: a copy of the plugin's own.
    pub base: Option<Arc<OwnedFd>>,
    /// Of the private view; `None`: the host's tree. The next two are the host's tree's alone.
    pub root: Option<Root>,
    /// The task sees its own cgroup as the root of all.
    pub own_cgroup: bool,
    /// To all mounts: they receive the host's mounts and send none; read-only, if the system is to be protected.
    pub attr: MountAttr,
    /// Mount points of the file systems that hold the client's directories. They receive nothing any more, or each would receive what
    /// the client mounts for every task to come.
    pub closed: Vec<CString>,
    pub attachments: Vec<(OwnedFd, CString)>,
}

impl Mounts {
    /// Mounts without the allocation's directories.
    pub fn new(view: ViewMode, protect: ProtectSystem) -> Result<Mounts, LaunchError> {
        let attr_set = if protect == ProtectSystem::Strict { MOUNT_ATTR_RDONLY } else { 0 };
        let attr = MountAttr { attr_set, propagation: MS_SLAVE, ..MountAttr::default() };
        let (base, root) = match view {
            ViewMode::Host => (None, None),
            ViewMode::Private => (Some(root::namespace()?), Some(Root::new()?)),
        };
        Ok(Mounts { base, root, own_cgroup: false, attr, closed: Vec::new(), attachments: Vec::new() })
    }

    pub fn are_protected(&self) -> bool {
        self.attr.attr_set & MOUNT_ATTR_RDONLY != 0
    }

    /// Whether what the host has at `path` can be there for the task.
    pub fn reach(&self, path: &Path) -> bool {
        self.root.as_ref().is_none_or(|root| root.covers(path))
    }

    /// Whether a place at `path` is made when something is attached there: in a root of the task's own, beside what it has.
    pub fn makes(&self, path: &Path) -> bool {
        self.root.as_ref().is_some_and(|root| root.is_free(path))
    }

    /// Whether the task's cgroup is mounted at `path`, below or above, in a root of the task's own.
    pub fn is_taken(&self, path: &Path) -> bool {
        self.root.is_some() && (path.starts_with(CGROUPS) || Path::new(CGROUPS).starts_with(path))
    }

    /// What was granted, in the private view; what of it was granted for writing, in the host's. Before what hides a part of it.
    pub fn show(&mut self, granted: &[Granted], own: Option<&Own>) -> Result<(), LaunchError> {
        match self.root {
            Some(_) => self.unveil(granted, own),
            None => self.write(granted, own),
        }
    }

    fn write(&mut self, granted: &[Granted], own: Option<&Own>) -> Result<(), LaunchError> {
        if !self.are_protected() {
            return Ok(());
        }
        let mut found: Vec<&Granted> = granted.iter().filter(|granted| granted.is_writable).collect();
        if found.iter().any(|granted| granted.found.path == Path::new("/")) {
            self.attr.attr_set = 0;
            return Ok(());
        }
        // What is below another comes along with it.
        found.sort_by(|a, b| a.found.path.cmp(&b.found.path));
        found.dedup_by(|granted, before| granted.found.path.starts_with(&before.found.path));
        for Granted { found, kind, .. } in found {
            // The task's own /proc is another file system, and its directories are writable already.
            if found.path.starts_with("/proc") || own.is_some_and(|own| own.holds(&found.path)) {
                continue;
            }
            self.attach(found.file.as_fd(), copy(*kind, &found.path, true, own), &found.path)?;
        }
        Ok(())
    }

    /// Where it is on the host, with the symlinks that lead there.
    fn unveil(&mut self, granted: &[Granted], own: Option<&Own>) -> Result<(), LaunchError> {
        let own_cgroup = !granted.iter().any(|one| Path::new(CGROUPS).starts_with(&one.found.path));
        let mut places: BTreeMap<&Path, (&Granted, bool)> = BTreeMap::new();
        for one in granted {
            let path = one.found.path.as_path();
            if path == Path::new("/") {
                let reason = "/ is the host's whole tree; name what the task needs of it, or leave it to view = \"host\"".to_string();
                return Err(LaunchError::Refused { option: one.option.into(), reason });
            }
            // The task's own /proc is another file system; its directories are writable, and attached later.
            if path.starts_with("/proc") || own.is_some_and(|own| own.holds(path) || own.hides(path)) {
                continue;
            }
            // The task's own will be mounted there. A second mount of the kind would only confuse who looks for the first.
            if own_cgroup && path.starts_with(CGROUPS) {
                continue;
            }
            places.entry(path).or_insert((one, false)).1 |= one.is_writable;
        }
        // Those above come first.
        let mut writable: Vec<&Path> = Vec::new();
        for (path, (one, is_writable)) in places {
            let is_writable = is_writable || !self.are_protected();
            let comes_along = self.reach(path) && (!is_writable || writable.iter().any(|dir| path.starts_with(dir)));
            if !comes_along {
                let file = one.found.file.as_fd();
                // Each slave of the client's mount would be looked at by whatever the client mounts there, for every task.
                let is_clients = || own.is_some_and(|own| own.is_beside(file));
                let how = match copy(one.kind, path, is_writable, own) {
                    Copy::Tree if is_clients() => Copy::Branch,
                    Copy::ReadOnlyTree if is_clients() => Copy::ReadOnlyBranch,
                    other => other,
                };
                self.attach(file, how, path)?;
            }
            if is_writable {
                writable.push(path);
            }
        }
        if let Some(root) = &mut self.root {
            for found in granted.iter().map(|granted| &granted.found) {
                found.passed.iter().try_for_each(|dir| root.directory(dir))?;
                found.links.iter().try_for_each(|(at, text)| root.link(at, text))?;
            }
        }
        Ok(())
    }

    /// The task's cgroup in the private view: alone, where programs look for the root of all, unless the host's are shown.
    pub fn cgroup(&mut self, cgroup: &Cgroup) -> Result<(), LaunchError> {
        let top = Path::new(CGROUPS);
        self.own_cgroup = !self.reach(top);
        self.attach(cgroup.as_fd(), Copy::ReadOnly, if self.own_cgroup { top } else { cgroup.path() })
    }

    /// What every program looks for, where nothing of the host's was unveiled: /proc, /dev beside its nodes, terminals and a /tmp of the task's
    /// own, and the allocation's directories by the names that Nomad's exec driver has for them.
    pub fn furnish(&mut self, rules: &mut Rules, directories: Option<&TaskDirectories>) -> Result<(), LaunchError> {
        let Some(root) = &mut self.root else { return Ok(()) };
        root.directory(Path::new("/proc"))?;
        for (name, text) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
            root.link(&Path::new("/dev").join(name), Path::new(&format!("/proc/self/fd{text}")))?;
        }
        for (name, place) in directories.iter().flat_map(|directories| directories.names()) {
            root.link(&Path::new("/").join(name), &place)?;
        }
        let [memory, terminals, temporary] = ["/dev/shm", "/dev/pts", "/tmp"].map(Path::new);
        let [no_memory, no_terminals, no_temporary] = [memory, terminals, temporary].map(|path| !root.holds(path));
        if no_terminals {
            root.link(Path::new("/dev/ptmx"), Path::new("pts/ptmx"))?;
            let mount = mount::terminals()?;
            // Terminals are the task's own, all of them, and so are their ioctls.
            for kind in [PathKind::Directory, PathKind::Device] {
                rules.add(mount.as_fd(), kind, Mode::RW, terminals)?;
            }
            self.place(mount, true, terminals)?;
        }
        let create = Mode::RW | Mode::C;
        if no_memory {
            let mount = mount::tmpfs(&[("mode", "1777")], MountAttrFlags::MOUNT_ATTR_NOEXEC)?;
            rules.add(mount.as_fd(), PathKind::Directory, create, memory)?;
            self.place(mount, true, memory)?;
        }
        match directories {
            _ if !no_temporary => Ok(()),
            Some(directories) => self.attach(directories.tmp(), Copy::Alone, temporary),
            None => {
                let mount = mount::tmpfs(&[("mode", "1777")], MountAttrFlags::empty())?;
                rules.add(mount.as_fd(), PathKind::Directory, create | Mode::X, temporary)?;
                self.place(mount, true, temporary)
            }
        }
    }

    /// The allocation's directories, and nothing else of those that the client has. `record` is a directory of root's own with the task's
    /// lifetime.
    pub fn own(&mut self, own: &Own, directories: &TaskDirectories, record: BorrowedFd<'_>) -> Result<(), LaunchError> {
        // Asked in any case: its keeper lets go for running tasks of what the host unmounts.
        let base = base::current(&own.trees);
        if self.root.is_none() {
            self.base = base;
        }
        let views = directories.views();
        for (number, tree) in own.trees.iter().enumerate() {
            if !self.reach(tree) {
                continue;
            }
            if self.root.is_none() {
                let point = c_string(mount::point(tree)?)?;
                if !self.closed.contains(&point) {
                    self.closed.push(point);
                }
            }
            let cover = cover(record, number, tree, &views)?;
            self.attach(cover.as_fd(), Copy::ReadOnly, tree)?;
        }
        views.iter().try_for_each(|(dir, how, target)| self.attach(*dir, *how, target))
    }

    /// The host's /proc once more, writable until the child has set what it must there.
    pub fn host_proc(&mut self) -> Result<(), LaunchError> {
        let path = Path::new("/proc");
        let dir = path::open_strict(path).at_path("open", path)?;
        self.attach(dir.as_fd(), Copy::Alone, path)
    }

    /// Puts `null`, which is /dev/null, over a file of the task's /proc.
    pub fn mask(&mut self, null: BorrowedFd<'_>, file: &CStr) -> Result<(), LaunchError> {
        let path = Path::new(OsStr::from_bytes(file.to_bytes()));
        self.attachments.push((lifted(mount::copy(null, Copy::ReadOnly, path)?)?, file.into()));
        Ok(())
    }

    /// Nothing in the place of a directory that came along with one above, if there is one.
    pub fn hide(&mut self, path: &Path) -> Result<(), LaunchError> {
        if !self.reach(path) || !path.is_dir() {
            return Ok(());
        }
        let options = [("mode", "0555"), ("size", "4k"), ("nr_inodes", "1")];
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        self.place(mount::tmpfs(&options, attributes)?, true, path)
    }

    /// A read-only view of a directory, at its own place.
    pub fn read_only(&mut self, path: &Path) -> Result<(), LaunchError> {
        let dir = path::open_strict(path).at_path("open", path)?;
        self.attach(dir.as_fd(), Copy::ReadOnly, path)
    }

    /// A copy of what `file` is, at `target`. In the private view what is missing on the way there is made, unless it is below a directory
    /// that was attached before.
    pub fn attach(&mut self, file: BorrowedFd<'_>, how: Copy, target: &Path) -> Result<(), LaunchError> {
        let is_directory = self.root.is_some() && is_directory(file).at_path("stat", target)?;
        self.place(mount::copy(file, how, target)?, is_directory, target)
    }

    fn place(&mut self, mount: OwnedFd, is_directory: bool, target: &Path) -> Result<(), LaunchError> {
        if let Some(root) = &mut self.root {
            root.point(target, is_directory)?;
        }
        self.attachments.push((lifted(mount)?, c_string(target)?));
        Ok(())
    }

    /// Nothing more is attached.
    pub fn seal(&self) -> Result<(), LaunchError> {
        Ok(self.root.as_ref().map_or(Ok(()), Root::seal)?)
    }
}

fn is_directory(file: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(file)?.st_mode).is_dir())
}

/// How what was granted is copied.
fn copy(kind: PathKind, path: &Path, is_writable: bool, own: Option<&Own>) -> Copy {
    // The client's mounts for all tasks are not to be sent to each.
    let is_above = own.is_some_and(|own| own.trees.iter().any(|tree| tree.starts_with(path)));
    match (kind, is_above, is_writable) {
        (PathKind::Directory, true, true) => Copy::ClosedTree,
        (PathKind::Directory, true, false) => Copy::ReadOnlyClosedTree,
        (PathKind::Directory, false, true) => Copy::Tree,
        (PathKind::Directory, false, false) => Copy::ReadOnlyTree,
        (_, _, true) => Copy::Alone,
        (_, _, false) => Copy::ReadOnly,
    }
}

/// Where the allocation's directories are, and those of all others.
pub(super) struct Own {
    places: [PathBuf; 2],
    /// The client's directories of all allocations; none is below another.
    pub trees: Vec<PathBuf>,
    /// The mounts that these are on, as far as anybody asked.
    mounts: OnceCell<Vec<u64>>,
}

impl Own {
    pub fn new(directories: &TaskDirectories) -> Result<Own, LaunchError> {
        let places = directories.places().map(Path::to_path_buf);
        let mut trees = Vec::new();
        for place in &places {
            match place.parent() {
                Some(tree) if tree != Path::new("/") => trees.push(tree.to_path_buf()),
                _ => {
                    let reason = format!("{} is not below a directory of the client's", place.display());
                    return Err(LaunchError::Refused { option: "alloc_dir".into(), reason });
                }
            }
        }
        trees.sort();
        trees.dedup_by(|tree, before| tree.starts_with(before));
        Ok(Own { places, trees, mounts: OnceCell::new() })
    }

    /// Whether `file` is on a mount on which the client makes its own for every task.
    fn is_beside(&self, file: BorrowedFd<'_>) -> bool {
        let of = |tree: &PathBuf| mount::id(path::open_strict(tree).ok()?.as_fd()).ok();
        let mounts = self.mounts.get_or_init(|| self.trees.iter().filter_map(of).collect());
        mount::id(file).is_ok_and(|id| mounts.contains(&id))
    }

    /// Whether `path` is in the task's own directories.
    pub fn holds(&self, path: &Path) -> bool {
        self.places.iter().any(|place| path.starts_with(place))
    }

    /// Whether `path` is a directory of the client's, in one, or holds one: what is mounted there would not be seen, or hide the task's own.
    pub fn is_near(&self, path: &Path) -> bool {
        self.trees.iter().any(|tree| path.starts_with(tree) || tree.starts_with(path))
    }

    /// Whether `path` is in a directory of the client's and not in the task's own: it is not there for the task.
    pub fn hides(&self, path: &Path) -> bool {
        is_below(path, &self.trees) && !self.holds(path)
    }
}

/// In `record`: a directory to be mounted over `tree`, with nothing in it but the way to where the task's own are.
fn cover(record: BorrowedFd<'_>, number: usize, tree: &Path, views: &[(BorrowedFd<'_>, Copy, PathBuf)]) -> Result<OwnedFd, LaunchError> {
    let cover = PathBuf::from(format!("view{number}"));
    let make = |path: &Path| match mkdirat(record, path, FileMode::RWXU) {
        // The plugin's umask may take away what others need to walk through.
        Ok(()) => chmodat(record, path, FileMode::from_raw_mode(0o755), rustix::fs::AtFlags::empty()),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    };
    let made = || {
        make(&cover)?;
        // The logs are in directories that come with the others.
        let ways = views.iter().filter(|(_, how, _)| *how != Copy::ReadOnly).filter_map(|(.., path)| path.strip_prefix(tree).ok());
        for way in ways {
            let mut path = cover.clone();
            for part in way {
                path.push(part);
                make(&path)?;
            }
        }
        path::open_beneath(record, &cover)
    };
    Ok(made().at_path("make a cover for", tree)?)
}

fn c_string(path: &Path) -> Result<CString, LaunchError> {
    Ok(CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL).at_path("mount target", path)?)
}
