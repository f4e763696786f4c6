//! A task's tree under construction: what stands in the base, what is attached, and the small file systems of its own in which places for
//! it are made. What is made where is the layout's to say. One way to attach, one place that makes.

use super::super::base::Base;
use super::super::held::Held;
use super::orders::{Attachment, View};
use crate::error::At;
use crate::launch_error::LaunchError;
use crate::policy::acl;
use crate::policy::allocation::Allocation;
use crate::policy::cgroup::{CGROUPS, Top};
use crate::policy::fresh::Fresh;
use crate::policy::granted::{Granted, cgroups, unveiled};
use crate::policy::hidden::Hidden;
use crate::policy::identity::Identity;
use crate::policy::layout::{Layout, Make};
use crate::policy::mount::Copy;
use crate::policy::proc::Proc;
use crate::policy::standing::Extent;
use crate::sys::cgroup::Cgroup;
use crate::sys::mount;
use crate::sys::path;
use crate::watch::umask::Umask;
use rustix::fs::{AtFlags, FileType, Gid, Mode as FileMode, Uid, chmodat, chownat, fstat, lgetxattr, lstat, mkdirat, mknodat, symlinkat};
use rustix::io::Errno;
use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{create_dir_all, read, write};
use std::mem::take;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAKE: &str = "make in the task's tree";

pub(super) struct Tree<'h> {
    layout: Layout,
    /// The small file systems, mounted nowhere yet, as the layout counts them.
    areas: Vec<Arc<OwnedFd>>,
    root: Option<RawFd>,
    attachments: Vec<Attachment>,
    hidden: &'h Hidden,
    /// Where something is to be hidden that came along under another path than its own.
    aliases: BTreeSet<PathBuf>,
    held: &'h mut Held,
    /// This process's own may take away what others need to walk through.
    _no_umask: Umask,
}

impl<'h> Tree<'h> {
    /// What stands in the base, in a root of the task's own.
    pub fn new(base: &Base, hidden: &'h Hidden, held: &'h mut Held) -> Result<Tree<'h>, LaunchError> {
        let (layout, areas, attachments, aliases) = (Layout::new(base.found.shallow()), Vec::new(), Vec::new(), BTreeSet::new());
        let _no_umask = Umask::set(FileMode::empty()).at("unshare the umask")?;
        let mut tree = Tree { layout, areas, root: None, attachments, hidden, aliases, held, _no_umask };
        let root = Path::new("/");
        let is_writable = !base.kind.is_read_only;
        if base.kind.extent == Extent::Whole {
            tree.layout.attached(root, is_writable);
            return Ok(tree);
        }
        let area = tree.area(root)?;
        tree.root = Some(tree.held.hold(area)?);
        for path in base.found.moved() {
            let makes = tree.layout.directory(path);
            tree.make(makes, path)?;
            tree.layout.stands(path, is_writable);
        }
        for (path, text) in &base.links {
            tree.link(path, text)?;
        }
        Ok(tree)
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A new file system in which places are made, at `path`.
    fn area(&mut self, path: &Path) -> Result<Arc<OwnedFd>, LaunchError> {
        let area = Arc::new(mount::fresh(&Fresh::AREA)?);
        self.layout.area(path);
        self.areas.push(Arc::clone(&area));
        Ok(area)
    }

    /// Makes these in their areas; `None`: what leads to `path` can't be made.
    fn make(&self, makes: Option<Vec<Make>>, path: &Path) -> Result<(), LaunchError> {
        for make in makes.ok_or(Errno::NOTDIR).at_path(MAKE, path)? {
            let at = self.layout.area_of(make.path()).and_then(|(index, below)| Some((self.areas.get(index)?, below)));
            at.ok_or(Errno::NOTDIR).and_then(|(area, below)| make_in(area, below, &make)).at_path(MAKE, make.path())?;
        }
        Ok(())
    }

    /// A directory, where it can be made.
    pub fn own_directory(&mut self, path: &Path) -> Result<(), LaunchError> {
        let makes = self.layout.own_directory(path);
        self.make(makes, path)
    }

    /// A symlink, where it can be made, unless there is something.
    pub fn link(&mut self, path: &Path, text: &Path) -> Result<(), LaunchError> {
        let makes = self.layout.link(path, text);
        self.make(makes, path)
    }

    /// A place to mount something at, where it can be made; elsewhere it is there.
    fn point(&mut self, path: &Path, is_directory: bool) -> Result<(), LaunchError> {
        if let Some(dir) = self.layout.left_out(path, |dir| Some(mount::device(&mount::look(dir).ok()?))) {
            self.cover(dir)?;
        }
        let makes = self.layout.point(path, is_directory);
        self.make(makes, path)
    }

    /// A copy of what `file` is, at `target`.
    pub fn attach(&mut self, file: BorrowedFd<'_>, how: Copy, target: &Path) -> Result<(), LaunchError> {
        let is_directory = FileType::from_raw_mode(fstat(file).at_path("stat", target)?.st_mode).is_dir();
        self.place(mount::copy(file, how, target)?, is_directory, !how.is_read_only, target)
    }

