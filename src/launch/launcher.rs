//! Who launches: what all launches of this process share, and what is ready before a task comes.

use super::base::Bases;
use super::error::LaunchError;
use super::ready::Slot;
use crate::descriptor::{self, lift, settle};
use crate::error::At;
use crate::init::IMAGE;
use crate::lock::lock;
use crate::policy::capability::Capabilities;
use crate::policy::filter::{self, Arch, Instruction, Subject};
use crate::policy::mount::Copy;
use crate::policy::{mask, message};
use crate::sys::capability::{self, Sets};
use crate::sys::clone::Stacks;
use crate::sys::{heap, memfd, mount, path, signal};
use crate::watch::own::Own;
use crate::watch::thread::Worker;
use rustix::fs::OFlags;
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

/// Descriptors that the plugin's table has room for from the first. A task takes five.
const DESCRIPTORS: u32 = 4096;

/// Made once, in main, before other threads are started; tests make their own.
pub struct Launcher {
    /// What a thread of this process, other than the giver's, hands on to a child.
    sets: Sets,
    /// `None`: every thread can.
    giver: Option<Giver>,
    /// The soft limit of descriptors that this process was started with, if it has raised its own: tasks get it back.
    given_descriptors: Option<u64>,
    init: Mutex<Option<Arc<Init>>>,
    pub(super) bases: Bases,
    pub(super) stacks: Stacks,
    masks: OnceLock<Vec<&'static CStr>>,
    null: OnceLock<Null>,
    pub(super) ready: Slot,
    /// The last filter that was made, and for whom.
    filter: Mutex<Option<(Subject, Arc<[Instruction]>)>>,
    /// Directories that no task sees.
    pub own: Own,
}

/// The one thread of the plugin that can still hand capabilities on to a child, and which.
struct Giver {
    sets: Sets,
    /// Where it can't be had, no task gets a capability.
    thread: Option<Worker>,
}

impl Giver {
    /// Starts the thread, and then empties the bounding set of the calling thread and of those that it starts.
    fn start() -> Giver {
        let sets = capability::of_this_thread();
        let thread = Worker::start("capable").ok();
        capability::drop_bounding_set();
        Giver { sets: if thread.is_some() { sets } else { Sets::default() }, thread }
    }
}

/// The host's /dev/null.
pub(super) struct Null {
    pub device: OwnedFd,
    /// Mounted read-only, nowhere: a task that has it open, root included, changes neither its mode nor its times.
    read_only: OwnedFd,
}

impl Null {
    /// Opened for one task: its flags and locks would be shared.
    pub fn open(&self) -> Result<OwnedFd, LaunchError> {
        Ok(memfd::reopen(&self.read_only, OFlags::RDWR).at_path("open", "/dev/null")?)
    }
}

/// The image that every task's init is executed from.
pub(super) struct Init {
    pub image: Arc<OwnedFd>,
    /// It is a file, which needs a rule to be executed; a memory file does not.
    pub is_file: bool,
}

impl Launcher {
    /// Of this process as it is. Signals that it ignores are caught from now on, and its memory is closed (see [`signal::prepare`]).
    pub fn new() -> Launcher {
        Launcher::prepared(false)
    }

    fn prepared(keeps_ignored: bool) -> Launcher {
        signal::prepare(keeps_ignored);
        Launcher {
            sets: capability::of_this_thread(),
            giver: None,
            given_descriptors: None,
            init: Mutex::default(),
            bases: Bases::default(),
            stacks: Stacks::default(),
            masks: OnceLock::new(),
            null: OnceLock::new(),
            ready: Slot::default(),
            filter: Mutex::default(),
            own: Own::default(),
        }
    }

    /// Of the plugin, which has thousands of tasks: room for their descriptors, and one thread alone that hands on capabilities.
    pub fn of_plugin() -> Launcher {
        heap::share_arenas();
        let given_descriptors = descriptor::raise_limit();
        descriptor::reserve(DESCRIPTORS);
        let giver = Some(Giver::start());
        Launcher { giver, given_descriptors, ..Launcher::new() }
    }

