//! Commands that run in a task beside its own: `alloc exec`, script checks. Init starts them, so they are confined as the task is.

use super::error::TaskError;
use super::failure::{Tried, command_failed};
use super::order::{Reply, Session, SessionEnd};
use super::record::Record;
use crate::init;
use crate::policy::command::Command;
use crate::policy::message::{self, Report, Request};
use rustix::io::Errno;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::OwnedFd;

/// How many may be under way at one time. Init has room for fewer, but a task can hold its init up, and each that waits has descriptors here.
const MOST: usize = 512;

/// The request with its descriptors, what is to be executed, and whether it is still wanted.
type Asking = (Request, Vec<OwnedFd>, Tried, Box<dyn Fn() -> bool + Send>);

/// One that has not ended.
pub(super) struct Open {
    token: u32,
    /// In the task's namespace, once init has said so.
    pid: Option<u32>,
    tried: Tried,
    reply: Option<Reply<u32>>,
    end: SessionEnd,
    pub wanted: Box<dyn Fn() -> bool + Send>,
}

/// The sessions of one task.
pub(super) struct Sessions {
    /// The first one is any: an earlier plugin's request may still be answered.
    last_token: u32,
    open: Vec<Open>,
}

impl Sessions {
    pub fn new() -> Sessions {
        Sessions { last_token: RandomState::new().build_hasher().finish() as u32, open: Vec::new() }
    }

    /// What to ask init for, while `queued` wait to be asked. `reply` gets the pid of its process, which may still fail to execute; `end` is called once after that, or
    /// never if there was no process.
    pub fn prepare(
        &mut self,
        record: &Record,
        session: Session,
        queued: usize,
        reply: Reply<u32>,
        end: SessionEnd,
    ) -> Option<(Request, Vec<OwnedFd>, Open)> {
        if self.open.len() + queued >= MOST {
            reply(Err(TaskError::Init(format!("it has not taken up or ended {MOST} commands"))));
            return None;
        }
        match self.request(record, session) {
            Ok((request, descriptors, tried, wanted)) => {
                let open = Open { token: request.id, pid: None, tried, reply: Some(reply), end, wanted };
                Some((request, descriptors, open))
            }
            Err(e) => {
                reply(Err(e));
                None
            }
        }
    }

    /// Init has been asked for it.
    pub fn add(&mut self, session: Open) {
        self.open.push(session);
    }

    fn request(&mut self, record: &Record, session: Session) -> Result<Asking, TaskError> {
        let saved = record.saved()?;
        let (command, args) = session.argv.split_first().ok_or(TaskError::EmptyCommand)?;
        let command = Command::in_task(command, args, saved.env, saved.work_dir, &saved.base)?;
        let command = Command { ulimits: saved.ulimits, ..command };
        let block = init::block(&command)?;
        // 0 is the task's own command.
        self.last_token = self.last_token.wrapping_add(1).max(1);
        let flags = if session.terminal { message::TERMINAL } else { 0 };
        let request = Request { kind: message::START, id: self.last_token, value: 0, flags };
        let descriptors = [block].into_iter().chain(session.stdio).collect();
        Ok((request, descriptors, Tried::from(&command), session.wanted))
    }

    /// `why` finds out why one was not executed with that errno.
    pub fn report(&mut self, report: &Report, why: impl Fn(&Tried, Errno) -> Option<String>) {
        match report.kind {
            message::STARTED => {
                let Some(session) = self.open.iter_mut().find(|session| session.token == report.id) else { return };
                session.pid = Some(report.value as u32);
                if let Some(reply) = session.reply.take() {
                    reply(Ok(report.value as u32));
                }
            }
            message::FAILED => {
                if let Some(session) = self.take(|session| session.token == report.id) {
                    let error = command_failed(report, &session.tried, |errno| why(&session.tried, errno));
                    session.finish(Err(error));
                }
            }
            message::ENDED => {
                if let Some(session) = self.take(|session| session.pid == Some(report.id)) {
                    session.finish(Ok(report.value));
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, which: impl Fn(&Open) -> bool) -> Option<Open> {
        let at = self.open.iter().position(which)?;
        Some(self.open.swap_remove(at))
    }

    /// The task has ended, and they with it.
    pub fn end_all(&mut self) {
        self.open.drain(..).for_each(|session| session.finish(Err(TaskError::Ended)));
    }
}

impl Open {
    /// The error goes to whoever waits: for the start, or else for the end.
    pub fn finish(self, outcome: Result<i32, TaskError>) {
        match (self.reply, outcome) {
            (Some(reply), Err(e)) => reply(Err(e)),
            (_, outcome) => (self.end)(outcome),
        }
    }
}
