//! What a task sees of the host's files.

use super::device::Device;
use super::directories::Directories;
use super::resolver::{Dns, HostName};
use super::veil::Veil;
use super::view_mode::{ProtectSystem, ViewMode};
use super::volume::Volume;
use std::path::PathBuf;

/// A base, and what is attached in it for this task. What it may do with what is there is for the rules to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    pub mode: ViewMode,
    pub protect_system: ProtectSystem,
    /// The view is entered by chroot, and not by pivot_root.
    pub no_pivot_root: bool,
    pub directories: Option<Directories>,
    /// In the order in which they are mounted.
    pub volumes: Vec<Volume>,
    pub devices: Vec<Device>,
    /// A file system in memory for temporary files.
    pub tmpfs: Option<Tmpfs>,
    /// What is hidden, whatever was granted above it.
    pub veils: Vec<Veil>,
    /// What to have in place of the host's /etc/resolv.conf.
    pub dns: Option<Dns>,
    /// In a /etc/hosts of the task's own.
    pub host_name: Option<HostName>,
}

/// Counted as the task's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    pub path: PathBuf,
    /// In bytes, also of /dev/shm.
    pub size: u64,
}
