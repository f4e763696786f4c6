//! The signals of a `run` while its command runs: passed on, or those of job control, by which both stop and go on together.

use super::forwarded::Forwarded;
use super::terminal::Terminal;
use crate::policy::signal::Signal;
use crate::policy::signal_set::Set;
use crate::task::Tasks;
use rustix::process;
use rustix::stdio::stdin;
use rustix::termios::tcgetpgrp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

/// How long a command may take to be stopped that has no terminal of its own.
const SETTLE: Duration = Duration::from_secs(1);

/// The signal that has stopped the command, from whoever hears of it to the thread that acts on it; 0 for none.
#[derive(Clone, Default)]
pub struct Stopped(Arc<AtomicI32>);

impl Stopped {
    /// The command was stopped by that signal.
    pub fn by(&self, signal: i32) {
        self.0.store(signal, Ordering::Release);
        // Blocked in every thread: `Job::serve` takes it.
        let _ = process::kill_process(process::getpid(), process::Signal::TSTP);
    }
}

/// The command as a job of this process.
pub struct Job {
    pub tasks: Tasks,
    pub id: String,
    pub terminal: Option<Arc<Terminal>>,
    pub stopped: Stopped,
}

impl Job {
    /// Serves the signals for ever.
    pub fn serve(&self, signals: &Forwarded) -> ! {
        signals.each(|number| match number {
            libc::SIGTSTP => self.stop(),
            libc::SIGCONT => self.go_on(),
            libc::SIGWINCH if self.terminal.is_some() => self.terminal.iter().for_each(|terminal| terminal.resize()),
            number => {
                self.signal(number);
                // What is stopped hears of none but this one.
                if matches!(number, libc::SIGTERM | libc::SIGHUP | libc::SIGINT | libc::SIGQUIT) {
                    self.signal(libc::SIGCONT);
                }
            }
        })
    }

    fn signal(&self, number: i32) {
        if let Ok(signal) = Signal::parse(&number.to_string()) {
            // What ended in the meantime needs no signal.
            let _ = self.tasks.signal(&self.id, signal, |_| {});
        }
    }

    /// Ctrl-Z, or the command has stopped: after it this process.
    fn stop(&self) {
        match (&self.terminal, self.stopped.0.swap(0, Ordering::AcqRel)) {
            // From elsewhere, and not of the terminal: the command is asked first.
            (Some(_), 0) => return self.signal(libc::SIGTSTP),
            // Nobody could let this process go on: no shell has it as a job. What stopped itself stays so, and a timeout ends it.
            (Some(_), _) if tcgetpgrp(stdin()).is_err() => return,
            // It has read in the background, but this process is in the foreground by now (fg does not tell what runs).
            (Some(terminal), libc::SIGTTIN | libc::SIGTTOU) if terminal.attach() => return self.go_on(),
            (Some(terminal), signal) => {
                terminal.settle();
                // That takes its time, in which fg may have come.
                if matches!(signal, libc::SIGTTIN | libc::SIGTTOU) && terminal.attach() {
                    return self.go_on();
                }
                terminal.detach();
            }
            // Its session is another than the terminal's: nothing but SIGSTOP stops it there.
            (None, _) => {
                let (done, stopped) = channel();
                let _ = self.tasks.signal(&self.id, Signal::STOP, move |_| done.send(()).unwrap_or_default());
                let _ = stopped.recv_timeout(SETTLE);
            }
        }
        let stop = Set::of(&[libc::SIGTSTP]);
        let mask = stop.block();
        // The whole job, as the terminal would; where there are no jobs, this process alone, whose group is somebody else's. It takes effect
        // here, and nowhere if no shell could let it go on.
        Set(mask.0 & !stop.0).restore();
        let _ = match tcgetpgrp(stdin()) {
            Ok(_) => process::kill_current_process_group(process::Signal::TSTP),
            Err(_) => process::kill_process(process::getpid(), process::Signal::TSTP),
        };
        mask.restore();
        // Whether it was stopped or not.
        let _ = process::kill_process(process::getpid(), process::Signal::CONT);
    }

    /// This process was told to go on, in the foreground or not.
    fn go_on(&self) {
        if let Some(terminal) = &self.terminal {
            let front = terminal.attach();
            if let Ok(slave) = terminal.slave() {
                let _ = self.tasks.foreground(&self.id, slave, front);
            }
        }
        self.signal(libc::SIGCONT);
    }
}
