//! What a view is planned with.

use super::super::launcher::Launcher;
use super::directories::TaskDirectories;
use crate::sys::cgroup::Cgroup;
use std::os::fd::BorrowedFd;

pub(in crate::launch) struct Given<'a> {
    pub launcher: &'a Launcher,
    /// A directory of root's own with the task's lifetime: what is put there is left to whoever removes it.
    pub record: BorrowedFd<'a>,
    pub cgroup: &'a Cgroup,
    pub directories: Option<&'a TaskDirectories>,
}
