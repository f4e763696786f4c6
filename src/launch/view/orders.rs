//! What the child is told of a task's view.

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
}

/// A detached mount and where it goes.
#[derive(Debug)]
pub struct Attachment {
    pub mount: RawFd,
    pub target: CString,
}

/// Which /proc the task has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proc {
    /// One of its own, of its pid namespace.
    Own,
    /// One of its own that shows of the host's processes those that the task could trace: under Landlock, its own.
    OwnOfHost,
    /// The host's, which is among the attachments.
    Host,
}