    /// Of a command line: its task has no capability, and ignores the signals that this process ignores.
    pub fn of_shell() -> Launcher {
        capability::drop_bounding_set();
        Launcher::prepared(true)
    }

    /// What a task can be given here.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities(self.giver.as_ref().map_or(self.sets, |giver| giver.sets).permitted)
    }

    /// The bounding set with which a child starts that is to have these.
    pub(super) fn bounding_of_children(&self, capabilities: Capabilities) -> u64 {
        let giver = self.giver.as_ref().filter(|_| !capabilities.is_empty());
        giver.map_or(self.sets, |giver| giver.sets).bounding
    }

    /// Does `act`, which clones a child that is to have these, on a thread that can hand them on. `None`: there is none.
    pub(super) fn act<T: Send + 'static>(&self, capabilities: Capabilities, act: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        match self.giver.as_ref().filter(|_| !capabilities.is_empty()) {
            Some(giver) => giver.thread.as_ref()?.act(act),
            None => Some(act()),
        }
    }

    pub(super) fn given_descriptors(&self) -> Option<u64> {
        self.given_descriptors
    }

    /// Init's image, made at the first launch. Where memory files can't be executed it is a file in `state_dir`.
    pub(super) fn init(&self, state_dir: &Path) -> Result<Arc<Init>, LaunchError> {
        let mut slot = lock(&self.init);
        if let Some(init) = &*slot {
            return Ok(Arc::clone(init));
        }
        private_memory()?;
        let (image, is_file) = match memfd::executable(IMAGE)? {
            Some(image) => (image, false),
            None => (memfd::executable_file(IMAGE, state_dir)?, true),
        };
        let init = Arc::new(Init { image: Arc::new(lift(image, message::FIRST_FREE)?), is_file });
        Ok(Arc::clone(slot.insert(init)))
    }

    /// Those files of /proc that this kernel has and some task may not read.
    pub(super) fn masks(&self) -> &[&'static CStr] {
        self.masks.get_or_init(|| mask::files().filter(|path| rustix::fs::lstat(*path).is_ok()).collect())
    }

    /// Makes ready what the next task will need that is like the last.
    pub fn make_ready(&self) {
        self.ready.fill();
    }

    pub(super) fn null(&self) -> Result<&Null, LaunchError> {
        if let Some(null) = self.null.get() {
            return Ok(null);
        }
        let path = Path::new("/dev/null");
        let device = settle(path::open_strict(path).at_path("open", path)?);
        let read_only = settle(mount::copy(device.as_fd(), Copy::DEVICE, path)?);
        Ok(self.null.get_or_init(|| Null { device, read_only }))
    }

    /// The program of the system call filter for such a task.
    pub(super) fn filter(&self, subject: &Subject) -> Arc<[Instruction]> {
        // All users but root have the same.
        let subject = Subject { uid: subject.uid.min(1), ..*subject };
        let mut slot = lock(&self.filter);
        match &*slot {
            Some((known, program)) if *known == subject => Arc::clone(program),
            _ => Arc::clone(&slot.insert((subject, filter::program(Arch::native(), &subject).into())).1),
        }
    }

    /// What the host unmounts is let go by this task too, for as long as somebody holds its init's pidfd.
    pub fn attend(&self, init: &Arc<OwnedFd>) {
        self.bases.attend(init);
    }
}

impl Default for Launcher {
    fn default() -> Launcher {
        Launcher::new()
    }
}

/// With fs.suid_dumpable = 1 a child's change of user opens the memory that it shares with this process to that user.
pub fn private_memory() -> Result<(), LaunchError> {
    let path = "/proc/sys/fs/suid_dumpable";
    let value = std::fs::read_to_string(path).at_path("read", path)?;
    if value.trim() == "1" {
        let reason = "is 1, which opens this process's memory to the tasks' users; set it to 0 or 2";
        return Err(LaunchError::refused("sysctl fs.suid_dumpable", reason));
    }
    Ok(())
}
