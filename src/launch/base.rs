//! The mount namespace that a task's is copied from: the host's mounts without those that the client makes for its allocations, of
//! which a node has thousands. A thread lives in it and takes away what the host sends of these.
//!
//! Its mounts are slaves of the host's: what the host mounts arrives, what it unmounts goes. A host whose mounts send nothing is watched
//! instead. Nothing of this is seen on the host.

use super::host::{Host, News};
use crate::sys::error::{At, Error};
use crate::sys::lock::lock;
use crate::sys::mount;
use crate::sys::mount_table::{self, Mount, Table};
use crate::sys::path::Identity;
use crate::sys::wake::{Wake, poll};
use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Weak};

/// The base as launches see it. Whoever holds the lock knows that the keeper is not at work.
struct State {
    /// `None`: it can't be made, or was never asked for.
    namespace: Option<Arc<OwnedFd>>,
    /// Directories of the client's; what is mounted below them is not in the base.
    trees: Vec<PathBuf>,
    /// The base's mounts, and the host's if they must be watched.
    tables: Vec<Table>,
    /// A change was seen that the keeper has not dealt with.
    is_stale: bool,
}

impl State {
    fn is_current(&mut self) -> bool {
        // Each table is asked: what one tells it does not tell again.
        let changed = self.tables.iter().fold(false, |changed, table| table.has_changed() | changed);
        self.is_stale |= changed;
        !self.is_stale
    }

    /// Until the client has a directory that is new here.
    fn give_up(&mut self, error: &Error) {
        log::warn!("tasks get copies of all the host's mounts: {error}");
        self.namespace = None;
        self.tables.clear();
        self.is_stale = false;
    }
}

static STATE: Mutex<State> = Mutex::new(State { namespace: None, trees: Vec::new(), tables: Vec::new(), is_stale: true });
static KEEPER: Mutex<Option<Orders>> = Mutex::new(None);
/// Pidfds of the inits of running tasks, each with the number of the last reading of the base's mounts that had begun by then.
static TASKS: Mutex<Vec<(Weak<OwnedFd>, u64)>> = Mutex::new(Vec::new());
static READINGS: AtomicU64 = AtomicU64::new(0);

/// To the keeper: each is answered once the base is up to date.
struct Orders {
    sender: Sender<Sender<()>>,
    wake: Arc<Wake>,
}

/// The base as the host is now, without what is mounted below `trees`. `None`: there is none, and a copy of the plugin's own namespace
/// must do; why was said.
pub(super) fn current(trees: &[PathBuf]) -> Option<Arc<OwnedFd>> {
    {
        let mut state = lock(&STATE);
        for tree in trees {
            if !state.trees.contains(tree) {
                state.trees.push(tree.clone());
                state.is_stale = true;
            }
        }
        if state.is_current() {
            return state.namespace.clone();
        }
    }
    let asked = ask();
    let mut state = lock(&STATE);
    if let Err(error) = asked {
        state.give_up(&error);
    }
    state.namespace.clone()
}

/// What the host unmounts is let go by this task too, for as long as somebody holds its pidfd.
pub fn attend(task: &Arc<OwnedFd>) {
    let mut tasks = lock(&TASKS);
    tasks.retain(|(task, _)| task.strong_count() > 0);
    tasks.push((Arc::downgrade(task), READINGS.load(Ordering::SeqCst)));
}

fn ask() -> crate::sys::Result<()> {
    let (reply, replied) = channel();
    {
        let mut keeper = lock(&KEEPER);
        let orders = match &mut *keeper {
            Some(orders) => orders,
            none => none.insert(start()?),
        };
        let _ = orders.sender.send(reply);
        orders.wake.wake();
    }
    // Gone without an answer, it has left no base behind.
    let _ = replied.recv();
    Ok(())
}

fn start() -> crate::sys::Result<Orders> {
    let wake = Arc::new(Wake::new()?.settled());
    let (sender, receiver) = channel();
    let keeper_wake = Arc::clone(&wake);
    let thread = std::thread::Builder::new().name("mounts".into()).stack_size(256 << 10);
    thread.spawn(move || keep(&receiver, &keeper_wake)).at("start the keeper of mounts")?;
    Ok(Orders { sender, wake })
}

/// The keeper's life.
fn keep(orders: &Receiver<Sender<()>>, wake: &Wake) {
    let origin = Origin::here();
    let mut base: Option<Base> = None;
    loop {
        let mut polled = vec![wake.polled()];
        if let Some(base) = &base {
            polled.push(base.table.polled());
            polled.extend(base.host.as_ref().map(|(table, _)| table.polled()));
        }
        let _ = poll(&mut polled, None);
        wake.clear();
        let asked: Vec<Sender<()>> = orders.try_iter().collect();
        {
            let mut state = lock(&STATE);
            let settled = origin.as_ref().map_err(Error::clone).and_then(|origin| settle(&mut base, &mut state, origin));
            if let Err(error) = settled {
                base = None;
                state.give_up(&error);
            }
        }
        asked.into_iter().for_each(|reply| reply.send(()).unwrap_or_default());
    }
}

/// Works until nothing has changed meanwhile.
fn settle(base: &mut Option<Base>, state: &mut State, origin: &Origin) -> crate::sys::Result<()> {
    while !state.is_current() {
        state.is_stale = false;
        let known = match base {
            Some(base) => base.update(origin, &state.trees)?,
            None => false,
        };
        if !known {
            let before = base.take().and_then(|base| base.host);
            let (made, tables) = Base::make(origin, &state.trees)?;
            // The host did not wait.
            if let (Some((_, before)), Some((_, now))) = (before, &made.host) {
                made.let_go(&now.gone_since(&before), 0)?;
            }
            state.namespace = Some(Arc::clone(&made.namespace));
            state.tables = tables;
            *base = Some(made);
        }
    }
    Ok(())
}

