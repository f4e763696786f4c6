//! A command that runs in a task beside the task's own, seen from here: our ends of its standard streams, and how far it has come.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Gid, OFlags, Uid, fchown, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::error::At;
use crate::lock::lock;
use crate::policy::signal::Signal;
use crate::task::pty;
use crate::task::{NotFound, Session, Started, TaskError, Tasks};
use crate::watch::process;
use crate::watch::wake::{Wake, poll};

use super::exec_input::Input;

/// Bytes taken from an output at one time.
const CHUNK: usize = 32 << 10;
/// How long an output may be silent after the command has ended, if processes that it left behind still hold it: what they say is shown
/// as long as it comes, but a silent daemon does not hold the session for ever. With merged outputs the time is not extended by what comes.
const LINGER: Duration = Duration::from_millis(500);
/// No pipe and no terminal holds more when the command ends; what comes after that is not the command's.
const BUFFERED: usize = 256 << 10;

/// What a command's standard streams are.
#[derive(Clone, Copy, PartialEq)]
pub enum Stdio {
    /// A pipe each.
    Pipes,
    /// A terminal for all three; its output is output 0.
    Terminal,
    /// No input, and one pipe for both outputs, which is output 0.
    Merged,
}

/// What there is to know of a command next.
pub enum Next {
    /// Output 0 (standard output) or 1 (standard error) said something.
    Output(usize, Vec<u8>),
    /// That output has ended.
    Closed(usize),
    /// It has ended after its outputs have: its wait status, or `None` when the task ended first.
    Ended(Option<i32>),
    /// It could not be started.
    Failed(String),
    /// Nothing before the command is heard of, or before that time.
    Nothing(Option<Instant>),
}

enum Stage {
    New,
    Starting,
    /// As `Starting`, and to be killed once it runs.
    Unwanted,
    /// Its pid in the task's namespace.
    Running(u32),
    Failed(String),
    Ended(Option<i32>),
}

/// How far a command has come, as the task's thread tells it.
struct Progress {
    stage: Mutex<Stage>,
    wake: Arc<Wake>,
}

impl Progress {
    fn set(&self, stage: Stage) {
        *lock(&self.stage) = stage;
        self.wake.wake();
    }

    /// Notes that it runs as `pid`. True when it is to be killed at once.
    fn runs(&self, pid: u32) -> bool {
        let before = std::mem::replace(&mut *lock(&self.stage), Stage::Running(pid));
        self.wake.wake();
        matches!(before, Stage::Unwanted)
    }
}

pub struct Command {
    stdio: Stdio,
    pub input: Input,
    outputs: [Option<OwnedFd>; 2],
    /// The terminal's slave side, held open: a command may close all of its own and open the terminal again (getpass(3) does), and
    /// meanwhile read(2) and poll(2) on the master would report a hang-up.
    _terminal: Option<OwnedFd>,
    /// The output to look at first: they take turns.
    turn: usize,
    /// The ends of the command, until it starts.
    theirs: Option<[OwnedFd; 3]>,
    /// The task, once it starts there.
    task: Option<(Tasks, String)>,
    progress: Arc<Progress>,
    chunk: Box<[u8]>,
    /// Since when the ended command's outputs are silent.
    silent: Option<Instant>,
    /// What may still come of the ended command itself.
    buffered: usize,
}

