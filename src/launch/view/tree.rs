//! A task's tree under construction: what stands in the base, what is attached, and the small file systems of its own in which places for
//! it are made. One way to attach, one place that makes what is above.

use super::super::base::Base;
use super::super::error::LaunchError;
use super::super::held::Held;
use super::super::rules::Granted;
use super::orders::{Attachment, View};
use crate::error::At;
use crate::policy::access::PathKind;
use crate::policy::acl;
use crate::policy::allocation::Allocation;
use crate::policy::hidden::Hidden;
use crate::policy::layout::Layout;
use crate::policy::mount::Copy;
use crate::policy::proc::Proc;
use crate::sys::cgroup::Cgroup;
use crate::sys::mount;
use crate::sys::path::{self, Identity};
use crate::sys::point::Umask;
use rustix::fs::{AtFlags, FileType, Gid, Mode as FileMode, Uid, chmodat, chownat, fstat, lgetxattr, mkdirat, mknodat, symlinkat};
use rustix::io::Errno;
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::mem::take;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where programs look for their cgroup's limits.
const CGROUPS: &str = "/sys/fs/cgroup";
const ROOT: &str = "/";
/// Of a file system in which places are made. More than any task's paths need: 64 KiB of symlinks that are too long for their inodes.
const AREA: [(&str, &str); 3] = [("mode", "0755"), ("size", "64k"), ("nr_inodes", "16k")];
const MAKE: &str = "make in the task's tree";

/// The mode that a directory of the host's is made with, where an access control list may take away what its own mode gives.
fn search_mode(path: &Path, mode: u32) -> u32 {
    let mut list = [0; 4096];
    match lgetxattr(path, "system.posix_acl_access", &mut list) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => mode,
        Ok(length) => acl::least(mode, &list[..length]),
        Err(_) => acl::least(mode, &[]),
    }
}

pub(super) struct Tree<'h> {
    layout: Layout,
    /// The small file systems, mounted nowhere yet, by where they will be.
    areas: Vec<(PathBuf, Arc<OwnedFd>)>,
    root: Option<RawFd>,
    attachments: Vec<Attachment>,
    hidden: &'h Hidden<Identity>,
    /// Where something is to be hidden that came along under another path than its own.
    aliases: BTreeSet<PathBuf>,
    held: &'h mut Held,
    /// This process's own may take away what others need to walk through.
    _no_umask: Umask,
}

