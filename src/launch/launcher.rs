//! Who launches: what all launches of this process share, and what is ready before a task comes.

use super::base::Bases;
use super::ready::Slot;
use crate::descriptor::{self, lift, settle};
use crate::error::At;
use crate::init::IMAGE;
use crate::launch_error::LaunchError;
use crate::lock::{latest, once};
use crate::policy::capability::Capabilities;
use crate::policy::filter::{self, Arch, Instruction, Subject};
use crate::policy::message;
use crate::policy::mount::Copy;
use crate::sys::capability::{self, Sets};
use crate::sys::clone::Stacks;
use crate::sys::heap;
use crate::sys::{memfd, mount, path, signal};
use crate::watch::memory;
use crate::watch::own::Own;
use crate::watch::thread::Worker;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Descriptors that the plugin's table has room for from the first. A task takes five.
const DESCRIPTORS: u32 = 4096;

/// Made once, in main, before other threads are started; tests make their own.
pub struct Launcher {
    /// What a thread of this process, other than the giver, hands on to a child.
    sets: Sets,
    /// The one thread of the plugin that can still hand capabilities on, and which. `None`: there is no such difference between threads.
    giver: Option<(Sets, Worker)>,
    /// The soft limit of descriptors that this process was started with, if it has raised its own: tasks get it back.
    pub(super) given_descriptors: Option<u64>,
    init: Mutex<Option<Arc<Init>>>,
    pub(super) bases: Bases,
    pub(super) stacks: Stacks,
    null: Mutex<Option<Arc<Null>>>,
    pub(super) ready: Slot,
    /// The last filter that was made, and for whom.
    filter: Mutex<Option<(Subject, Arc<[Instruction]>)>>,
    /// Directories that no task sees.
    pub own: Own,
    /// For the one task of a command line that has its streams there.
    pub(super) terminal: Mutex<Option<OwnedFd>>,
}

/// The host's /dev/null.
pub struct Null {
    pub(super) device: OwnedFd,
    /// Mounted read-only, nowhere: a task that has it open, root included, changes neither its mode nor its times.
    pub read_only: OwnedFd,
}

/// The image that every task's init is executed from.
pub(super) struct Init {
    pub image: Arc<OwnedFd>,
    /// It is a file, which needs a rule to be executed; a memory file does not.
    pub is_file: bool,
}

impl Launcher {
    /// Of this process as it is. Signals that it ignores are caught from now on, and its memory is closed (see [`signal::prepare`]).
    /// With `keeps_ignored` children ignore what this process ignores.
    pub fn of_this_process(keeps_ignored: bool) -> Launcher {
        signal::prepare(keeps_ignored);
        Launcher {
            sets: capability::of_this_thread(),
            giver: None,
            given_descriptors: None,
            init: Mutex::default(),
            bases: Bases::default(),
            stacks: Stacks::default(),
            null: Mutex::default(),
            ready: Slot::default(),
            filter: Mutex::default(),
            own: Own::default(),
            terminal: Mutex::default(),
        }
    }

    /// Of the plugin, which has thousands of tasks: room for their descriptors, and one thread alone that hands on capabilities.
    pub fn of_plugin() -> Launcher {
        heap::share_arenas();
        let given_descriptors = descriptor::raise_limit();
        descriptor::reserve(DESCRIPTORS);
        let sets = capability::of_this_thread();
        let giver = Worker::start("capable").ok().map(|thread| (sets, thread));
        // Of this thread, and of those that it starts from now on.
        capability::drop_bounding_set();
        Launcher { giver, given_descriptors, ..Launcher::of_this_process(false) }
    }

    /// Gives the next task that terminal (see [`crate::policy::stdio::Stdio::Terminal`]).
    pub fn with_terminal(self, terminal: Option<OwnedFd>) -> Launcher {
        Launcher { terminal: Mutex::new(terminal), ..self }
    }

    /// What a task can be given here.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities(self.giver.as_ref().map_or(self.sets, |(sets, _)| *sets).permitted)
    }

    /// The bounding set with which a child starts that is to have these.
    pub(super) fn bounding_of_children(&self, capabilities: Capabilities) -> u64 {
        let giver = self.giver.as_ref().filter(|_| !capabilities.is_empty());
        giver.map_or(self.sets, |(sets, _)| *sets).bounding
    }

    /// Does `act`, which clones a child that is to have these, on a thread that can hand them on. `None`: there is none.
    pub(super) fn act<T: Send + 'static>(&self, capabilities: Capabilities, act: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        match self.giver.as_ref().filter(|_| !capabilities.is_empty()) {
            Some((_, thread)) => thread.act(act),
            None => Some(act()),
        }
    }

    /// Init's image, made at the first launch. Where memory files can't be executed it is a file in `state_dir`.
    pub(super) fn init(&self, state_dir: &Path) -> Result<Arc<Init>, LaunchError> {
        once(&self.init, || {
            memory::is_private()?;
            let (image, is_memory) = memfd::executable(IMAGE, state_dir)?;
            Ok(Init { image: Arc::new(lift(image, message::FIRST_FREE)?), is_file: !is_memory })
        })
    }

    /// Makes ready what the next task will need that is like the last.
    pub fn make_ready(&self) {
        self.ready.fill();
    }

    pub fn null(&self) -> Result<Arc<Null>, LaunchError> {
        once(&self.null, || {
            let path = Path::new("/dev/null");
            let device = settle(path::open_strict(path).at_path("open", path)?);
            let read_only = settle(mount::copy(device.as_fd(), Copy::DEVICE, path)?);
            Ok(Null { device, read_only })
        })
    }

    /// The program of the system call filter for such a task; without one it is empty.
    pub(super) fn filter(&self, subject: Option<&Subject>) -> Arc<[Instruction]> {
        let make = |subject: &Subject| filter::program(Arch::native(), subject).into();
        subject.map_or_else(Arc::default, |subject| latest(&self.filter, *subject, make))
    }

    /// What the host unmounts is let go by this task too, for as long as somebody holds its init's pidfd.
    pub fn attend(&self, init: &Arc<OwnedFd>) {
        self.bases.attend(init);
    }
}
