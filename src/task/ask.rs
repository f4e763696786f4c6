//! Requests on their way to a task's init. It takes up none while there is no room for its reports, and on a busy machine it may wait for
//! its turn: what the socket has no room for waits here, in order. A signal that was lost could leave a session running for ever.

use super::session::Open;
use super::{Reply, TaskError};
use crate::init::message::Request;
use crate::policy::signal::Signal;
use crate::sys::socket;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub(super) struct Ask {
    pub request: Request,
    /// The receiver's copies are its own; these are closed once it is sent.
    pub descriptors: Vec<OwnedFd>,
    pub what: Asked,
}

/// Who is told what becomes of it.
pub(super) enum Asked {
    /// Nobody, if the signal (to that process) belongs to a stop.
    Signal(u32, Signal, Option<Reply<()>>),
    Session(Open),
    /// Nobody: the sessions are an earlier plugin's.
    End,
}

#[derive(Default)]
pub(super) struct Asks(VecDeque<Ask>);

impl Asks {
    pub fn add(&mut self, ask: Ask) {
        self.0.push_back(ask);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many sessions are among them.
    pub fn sessions(&self) -> usize {
        self.0.iter().filter(|ask| matches!(ask.what, Asked::Session(_))).count()
    }

    /// Drops the sessions that nobody wants any more, with their descriptors.
    pub fn withdraw(&mut self) {
        let unwanted = |ask: &mut Ask| matches!(&ask.what, Asked::Session(session) if !(session.wanted)());
        while let Some(at) = self.0.iter_mut().position(unwanted) {
            if let Some(Ask { what: Asked::Session(session), .. }) = self.0.remove(at) {
                session.finish(Err(TaskError::Withdrawn));
            }
        }
    }

    /// Sends the next, and says how that went; `None` if there is none, or no room.
    pub fn send(&mut self, init: BorrowedFd<'_>) -> Option<(Asked, rustix::io::Result<()>)> {
        let next = self.0.front()?;
        let descriptors: Vec<BorrowedFd<'_>> = next.descriptors.iter().map(AsFd::as_fd).collect();
        match socket::send(init, &next.request, &descriptors) {
            Err(Errno::AGAIN) => None,
            sent => self.0.pop_front().map(|ask| (ask.what, sent)),
        }
    }

    /// The task has ended before init took them up.
    pub fn end_all(&mut self) {
        for ask in self.0.drain(..) {
            match ask.what {
                Asked::Signal(.., reply) => reply.into_iter().for_each(|reply| reply(Err(TaskError::Ended))),
                Asked::Session(session) => session.finish(Err(TaskError::Ended)),
                Asked::End => {}
            }
        }
    }
}