impl Command {
    /// Its streams, before it starts in the task `started`. `wake` wakes the caller's thread.
    pub fn open(tasks: &Tasks, stdio: Stdio, started: &Started, wake: &Arc<Wake>) -> Result<Command, TaskError> {
        let Streams { input, outputs, theirs, terminal } = streams(tasks, stdio, started)?;
        let owner = process::owner(started.pid);
        // Pids are used again, but not as long as the task lives: if it does now, the pid was its own until now.
        if !started.lives() {
            return Err(TaskError::Ended);
        }
        let (uid, gid) = owner?;
        // The task's user owns the ends, as it does the log FIFOs: opening /dev/stdout opens the pipe anew, which its mode must allow.
        // A terminal keeps the group that it has.
        let gid = (stdio != Stdio::Terminal).then(|| Gid::from_raw(gid));
        for end in if stdio == Stdio::Merged { &theirs[1..] } else { &theirs[..] } {
            let _ = fchown(end, Some(Uid::from_raw(uid)), gid);
        }
        for ours in input.iter().chain(outputs.iter().flatten()) {
            fcntl_setfl(ours, OFlags::NONBLOCK).at("fcntl O_NONBLOCK")?;
        }
        Ok(Command {
            stdio,
            input: Input::new(input, stdio == Stdio::Terminal),
            outputs,
            _terminal: terminal,
            turn: 0,
            theirs: Some(theirs),
            task: None,
            progress: Arc::new(Progress { stage: Mutex::new(Stage::New), wake: wake.clone() }),
            chunk: vec![0; CHUNK].into(),
            silent: None,
            buffered: BUFFERED,
        })
    }

    /// Sets the terminal's size, if there is one.
    pub fn resize(&self, rows: u16, columns: u16) {
        if let Some(terminal) = self.outputs[0].as_ref().filter(|_| self.stdio == Stdio::Terminal)
            && let Err(e) = pty::resize(terminal, rows, columns)
        {
            log::warn!("{e}");
        }
    }

    /// Starts `argv` in the task `id`. How that went comes from `next`.
    pub fn start(&mut self, tasks: &Tasks, id: &str, argv: Vec<String>) -> Result<(), NotFound> {
        let Some(stdio) = self.theirs.take() else { return Ok(()) };
        self.task = Some((tasks.clone(), id.to_owned()));
        *lock(&self.progress.stage) = Stage::Starting;
        let (begun, ended) = (self.progress.clone(), self.progress.clone());
        let (register, task) = (tasks.clone(), id.to_owned());
        let asked = self.progress.clone();
        let wanted = Box::new(move || !matches!(*lock(&asked.stage), Stage::Unwanted));
        tasks.exec(
            id,
            Session { argv, stdio, terminal: self.stdio == Stdio::Terminal, wanted },
            move |result| match result {
                Ok(pid) if begun.runs(pid) => kill(&register, &task, pid),
                Ok(_) => {}
                Err(e) => begun.set(Stage::Failed(e.to_string())),
            },
            move |outcome| match outcome {
                Ok(status) => ended.set(Stage::Ended(Some(status))),
                Err(TaskError::Ended) => ended.set(Stage::Ended(None)),
                Err(e) => ended.set(Stage::Failed(e.to_string())),
            },
        )
    }

    /// What there is to know now. Never waits.
    pub fn next(&mut self) -> Next {
        // Asked before the outputs are read: if it has ended by now, what they hold is the last that the command said.
        let ended = match &*lock(&self.progress.stage) {
            Stage::Failed(reason) => return Next::Failed(reason.clone()),
            Stage::Ended(status) => Some(*status),
            _ => None,
        };
        for output in [self.turn, 1 - self.turn] {
            match self.read(output) {
                Some(0) => {
                    self.outputs[output] = None;
                    return Next::Closed(output);
                }
                Some(count) if ended.is_none() || self.may_follow(count) => {
                    self.turn = 1 - output;
                    return Next::Output(output, self.chunk[..count].to_vec());
                }
                // More than was the command's.
                Some(_) => {
                    self.outputs[output] = None;
                    return Next::Closed(output);
                }
                None => {}
            }
        }
        let Some(status) = ended else { return Next::Nothing(None) };
        self.input.abandon();
        let Some(open) = self.outputs.iter().position(Option::is_some) else { return Next::Ended(status) };
        if self.stdio != Stdio::Terminal {
            let until = *self.silent.get_or_insert_with(Instant::now) + LINGER;
            if Instant::now() < until {
                return Next::Nothing(Some(until));
            }
        }
        self.outputs[open] = None;
        Next::Closed(open)
    }

