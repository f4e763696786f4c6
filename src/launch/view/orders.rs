//! What the child is told of a task's view.

use crate::policy::proc::Proc;
use std::ffi::CString;
use std::os::fd::RawFd;

/// What the child makes of the mount namespace that it takes a copy of, in this order.
#[derive(Debug)]
pub struct View {
    /// The base's namespace.
    pub base: RawFd,
    /// A detached mount that becomes the root; `None`: the base's own.
    pub root: Option<RawFd>,
    /// It becomes so by chroot.
    pub no_pivot_root: bool,
    /// What stands in the base, to be moved into that root.
    pub standing: Vec<CString>,
    pub attachments: Vec<Attachment>,
    pub proc: Proc,
    /// Where the message queues of its own ipc namespace are mounted.
    pub queues: Option<CString>,
}

/// A detached mount and where it goes.
#[derive(Debug)]
pub struct Attachment {
    pub mount: RawFd,
    pub target: CString,
}
