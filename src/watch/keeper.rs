//! The bases of one launcher, kept as the host is: the thread that makes them, and makes them anew when the host has changed.
//!
//! What stands in a base is a slave of the host's: what the host mounts there arrives, what it unmounts goes. Where the host's mounts send
//! nothing, the thread watches them instead. It also has running tasks let go of what the host unmounts and they would not hear of.

use super::host::{Host, News};
use super::mount_table::Table;
use super::wake::{Wake, poll};
use crate::error::{At, Error, Result};
use crate::lock::lock;
use crate::policy::mountinfo::Mount;
use crate::policy::standing::Kind;
use crate::sys::path;
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, Weak};

/// Who makes bases, on the keeper's thread.
pub trait Maker: Sized + 'static {
    type Base: Send + Sync + 'static;

    /// Where this thread is: the host is what is seen from here.
    fn here() -> Result<Self>;
    /// The host's root directory.
    fn root(&self) -> BorrowedFd<'_>;
    /// Moves this thread to the host's mounts.
    fn enter_host(&self) -> Result<()>;
    /// Of the mounts to which this thread has moved.
    fn table(&self) -> Result<Table>;
    /// The base as the host is now, without what is mounted below `trees`.
    fn make(&mut self, kind: Kind, trees: &[PathBuf]) -> Result<Self::Base>;
    /// Whether what the host has below `root` is what the base was made of, as far as a look without this thread can tell.
    fn is_current(base: &Self::Base, kind: Kind, root: BorrowedFd<'_>) -> bool;
    /// Moves this thread to the mounts of a running task, and takes from them what is gone on the host.
    fn let_go(init: BorrowedFd<'_>, gone: &[Mount]);
}

/// The bases of one launcher.
pub struct Bases<M: Maker>(Arc<Shared<M>>);

struct Shared<M: Maker> {
    state: Mutex<State<M>>,
    keeper: Mutex<Option<Keeper<M>>>,
    /// Pidfds of the inits of running tasks.
    tasks: Mutex<Vec<Weak<OwnedFd>>>,
}

/// What launches look at without asking the keeper.
struct State<M: Maker> {
    bases: HashMap<Kind, Arc<M::Base>>,
    /// Directories of the client's; what is mounted below them is in no base.
    trees: Vec<PathBuf>,
    /// The host's mounts, where they send nothing.
    silent: Option<Table>,
    /// A change was seen that the keeper has not dealt with.
    is_stale: bool,
}

struct Keeper<M: Maker> {
    orders: Sender<Order<M>>,
    wake: Arc<Wake>,
}

/// Answered once the base is as the host is now.
struct Order<M: Maker> {
    kind: Kind,
    trees: Vec<PathBuf>,
    reply: Sender<Result<Arc<M::Base>>>,
}

impl<M: Maker> Default for Bases<M> {
    fn default() -> Bases<M> {
        let state = State { bases: HashMap::new(), trees: Vec::new(), silent: None, is_stale: false };
        Bases(Arc::new(Shared { state: Mutex::new(state), keeper: Mutex::default(), tasks: Mutex::default() }))
    }
}

impl<M: Maker> Bases<M> {
    /// The base as the host is now, without what is mounted below `trees`.
    pub fn get(&self, kind: Kind, trees: &[PathBuf]) -> Result<Arc<M::Base>> {
        let root = path::directory("/").at_path("open", "/")?;
        if let Some(base) = self.0.ready(kind, trees, root.as_fd()) {
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

impl<M: Maker> Drop for Bases<M> {
    /// The keeper ends: nobody can ask it any more.
    fn drop(&mut self) {
        if let Some(Keeper { orders, wake }) = lock(&self.0.keeper).take() {
            drop(orders);
            wake.wake();
        }
    }
}

impl<M: Maker> Shared<M> {
    /// `root` is the plugin's root directory.
    fn ready(&self, kind: Kind, trees: &[PathBuf], root: BorrowedFd<'_>) -> Option<Arc<M::Base>> {
        let mut state = lock(&self.state);
        let base = Arc::clone(state.bases.get(&kind)?);
        let is_current = state.is_current() && trees.iter().all(|tree| state.trees.contains(tree));
        drop(state);
        (is_current && M::is_current(&base, kind, root)).then_some(base)
    }
}

impl<M: Maker> State<M> {
    fn is_current(&mut self) -> bool {
        // What the table tells once it does not tell again.
        self.is_stale |= self.silent.as_ref().is_some_and(Table::has_changed);
        !self.is_stale
    }
}

fn start<M: Maker>(shared: &Arc<Shared<M>>) -> Result<Keeper<M>> {
    let wake = Arc::new(Wake::new()?.settled());
    let (orders, waiting) = channel();
    let (woken, shared) = (Arc::clone(&wake), Arc::downgrade(shared));
    let thread = std::thread::Builder::new().name("mounts".into()).stack_size(256 << 10);
    thread.spawn(move || keep(&shared, &waiting, &woken)).at("start the keeper of mounts")?;
    Ok(Keeper { orders, wake })
}

/// The keeper's life.
fn keep<M: Maker>(shared: &Weak<Shared<M>>, orders: &Receiver<Order<M>>, wake: &Wake) {
    let mut maker = M::here();
    if let Err(e) = &maker {
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
        let (Some(shared), Ok(maker)) = (shared.upgrade(), &mut maker) else { return };
        let mut gone = if is_changed { shared.look_again(&mut watch, maker) } else { Vec::new() };
        loop {
            match orders.try_recv() {
                Ok(order) => {
                    let made = shared.serve(&order, &mut watch, maker, &mut gone);
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

impl<M: Maker> Shared<M> {
    /// Makes the base if there is none, or the host has changed.
    fn serve(&self, order: &Order<M>, watch: &mut Option<Watch>, maker: &mut M, gone: &mut Vec<Mount>) -> Result<Arc<M::Base>> {
        let mut trees = lock(&self.state).trees.clone();
        let known = trees.len();
        trees.extend(order.trees.iter().filter(|tree| !trees.contains(tree)).cloned().collect::<Vec<_>>());
        if trees.len() > known || (watch.is_none() && !trees.is_empty()) {
            maker.enter_host()?;
            // Opened before they are read: what happens in between is a change.
            let (table, asked) = (maker.table()?, maker.table()?);
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
                gone.extend(self.look_again(watch, maker));
            }
            if let Some(base) = self.ready(order.kind, &order.trees, maker.root()) {
                return Ok(base);
            }
            let base = Arc::new(maker.make(order.kind, &trees)?);
            lock(&self.state).bases.insert(order.kind, base);
        }
    }

    /// What the host has unmounted since the last time. Where its mounts send nothing, bases are as it is then, or gone.
    fn look_again(&self, watch: &mut Option<Watch>, maker: &M) -> Vec<Mount> {
        let Some(Watch { table, host }) = watch else { return Vec::new() };
        let trees = {
            let mut state = lock(&self.state);
            // Before it is looked at: what happens from then on is another change.
            state.is_stale = false;
            state.trees.clone()
        };
        let news = maker.enter_host().and_then(|()| host.look_again(table, &trees));
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
        tasks.iter().for_each(|task| M::let_go(task.as_fd(), gone));
    }
}
