//! What a task sees of the host's files.

use super::device::Device;
use super::directories::Directories;
use super::resolver::{Dns, HostName};
use super::view_mode::{ProtectSystem, ViewMode};
use super::volume::Volume;

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
    /// What to have in place of the host's /etc/resolv.conf.
    pub dns: Option<Dns>,
    /// In a /etc/hosts of the task's own.
    pub host_name: Option<HostName>,
}