/// Where the plugin is.
struct Origin {
    namespace: OwnedFd,
    root: Identity,
}

impl Origin {
    /// Gives this thread a root directory of its own, which it needs to enter other namespaces.
    fn here() -> crate::sys::Result<Origin> {
        mount::leave_root().at("unshare the root directory")?;
        Ok(Origin { namespace: super::plan::lifted(mount::namespace()?)?, root: Identity::at_root()? })
    }
}

/// The namespace in which the keeper lives.
struct Base {
    namespace: Arc<OwnedFd>,
    table: Table,
    /// What is in it.
    mounts: Vec<Mount>,
    /// Of its mounts that were not in it from the first: the last reading that they were not in. Tasks that were there before do not have them.
    since: HashMap<u64, u64>,
    /// What was copied, where it must be watched.
    host: Option<(Table, Host)>,
}

impl Base {
    /// A copy of `origin`, the plugin's own, and the tables to be asked for changes.
    fn make(origin: &Origin, trees: &[PathBuf]) -> crate::sys::Result<(Base, Vec<Table>)> {
        mount::enter_namespace(origin.namespace.as_fd())?;
        // Opened before they are read: what happens in between is a change.
        let host_tables = [Table::open()?, Table::open()?];
        let host = Host::look(&host_tables[0], trees)?;
        mount::leave_namespace()?;
        let namespace = Arc::new(super::plan::lifted(mount::namespace()?)?);
        let (table, watched) = (Table::open()?, Table::open()?);
        // A child enters it at its root, which is not this process's where that has changed its root.
        mount::enter_namespace(namespace.as_fd())?;
        if Identity::at_root()? != origin.root {
            return Err(Error::refusal("this process's root is not that of its mount namespace:", "/"));
        }
        let mut tables = vec![watched];
        let [own, others] = host_tables;
        let host = host.is_silent().then(|| {
            tables.push(others);
            (own, host)
        });
        let mut base = Base { namespace, table, mounts: Vec::new(), since: HashMap::new(), host };
        base.mounts = base.prune(trees)?;
        Ok((base, tables))
    }

    /// Follows what has changed on the host. Whether that could be done; otherwise it must be made anew.
    fn update(&mut self, origin: &Origin, trees: &[PathBuf]) -> crate::sys::Result<bool> {
        let mut before = std::mem::take(&mut self.mounts);
        let last = READINGS.load(Ordering::SeqCst);
        self.mounts = self.prune(trees)?;
        let [known, here] = [&before, &self.mounts].map(|mounts| mounts.iter().map(|mount| mount.id).collect::<HashSet<u64>>());
        self.since.extend(here.difference(&known).map(|id| (*id, last)));
        before.retain(|mount| !mount_table::is_below(&mount.path, trees) && !here.contains(&mount.id));
        let gone = before;
        if !gone.is_empty() {
            let since = gone.iter().map(|mount| self.since.remove(&mount.id).unwrap_or(0)).min().unwrap_or(0);
            self.let_go(&gone, since)?;
        }
        if let Some((table, host)) = &mut self.host {
            mount::enter_namespace(origin.namespace.as_fd())?;
            let news = host.look_again(table, trees);
            mount::enter_namespace(self.namespace.as_fd())?;
            match news? {
                News::Nothing => {}
                News::Other(mounts) => {
                    self.let_go(&mounts, 0)?;
                    return Ok(false);
                }
                News::Gone(mounts) => {
                    for mount in &mounts {
                        let _ = mount::detach_all_of(&mount.path, mount.dev);
                    }
                    self.let_go(&mounts, 0)?;
                }
            }
        }
        Ok(true)
    }

    /// Takes away what is mounted below the trees. What is left.
    fn prune(&self, trees: &[PathBuf]) -> crate::sys::Result<Vec<Mount>> {
        READINGS.fetch_add(1, Ordering::SeqCst);
        let mut mounts = self.table.read()?;
        let hidden: HashSet<u64> = mounts.iter().filter(|mount| mount_table::is_below(&mount.path, trees)).map(|mount| mount.id).collect();
        // The lowest take along what is on them. The host may have been faster.
        for mount in mounts.iter().filter(|mount| hidden.contains(&mount.id) && !hidden.contains(&mount.parent)) {
            let _ = mount::detach(&mount.path);
        }
        mounts.retain(|mount| !hidden.contains(&mount.id));
        Ok(mounts)
    }

    /// In running tasks, of whose mounts some hear nothing of the host (see `mounts`): those that were there at reading `since` or later.
    fn let_go(&self, gone: &[Mount], since: u64) -> crate::sys::Result<()> {
        let tasks: Vec<Arc<OwnedFd>> =
            lock(&TASKS).iter().filter(|(_, seen)| *seen >= since).filter_map(|(task, _)| task.upgrade()).collect();
        for task in tasks {
            // A task that has just ended keeps nothing.
            if mount::enter_namespace(task.as_fd()).is_ok() {
                for mount in gone {
                    let _ = mount::detach_all_of(&mount.path, mount.dev);
                }
            }
        }
        mount::enter_namespace(self.namespace.as_fd())
    }
}