    /// Whether `count` more bytes are shown after the end. Where each output has its own pipe all are, as long as they come.
    fn may_follow(&mut self, count: usize) -> bool {
        if self.stdio == Stdio::Pipes {
            self.silent = None;
            return true;
        }
        let may = self.buffered >= count;
        self.buffered = self.buffered.saturating_sub(count);
        may
    }

    /// Bytes in the chunk; 0 at the end, `None` when there is nothing at the moment.
    fn read(&mut self, output: usize) -> Option<usize> {
        let from = self.outputs[output].as_ref()?;
        loop {
            return match rustix::io::read(from, &mut self.chunk[..]) {
                Ok(count) => Some(count),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => None,
                Err(_) => Some(0),
            };
        }
    }

    /// Waits for the wake, for room in the input, for one of the outputs if `outputs`, and until `until` at the most.
    pub fn wait(&self, outputs: bool, until: Option<Instant>) {
        let mut polled = vec![self.progress.wake.polled()];
        if outputs {
            polled.extend(self.outputs.iter().flatten().map(|output| PollFd::new(output, PollFlags::IN)));
        }
        let input = self.input.awaits();
        polled.extend(input.iter().map(|input| PollFd::new(input, PollFlags::OUT)));
        let limit = until.map(|until| until.saturating_duration_since(Instant::now()));
        // EINTR is a reason to look, too.
        let _ = poll(&mut polled, limit);
    }

    /// SIGKILL for its process group. One that is still being started is killed as soon as it runs, and the answer is false. Never waits:
    /// a task can hold its init up.
    pub fn kill(&self) -> bool {
        let Some((tasks, id)) = &self.task else { return false };
        let mut stage = lock(&self.progress.stage);
        match *stage {
            Stage::New | Stage::Starting | Stage::Unwanted => {
                *stage = Stage::Unwanted;
                return false;
            }
            Stage::Running(pid) => {
                drop(stage);
                kill(tasks, id, pid);
            }
            Stage::Failed(_) | Stage::Ended(_) => {}
        }
        true
    }

    pub fn is_running(&self) -> bool {
        matches!(*lock(&self.progress.stage), Stage::Starting | Stage::Unwanted | Stage::Running(_))
    }
}

/// SIGKILL for the process group of the session `pid` of task `id`.
fn kill(tasks: &Tasks, id: &str, pid: u32) {
    // It fails when the task or the command has just ended: nothing is left to be killed.
    let _ = tasks.signal_session(id, pid, Signal::KILL, drop);
}

/// Our input, our outputs, the command's three ends, and what is kept open of the terminal.
struct Streams {
    input: Option<OwnedFd>,
    outputs: [Option<OwnedFd>; 2],
    theirs: [OwnedFd; 3],
    terminal: Option<OwnedFd>,
}

fn streams(tasks: &Tasks, stdio: Stdio, task: &Started) -> Result<Streams, TaskError> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).at("pipe2");
    let copy = |end: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(end.as_fd(), 3).at("fcntl F_DUPFD_CLOEXEC");
    match stdio {
        Stdio::Pipes => {
            let ((stdin, input), (output, stdout), (errors, stderr)) = (pipe()?, pipe()?, pipe()?);
            Ok(Streams { input: Some(input), outputs: [Some(output), Some(errors)], theirs: [stdin, stdout, stderr], terminal: None })
        }
        Stdio::Terminal => {
            let pty = pty::open_for(task)?;
            let theirs = [copy(&pty.slave)?, copy(&pty.slave)?, copy(&pty.slave)?];
            Ok(Streams { input: Some(copy(&pty.master)?), outputs: [Some(pty.master), None], theirs, terminal: Some(pty.slave) })
        }
        Stdio::Merged => {
            let (output, stdout) = pipe()?;
            let theirs = [tasks.open_null()?, copy(&stdout)?, stdout];
            Ok(Streams { input: None, outputs: [Some(output), None], theirs, terminal: None })
        }
    }
}
