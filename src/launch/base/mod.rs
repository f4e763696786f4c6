//! The mount namespaces that tasks' are copied from, each with what of the host stands in it, and the thread that keeps them.
//!
//! What stands in a base is a slave of the host's: what the host mounts there arrives, what it unmounts goes. Where the host's mounts send
//! nothing, the thread watches them instead. It also takes from running tasks what the host unmounts and they would not hear of.

mod host;

use crate::init::message::FIRST_FREE;
use crate::policy::mount::Copy;
use crate::policy::mountinfo::Mount;
use crate::policy::standing::{Extent, Kind, SYSTEM, Standing, is_below};
use crate::sys::descriptor::lift;
use crate::sys::error::{At, Error};
use crate::sys::lock::lock;
use crate::sys::mount;
use crate::sys::mount_table::Table;
use crate::sys::wake::{Wake, poll};
use host::{Host, News};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, mkdirat, openat, readlinkat, statat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, Weak};

/// A mount namespace, of which each task gets a copy.
#[derive(Debug)]
pub(super) struct Base {
    pub namespace: Arc<OwnedFd>,
    /// Directories that are mounted in it, to be moved into the task's own root.
    pub standing: Vec<&'static Path>,
    /// Those of them that stand without what the host has mounted below them, and their file systems' devices.
    pub shallow: Vec<(&'static Path, u64)>,
    /// The host's symlinks beside them, with their texts.
    pub links: Vec<(&'static Path, PathBuf)>,
    pub is_read_only: bool,
    /// Its root is the host's whole tree, and the task has no other.
    pub is_whole: bool,
    made_of: Vec<Option<Identity>>,
}

/// What the host had at the place of something that stands: device, inode and mode. A mount that covers it comes by propagation, or is seen
/// by the watch.
type Identity = (u64, u64, u32);

fn table(extent: Extent) -> &'static [Standing] {
    const WHOLE: [Standing; 1] = [Standing { path: "/", with_mounts: true, has_devices: true }];
    match extent {
        Extent::System => &SYSTEM,
        Extent::Whole => &WHOLE,
        Extent::Nothing => &[],
    }
}

fn made_of(root: impl AsFd, extent: Extent) -> Vec<Option<Identity>> {
    let identity = |standing: &Standing| {
        let stat = statat(&root, beneath(standing.path), AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT).ok()?;
        Some((stat.st_dev, stat.st_ino, stat.st_mode))
    };
    table(extent).iter().map(identity).collect()
}

fn directory(path: &str) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Relative to the root directory.
fn beneath(path: &str) -> &str {
    match path.trim_start_matches('/') {
        "" => ".",
        below => below,
    }
}

/// The bases of one launcher.
#[derive(Default)]
pub(super) struct Bases(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    keeper: Mutex<Option<Keeper>>,
    /// Pidfds of the inits of running tasks.
    tasks: Mutex<Vec<Weak<OwnedFd>>>,
}

/// What launches look at without asking the keeper.
#[derive(Default)]
struct State {
    bases: HashMap<Kind, Arc<Base>>,
    /// Directories of the client's; what is mounted below them is in no base.
    trees: Vec<PathBuf>,
    /// The host's mounts, where they send nothing.
    silent: Option<Table>,
    /// A change was seen that the keeper has not dealt with.
    is_stale: bool,
}

struct Keeper {
    orders: Sender<Order>,
    wake: Arc<Wake>,
}

/// Answered once the base is as the host is now.
struct Order {
    kind: Kind,
    trees: Vec<PathBuf>,
    reply: Sender<crate::sys::Result<Arc<Base>>>,
}

impl Bases {
    /// The base as the host is now, without what is mounted below `trees`.
    pub fn get(&self, kind: Kind, trees: &[PathBuf]) -> crate::sys::Result<Arc<Base>> {
        let root = directory("/").at_path("open", "/")?;
        if let Some(base) = self.0.ready(kind, trees, &root) {
            return Ok(base);
        }
        let (reply, replied) = channel();
        {
            let mut slot = lock(&self.0.keeper);
            let keeper = match &mut *slot {
                Some(keeper) => keeper,
                none => none.insert(start(&self.0)?),
            };
            let _ = keeper.orders.send(Order { kind, trees: trees.to_vec(), reply });
            keeper.wake.wake();
        }
        let gone = || Error { step: "the keeper of mounts has ended", path: None, errno: None };
        replied.recv().unwrap_or_else(|_| Err(gone()))
    }