    fn place(&mut self, mount: OwnedFd, is_directory: bool, is_writable: bool, target: &Path) -> Result<(), LaunchError> {
        self.point(target, is_directory)?;
        self.put(mount, target)?;
        if is_directory {
            self.layout.attached(target, is_writable);
        }
        Ok(())
    }

    /// Whether something of the task's own can be mounted at a directory `path` for which nobody has asked.
    pub fn has_place(&self, path: &Path) -> bool {
        self.layout.is_free(path) && (self.layout.makes(path) || directory_device(path).is_some())
    }

    /// As [`Tree::place`], of a directory in which nothing of the host's is.
    pub fn place_own(&mut self, mount: OwnedFd, target: &Path) -> Result<(), LaunchError> {
        self.layout.own(target);
        self.place(mount, true, true, target)
    }

    /// Such a place, for a mount that is the child's to make.
    pub fn point_of_child(&mut self, path: &Path) -> Result<Option<CString>, LaunchError> {
        if !self.has_place(path) {
            return Ok(None);
        }
        self.point(path, true)?;
        self.layout.attached(path, true);
        self.layout.own(path);
        c_string(path).map(Some)
    }

    /// As [`Tree::attach`], over what is there by then for the child alone.
    pub fn mount_over(&mut self, file: BorrowedFd<'_>, how: Copy, target: &Path) -> Result<(), LaunchError> {
        self.put(mount::copy(file, how, target)?, target)
    }

    fn put(&mut self, mount: impl Into<Arc<OwnedFd>>, target: &Path) -> Result<(), LaunchError> {
        self.attachments.push(Attachment { mount: self.held.hold(mount)?, target: c_string(target)? });
        Ok(())
    }

    /// An area over a directory of the host's that is there for the task, with nothing in it yet.
    fn cover(&mut self, path: &Path) -> Result<(), LaunchError> {
        let area = self.area(path)?;
        self.put(area, path)
    }

    /// Nothing in the place of a directory that came along with one above, if there is one.
    pub fn hide(&mut self, path: &Path) -> Result<(), LaunchError> {
        match directory_device(path) {
            Some(device) if self.layout.shows(path, Some(device)) => self.cover(path),
            _ => Ok(()),
        }
    }

    /// The same in the place of what no task sees.
    pub fn hide_own(&mut self, allocation: Option<&Allocation>) -> Result<(), LaunchError> {
        let (hidden, aliases) = (self.hidden, take(&mut self.aliases));
        // What is in one that is covered by then is gone.
        for place in hidden.to_cover(&aliases, allocation) {
            if self.layout.covers(place) {
                self.cover(place)?;
            }
        }
        hidden.directories().try_for_each(|directory| self.hide(directory))
    }

    /// Of what is `source` on the host and comes to `target`: that it is nothing that no task sees, and where there is such below it.
    pub fn look_below(&mut self, identity: Identity, source: &Path, target: &Path) -> Result<(), String> {
        self.hidden.check(source, &identity)?;
        let ways = self.hidden.ways(&identity).filter(|way| path::open_strict(&source.join(way)).is_ok());
        self.aliases.extend(ways.map(|way| target.join(way)));
        Ok(())
    }

    /// What was granted, where it is on the host, with the symlinks that lead there: what does not come along with what stands or is attached
    /// above, or would not be writable there.
    pub fn unveil(&mut self, granted: &[Granted], is_protected: bool, allocation: Option<&Allocation>) -> Result<(), LaunchError> {
        // The mounts on which the client makes its own for every task: each slave of one would be looked at by whatever the client mounts there.
        let mount_of = |path: &Path| mount::look(path).ok().map(|stat| stat.stx_mnt_id);
        let trees = allocation.map_or(&[][..], |allocation| &allocation.trees);
        let client = LazyCell::new(|| trees.iter().filter_map(|tree| mount_of(tree)).collect::<Vec<_>>());
        for (path, (one, is_writable)) in unveiled(granted, is_protected, allocation) {
            self.look_below(one.identity, path, path).map_err(|reason| LaunchError::refused(one.option, reason))?;
            if self.layout.shows(path, Some(one.identity.dev)) && (!is_writable || self.layout.covers_writable(path)) {
                continue;
            }
            let file = path::open_again(path, one.identity).at_path("open", path)?;
            let is_beside = || !client.is_empty() && mount_of(path).is_some_and(|id| client.contains(&id));
            self.attach(file.as_fd(), Copy::unveiled(one, is_writable, allocation, is_beside), path)?;
        }
        for Granted { way, .. } in granted {
            way.passed.iter().try_for_each(|dir| self.own_directory(dir))?;
            way.links.iter().try_for_each(|(at, text)| self.link(at, text))?;
        }
        Ok(())
    }