impl<'h> Tree<'h> {
    /// What stands in the base, in a root of the task's own.
    pub fn new(base: &Base, hidden: &'h Hidden<Identity>, held: &'h mut Held) -> Result<Tree<'h>, LaunchError> {
        let (layout, areas, attachments, aliases) = (Layout::new(base.shallow.clone()), Vec::new(), Vec::new(), BTreeSet::new());
        let _no_umask = Umask::set(FileMode::empty()).at("unshare the umask")?;
        let mut tree = Tree { layout, areas, root: None, attachments, hidden, aliases, held, _no_umask };
        let root = Path::new(ROOT);
        if base.is_whole {
            tree.layout.attached(root, !base.is_read_only);
            return Ok(tree);
        }
        tree.root = Some(tree.area(root)?);
        for path in &base.standing {
            tree.directory(path)?;
            tree.layout.stands(path, !base.is_read_only);
        }
        for (path, text) in &base.links {
            tree.link(path, text)?;
        }
        Ok(tree)
    }

    /// A new file system in which places are made, at `path`. Its number for the child.
    fn area(&mut self, path: &Path) -> Result<RawFd, LaunchError> {
        let area = Arc::new(mount::tmpfs(&AREA, false)?);
        let number = self.held.share(&area)?;
        self.layout.made(path);
        self.areas.push((path.to_path_buf(), area));
        Ok(number)
    }

    /// The file system in which `path` is made, and the path in it.
    fn area_of<'p>(&self, path: &'p Path) -> Result<(&Arc<OwnedFd>, &'p Path), LaunchError> {
        let below = self.areas.iter().filter_map(|(at, area)| Some((area, path.strip_prefix(at).ok()?)));
        // The nearest leaves the least.
        Ok(below.min_by_key(|(_, below)| below.components().count()).ok_or(Errno::NOTDIR).at_path(MAKE, path)?)
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A directory, and those above, with owner and mode of what the host has there: who may search it there may here.
    pub fn directory(&mut self, path: &Path) -> Result<(), LaunchError> {
        if self.layout.holds(path) {
            return Ok(());
        }
        self.way(path)?;
        let host = rustix::fs::lstat(path).ok().filter(|stat| FileType::from_raw_mode(stat.st_mode).is_dir());
        let (uid, gid, mode) = host.map_or((0, 0, 0o755), |stat| (stat.st_uid, stat.st_gid, search_mode(path, stat.st_mode & 0o7777)));
        let (area, at) = self.area_of(path)?;
        let make = || {
            mkdirat(area, at, FileMode::from_raw_mode(mode))?;
            if (uid, gid) != (0, 0) {
                chownat(area, at, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            // These mkdir does not set, and chown takes away.
            if mode & 0o6000 != 0 { chmodat(area, at, FileMode::from_raw_mode(mode), AtFlags::empty()) } else { Ok(()) }
        };
        make().at_path(MAKE, path)?;
        self.layout.made(path);
        Ok(())
    }

    /// Makes the directories above `path`.
    fn way(&mut self, path: &Path) -> Result<(), LaunchError> {
        let missing = self.layout.missing(path).ok_or(Errno::NOTDIR).at_path(MAKE, path)?;
        missing.into_iter().try_for_each(|above| self.directory(above))
    }

    /// Unless there is something already.
    pub fn link(&mut self, path: &Path, text: &Path) -> Result<(), LaunchError> {
        if self.layout.holds(path) || !self.layout.makes(path) {
            return Ok(());
        }
        self.way(path)?;
        let (area, at) = self.area_of(path)?;
        symlinkat(text, area, at).at_path(MAKE, path)?;
        self.layout.end(path);
        Ok(())
    }

    /// A directory, where it can be made.
    pub fn own_place(&mut self, path: &Path) -> Result<(), LaunchError> {
        if self.layout.makes(path) { self.directory(path) } else { Ok(()) }
    }

    /// Whether what the host has at `path`, which that is, is there with something that stands or was attached.
    pub fn shows(&self, path: &Path, identity: Option<Identity>) -> bool {
        self.layout.shows(path, identity.map(Identity::dev))
    }

    /// A place to mount something at, where it can be made; elsewhere it is there.
    fn point(&mut self, path: &Path, is_directory: bool) -> Result<(), LaunchError> {
        if let Some(dir) = self.layout.left_out(path, |dir| Some(mount::device(&mount::look(dir).ok()?))) {
            self.cover(dir)?;
        }
        if !self.layout.makes(path) {
            return Ok(());
        }
        if is_directory {
            return self.directory(path);
        }
        self.way(path)?;
        let (area, at) = self.area_of(path)?;
        mknodat(area, at, FileType::RegularFile, FileMode::empty(), 0).at_path(MAKE, path)?;
        self.layout.end(path);
        Ok(())
    }

    /// A copy of what `file` is, at `target`.
    pub fn attach(&mut self, file: BorrowedFd<'_>, how: Copy, target: &Path) -> Result<(), LaunchError> {
        let is_directory = FileType::from_raw_mode(fstat(file).at_path("stat", target)?.st_mode).is_dir();
        self.place(mount::copy(file, how, target)?, is_directory, !how.is_read_only, target)
    }

    pub fn place(&mut self, mount: OwnedFd, is_directory: bool, is_writable: bool, target: &Path) -> Result<(), LaunchError> {
        self.point(target, is_directory)?;
        let mount = self.held.hold(mount)?;
        self.put(mount, target)?;
        if is_directory {
            self.layout.attached(target, is_writable);
        }
        Ok(())
    }

    /// As [`Tree::attach`], over what is there by then for the child alone.
    pub fn mount_over(&mut self, file: BorrowedFd<'_>, how: Copy, target: &Path) -> Result<(), LaunchError> {
        let mount = self.held.hold(mount::copy(file, how, target)?)?;
        self.put(mount, target)
    }

    fn put(&mut self, mount: RawFd, target: &Path) -> Result<(), LaunchError> {
        let target = CString::new(target.as_os_str().as_bytes()).map_err(|_| Errno::INVAL).at_path("mount target", target)?;
        self.attachments.push(Attachment { mount, target });
        Ok(())
    }

    /// An area over a directory of the host's that is there for the task, with nothing in it yet.
    fn cover(&mut self, path: &Path) -> Result<(), LaunchError> {
        let mount = self.area(path)?;
        self.put(mount, path)
    }

    /// Nothing in the place of what no task sees, where it came along with something above.
    pub fn hide_own(&mut self, allocation: Option<&Allocation>) -> Result<(), LaunchError> {
        let hidden = self.hidden;
        // Where the client's directories really are, the task's own are attached.
        let is_clients = |place: &Path| allocation.is_some_and(|allocation| allocation.trees.iter().any(|tree| tree == place));
        let aliases = take(&mut self.aliases);
        // From above to below: what is in one that is covered by then is gone.
        for place in aliases.iter().filter(|place| !hidden.holds_path(place) && !is_clients(place)) {
            if self.layout.covers(place) {
                self.cover(place)?;
            }
        }
        hidden.directories().try_for_each(|directory| self.hide(directory))
    }

    /// Nothing in the place of a directory that came along with one above, if there is one.
    pub fn hide(&mut self, path: &Path) -> Result<(), LaunchError> {
        let directory = mount::look(path).ok().filter(|stat| FileType::from_raw_mode(stat.stx_mode.into()).is_dir());
        match directory {
            Some(stat) if self.layout.shows(path, Some(mount::device(&stat))) => self.cover(path),
            _ => Ok(()),
        }
    }

    /// Of `file`, which is `source` on the host and comes to `target`: that it is nothing that no task sees, and where there is such below it.
    pub fn look_below(&mut self, file: BorrowedFd<'_>, identity: Identity, source: &Path, target: &Path) -> Result<(), String> {
        if self.hidden.holds(source, &identity) {
            return Err(format!("{} is the driver's own or the client's, which no task may have", source.display()));
        }
        let ways = self.hidden.ways(&identity).filter(|way| path::open_beneath(file, way).is_ok());
        self.aliases.extend(ways.map(|way| target.join(way)));
        Ok(())
    }

    /// What was granted, where it is on the host, with the symlinks that lead there: what does not come along with what stands or is attached
    /// above, or would not be writable there.
    /// `is_protected`: what is not granted for writing is mounted read-only.
    pub fn unveil(&mut self, granted: &[Granted], is_protected: bool, allocation: Option<&Allocation>) -> Result<(), LaunchError> {
        // The mounts on which the client makes its own for every task: each slave of one would be looked at by whatever the client mounts there.
        let trees = || allocation.iter().flat_map(|allocation| &allocation.trees);
        let client = LazyCell::new(|| trees().filter_map(|tree| mount::id(path::open_strict(tree).ok()?.as_fd()).ok()).collect::<Vec<_>>());
        // Those above come first.
        let mut places: BTreeMap<&Path, (&Granted, bool)> = BTreeMap::new();
        for one in granted {
            let path = one.found.path.as_path();
            let is_own = allocation.is_some_and(|allocation| allocation.holds(path) || allocation.hides(path));
            // The task's own /proc is another file system; its directories are writable, and attached later, as its cgroup is.
            if path.starts_with("/proc") || is_own || path.starts_with(CGROUPS) || path == Path::new(ROOT) {
                continue;
            }
            places.entry(path).or_insert((one, false)).1 |= one.is_writable || !is_protected;
        }
        for (path, (one, is_writable)) in places {
            let file = one.found.file.as_fd();
            self.look_below(file, one.identity, path, path).map_err(|reason| LaunchError::refused(one.option, reason))?;
            if self.shows(path, Some(one.identity)) && (!is_writable || self.layout.covers_writable(path)) {
                continue;
            }
            let holds_allocations = allocation.is_some_and(|allocation| allocation.is_below(path));
            let is_beside = one.kind == PathKind::Directory
                && !holds_allocations
                && !client.is_empty()
                && mount::id(file).is_ok_and(|id| client.contains(&id));
            self.attach(file, Copy::unveiled(one.kind, path, is_writable, holds_allocations, is_beside), path)?;
        }
        for found in granted.iter().map(|granted| &granted.found) {
            for dir in &found.passed {
                self.own_place(dir)?;
            }
            found.links.iter().try_for_each(|(at, text)| self.link(at, text))?;
        }
        Ok(())
    }

    /// The client's directory of all allocations, with nothing in it but what is attached later.
    pub fn cover_allocations(&mut self, tree: &Path) -> Result<(), LaunchError> {
        if self.layout.covers(tree) { self.cover(tree) } else { Ok(()) }
    }

    /// The task's own cgroup at its path, and no other, unless the host's are unveiled. Some runtimes (the JVM) append a cgroup's path to
    /// where the first control group file system is mounted: there is one at the top, for the mount table alone.
    pub fn cgroup(&mut self, cgroup: &Cgroup, granted: &[Granted]) -> Result<(), LaunchError> {
        let (top, path) = (Path::new(CGROUPS), cgroup.path());
        let read_only = Copy { is_read_only: true, ..Copy::CLOSED };
        if granted.iter().any(|one| top.starts_with(&one.found.path)) {
            // With what is above all of them were granted.
            return match path::open_strict(top) {
                Err(Errno::NOENT) => Ok(()),
                dir => self.attach(dir.at_path("open", top)?.as_fd(), read_only, top),
            };
        }
        if path.starts_with(top) {
            self.point(top, true)?;
            self.mount_over(cgroup.as_fd(), Copy::alone(true), top)?;
            self.cover(top)?;
        }
        let mut unveiled: Vec<_> = granted.iter().map(|one| &one.found).filter(|found| found.path.starts_with(top)).collect();
        unveiled.sort_by(|a, b| a.path.cmp(&b.path));
        for found in unveiled {
            if !self.layout.covers(&found.path) {
                self.attach(found.file.as_fd(), read_only, &found.path)?;
            }
        }
        if self.layout.covers(path) { Ok(()) } else { self.attach(cgroup.as_fd(), Copy::alone(true), path) }
    }

    /// Whether the task's cgroup is mounted at `path`, below or above.
    pub fn is_taken(&self, path: &Path) -> bool {
        path.starts_with(CGROUPS) || Path::new(CGROUPS).starts_with(path)
    }

    /// Nothing is attached or made any more: the view for the child.
    pub fn finish(self, base: &Base, no_pivot_root: bool, proc: Proc) -> Result<View, LaunchError> {
        self.areas.iter().try_for_each(|(_, area)| mount::seal(area.as_fd()))?;
        let c_string = |path: &&Path| CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
        Ok(View {
            base: self.held.share(&base.namespace)?,
            root: self.root,
            standing: base.standing.iter().map(c_string).collect(),
            attachments: self.attachments,
            no_pivot_root,
            proc,
        })
    }
}