    pub fn attend(&self, init: &Arc<OwnedFd>) {
        let mut tasks = lock(&self.0.tasks);
        tasks.retain(|task| task.strong_count() > 0);
        tasks.push(Arc::downgrade(init));
    }
}

impl Drop for Bases {
    /// The keeper ends: nobody can ask it any more.
    fn drop(&mut self) {
        if let Some(Keeper { orders, wake }) = lock(&self.0.keeper).take() {
            drop(orders);
            wake.wake();
        }
    }
}

impl Shared {
    /// `root` is the plugin's root directory.
    fn ready(&self, kind: Kind, trees: &[PathBuf], root: impl AsFd) -> Option<Arc<Base>> {
        let mut state = lock(&self.state);
        let base = Arc::clone(state.bases.get(&kind)?);
        let is_current = state.is_current() && trees.iter().all(|tree| state.trees.contains(tree));
        drop(state);
        (is_current && base.made_of == made_of(root, kind.extent)).then_some(base)
    }
}

impl State {
    fn is_current(&mut self) -> bool {
        // What the table tells once it does not tell again.
        self.is_stale |= self.silent.as_ref().is_some_and(Table::has_changed);
        !self.is_stale
    }
}

fn start(shared: &Arc<Shared>) -> crate::sys::Result<Keeper> {
    let wake = Arc::new(Wake::new()?.settled());
    let (orders, waiting) = channel();
    let (woken, shared) = (Arc::clone(&wake), Arc::downgrade(shared));
    let thread = std::thread::Builder::new().name("mounts".into()).stack_size(256 << 10);
    thread.spawn(move || keep(&shared, &waiting, &woken)).at("start the keeper of mounts")?;
    Ok(Keeper { orders, wake })
}

/// The keeper's life.
fn keep(shared: &Weak<Shared>, orders: &Receiver<Order>, wake: &Wake) {
    let mut origin = Origin::here();
    if let Err(e) = &origin {
        log::error!("{e}");
    }
    let mut watch: Option<Watch> = None;
    loop {
        let mut polled = vec![wake.polled()];
        polled.extend(watch.as_ref().map(|watch| watch.table.polled()));
        let _ = poll(&mut polled, None);
        // To have asked is to be told no more.
        let is_changed = polled.get(1).is_some_and(|table| !table.revents().is_empty());
        wake.clear();
        let (Some(shared), Ok(origin)) = (shared.upgrade(), &mut origin) else { return };
        let mut gone = if is_changed { shared.look_again(&mut watch, origin) } else { Vec::new() };
        loop {
            match orders.try_recv() {
                Ok(order) => {
                    let made = shared.serve(&order, &mut watch, origin, &mut gone);
                    let _ = order.reply.send(made);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        // Behind the answers: a task may take its time to be entered.
        shared.let_go(&gone);
    }
}

/// The host's mounts outside the client's directories.
struct Watch {
    table: Table,
    host: Host,
}

impl Shared {
    /// Makes the base if there is none, or the host has changed.
    fn serve(&self, order: &Order, watch: &mut Option<Watch>, origin: &mut Origin, gone: &mut Vec<Mount>) -> crate::sys::Result<Arc<Base>> {
        let mut trees = lock(&self.state).trees.clone();
        let known = trees.len();
        trees.extend(order.trees.iter().filter(|tree| !trees.contains(tree)).cloned().collect::<Vec<_>>());
        if trees.len() > known || (watch.is_none() && !trees.is_empty()) {
            mount::enter_namespace(origin.namespace.as_fd())?;
            // Opened before they are read: what happens in between is a change.
            let (table, asked) = (Table::open(&origin.proc)?, Table::open(&origin.proc)?);
            let host = Host::look(&table, &trees)?;
            // The host did not wait.
            gone.extend(watch.iter().flat_map(|before| host.gone_since(&before.host)));
            let mut state = lock(&self.state);
            state.silent = host.is_silent().then_some(asked);
            state.trees = trees.clone();
            state.bases.clear();
            state.is_stale = false;
            *watch = Some(Watch { table, host });
        }
        // Until nothing has changed meanwhile.
        loop {
            if !lock(&self.state).is_current() {
                gone.extend(self.look_again(watch, origin));
            }
            if let Some(base) = self.ready(order.kind, &order.trees, &origin.root) {
                return Ok(base);
            }
            let base = Arc::new(Base::make(order.kind, origin, &trees)?);
            lock(&self.state).bases.insert(order.kind, base);
        }
    }

    /// What the host has unmounted since the last time. Where its mounts send nothing, bases are as it is then, or gone.
    fn look_again(&self, watch: &mut Option<Watch>, origin: &Origin) -> Vec<Mount> {
        let Some(Watch { table, host }) = watch else { return Vec::new() };
        let trees = {
            let mut state = lock(&self.state);
            // Before it is looked at: what happens from then on is another change.
            state.is_stale = false;
            state.trees.clone()
        };
        let news = mount::enter_namespace(origin.namespace.as_fd()).and_then(|()| host.look_again(table, &trees));
        let mut state = lock(&self.state);
        match news {
            Ok(News::Nothing) => Vec::new(),
            Ok(News::Gone(gone) | News::Other(gone)) => {
                if state.silent.is_some() {
                    state.bases.clear();
                }
                gone
            }
            Err(e) => {
                log::warn!("the host's mounts can't be watched: {e}");
                state.bases.clear();
                Vec::new()
            }
        }
    }

    /// In running tasks, of whose mounts some hear nothing of the host.
    fn let_go(&self, gone: &[Mount]) {
        if gone.is_empty() {
            return;
        }
        let tasks: Vec<Arc<OwnedFd>> = lock(&self.tasks).iter().filter_map(Weak::upgrade).collect();
        for task in tasks {
            // A task that has just ended keeps nothing.
            if mount::enter_namespace(task.as_fd()).is_ok() {
                for mount in gone {
                    let _ = mount::detach_all_of(&mount.path, mount.dev);
                }
            }
        }
    }
}

/// Where the plugin is.
struct Origin {
    namespace: OwnedFd,
    /// Its root directory, which need not be its namespace's.
    root: OwnedFd,
    /// Its /proc, which other namespaces don't have.
    proc: OwnedFd,
    /// A namespace with nothing in it, once it was needed.
    empty: Option<OwnedFd>,
}

impl Origin {
    /// Gives this thread a root directory of its own, which it needs to enter other namespaces.
    fn here() -> crate::sys::Result<Origin> {
        mount::leave_root().at("unshare the root directory")?;
        let open = |path| lift(directory(path).at_path("open", path)?, FIRST_FREE);
        let (root, proc) = (open("/")?, open("/proc")?);
        Ok(Origin { namespace: lift(mount::namespace(proc.as_fd())?, FIRST_FREE)?, root, proc, empty: None })
    }

    /// Moves this thread into a new namespace with nothing in it.
    fn enter_new(&mut self) -> crate::sys::Result<()> {
        let empty = match &self.empty {
            Some(empty) => empty,
            None => {
                mount::enter_namespace(self.namespace.as_fd())?;
                self.empty.insert(lift(mount::empty_namespace(self.proc.as_fd())?, FIRST_FREE)?)
            }
        };
        mount::enter_namespace(empty.as_fd())?;
        mount::own_namespace()
    }
}

impl Base {
    fn make(kind: Kind, origin: &mut Origin, trees: &[PathBuf]) -> crate::sys::Result<Base> {
        mount::enter_namespace(origin.namespace.as_fd())?;
        let made_of = made_of(&origin.root, kind.extent);
        let (mut copies, mut links, mut shallow) = (Vec::new(), Vec::new(), Vec::new());
        for (standing, found) in table(kind.extent).iter().zip(&made_of) {
            let path = Path::new(standing.path);
            let Some((dev, _, mode)) = found else { continue };
            match FileType::from_raw_mode(*mode) {
                FileType::Symlink => {
                    let text = readlinkat(&origin.root, beneath(standing.path), Vec::new()).at_path("readlink", path)?;
                    links.push((path, PathBuf::from(OsString::from_vec(text.into_bytes()))));
                }
                FileType::Directory => {
                    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    let dir = openat(&origin.root, beneath(standing.path), flags, Mode::empty()).at_path("open", path)?;
                    if !standing.with_mounts {
                        shallow.push((path, *dev));
                    }
                    copies.push((path, mount::copy(dir.as_fd(), Copy::standing(*standing, kind.is_read_only), path)?));
                }
                _ => {}
            }
        }
        origin.enter_new()?;
        let is_whole = kind.extent == Extent::Whole;
        if is_whole {
            copies.iter().try_for_each(|(_, copy)| mount::cover_root(copy.as_fd()))?;
        } else {
            let root = mount::tmpfs(&[("mode", "0755"), ("size", "4k"), ("nr_inodes", "32")], false)?;
            mount::cover_root(root.as_fd())?;
            for (path, copy) in &copies {
                mkdirat(&root, beneath(&path.to_string_lossy()), Mode::RWXU).at_path("make in a base", path)?;
                mount::attach(copy.as_fd(), path.strip_prefix("/").unwrap_or(path))?;
            }
            mount::seal(root.as_fd())?;
        }
        let namespace = Arc::new(lift(mount::namespace(origin.proc.as_fd())?, FIRST_FREE)?);
        // At its root, which is what covers it now.
        mount::enter_namespace(namespace.as_fd())?;
        let standing: Vec<&'static Path> = copies.iter().map(|(path, _)| *path).collect();
        forget_allocations(&standing, trees, &origin.proc)?;
        Ok(Base {
            namespace,
            standing: if is_whole { Vec::new() } else { standing },
            shallow,
            links,
            is_read_only: kind.is_read_only,
            is_whole,
            made_of,
        })
    }
}

/// Takes away what is mounted below those trees that stand in this thread's namespace, and lets nothing more arrive there.
fn forget_allocations(standing: &[&Path], trees: &[PathBuf], proc: &OwnedFd) -> crate::sys::Result<()> {
    let trees: Vec<PathBuf> = trees.iter().filter(|tree| standing.iter().any(|path| tree.starts_with(path))).cloned().collect();
    if trees.is_empty() {
        return Ok(());
    }
    let mounts = Table::open(proc)?.read()?;
    for tree in &trees {
        let point = mounts
            .iter()
            .map(|mount| mount.path.as_path())
            .filter(|path| tree.starts_with(path))
            .max_by_key(|path| path.components().count());
        if let Some(point) = point {
            mount_change(point, MountPropagationFlags::PRIVATE).at_path("mount private", point)?;
        }
    }
    let hidden: Vec<_> = mounts.iter().filter(|mount| is_below(&mount.path, &trees)).collect();
    // The lowest take along what is on them. The host may have been faster.
    for mount in hidden.iter().filter(|mount| hidden.iter().all(|other| other.id != mount.parent)) {
        match mount::detach(&mount.path) {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(errno) => return Err(errno).at_path("umount2", &mount.path),
        }
    }
    Ok(())
}