    /// The task's own cgroup at its path, and no other, unless the host's are unveiled. Programs look for it in different ways: by the kind of
    /// file system at the top, by its path below that, and by the first control group file system in the mount table (which is the host's, and covered).
    pub fn cgroup(&mut self, cgroup: &Cgroup, granted: &[Granted]) -> Result<(), LaunchError> {
        let (top, path) = (Path::new(CGROUPS), cgroup.path());
        let read_only = Copy { is_read_only: true, ..Copy::CLOSED };
        let Some(granted) = cgroups(granted) else {
            return match path::open_strict(top) {
                Err(Errno::NOENT) => Ok(()),
                dir => self.attach(dir.at_path("open", top)?.as_fd(), read_only, top),
            };
        };
        if path.starts_with(top) {
            self.point(top, true)?;
            let host = path::open_strict(top).at_path("open", top)?;
            self.mount_over(host.as_fd(), Copy::alone(true), top)?;
            match in_place_of(host, cgroup, &granted) {
                Some((own, first)) => {
                    self.attach(own.as_fd(), Copy::alone(true), top)?;
                    self.cover(&top.join(first))?;
                }
                None => self.cover(top)?,
            }
        }
        for one in granted {
            if !self.layout.covers(one.path()) || one.path().parent() == Some(top) {
                let file = path::open_again(one.path(), one.identity).at_path("open", one.path())?;
                self.attach(file.as_fd(), read_only, one.path())?;
            }
        }
        if self.layout.covers(path) { Ok(()) } else { self.attach(cgroup.dir.as_fd(), Copy::alone(true), path) }
    }

    /// Nothing is attached or made any more: the view for the child.
    pub fn finish(self, base: &Base, no_pivot_root: bool, proc: Proc, queues: Option<CString>) -> Result<View, LaunchError> {
        self.areas.iter().try_for_each(|area| mount::seal(area.as_fd()))?;
        Ok(View {
            base: self.held.hold(Arc::clone(&base.namespace))?,
            root: self.root,
            standing: base.found.moved().map(c_string).collect::<Result<_, _>>()?,
            attachments: self.attachments,
            no_pivot_root,
            proc,
            queues,
        })
    }
}

fn c_string(path: &Path) -> Result<CString, LaunchError> {
    Ok(CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL).at_path("mount target", path)?)
}

/// What takes the place of the root cgroup, and the name that is in it. `None`: it can't be made, or not all that was granted has a place there.
fn in_place_of(root: OwnedFd, cgroup: &Cgroup, granted: &[&Granted]) -> Option<(OwnedFd, PathBuf)> {
    let top = Top::of(cgroup.path())?;
    if fstat(root).ok()?.st_dev != fstat(&cgroup.dir).ok()?.st_dev {
        return None;
    }
    create_dir_all(top.path.join(&top.first)).ok()?;
    // clone3 asks for nothing but the mode of cgroup.procs, be it on a read-only mount: a root task that may call it (`seccomp = "off"`) would
    // start a process here, beyond its limits. What is in a frozen cgroup does not run.
    let freeze = top.path.join("cgroup.freeze");
    if read(&freeze).ok()? != b"1\n" {
        write(&freeze, "1").ok()?;
    }
    let mut names = granted.iter().filter_map(|one| one.path().strip_prefix(CGROUPS).ok()?.components().next());
    let own = path::open_strict(&top.path).ok()?;
    names.all(|name| lstat(top.path.join(name)).is_ok()).then_some((own, top.first))
}

/// The device of the host's directory at `path`, if there is one.
fn directory_device(path: &Path) -> Option<u64> {
    let stat = mount::look(path).ok()?;
    FileType::from_raw_mode(stat.stx_mode.into()).is_dir().then(|| mount::device(&stat))
}

/// Makes it at `at` of an area. A directory has the owner and mode of what the host has there: who may search it there may here.
fn make_in(area: &OwnedFd, at: &Path, make: &Make) -> rustix::io::Result<()> {
    match make {
        Make::Link(_, text) => symlinkat(text, area, at),
        Make::File(_) => mknodat(area, at, FileType::RegularFile, FileMode::empty(), 0),
        Make::Directory(path) => {
            let host = lstat(path).ok().filter(|stat| FileType::from_raw_mode(stat.st_mode).is_dir());
            let (uid, gid, mode) = host.map_or((0, 0, 0o755), |stat| (stat.st_uid, stat.st_gid, search_mode(path, stat.st_mode & 0o7777)));
            mkdirat(area, at, FileMode::from_raw_mode(mode))?;
            if (uid, gid) != (0, 0) {
                chownat(area, at, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW)?;
            }
            // These mkdir does not set, and chown takes away.
            if mode & 0o6000 != 0 { chmodat(area, at, FileMode::from_raw_mode(mode), AtFlags::empty()) } else { Ok(()) }
        }
    }
}

/// The mode that a directory of the host's is made with, where an access control list may take away what its own mode gives.
fn search_mode(path: &Path, mode: u32) -> u32 {
    let mut list = [0; 4096];
    match lgetxattr(path, "system.posix_acl_access", &mut list) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => mode,
        Ok(length) => acl::least(mode, &list[..length]),
        Err(_) => acl::least(mode, &[]),
    }
}
