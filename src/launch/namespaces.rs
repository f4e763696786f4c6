//! The namespaces of a task beside its mounts.

use super::held::Held;
use crate::launch_error::LaunchError;
use crate::policy::namespace::{self, NamespaceMode};
use crate::sys;
use std::os::fd::RawFd;

/// What the child does, and what the clone does for it.
#[derive(Clone, Copy, Debug)]
pub struct Namespaces {
    pub pid: bool,
    pub ipc: bool,
    /// To be joined; `None`: stay in the plugin's.
    pub network: Option<RawFd>,
}

impl Namespaces {
    pub fn plan(spec: &namespace::Namespaces, held: &mut Held) -> Result<Namespaces, LaunchError> {
        let network = spec.network.as_deref().map(sys::namespace::network).transpose()?;
        Ok(Namespaces {
            pid: spec.pid == NamespaceMode::Private,
            ipc: spec.ipc == NamespaceMode::Private,
            network: network.map(|namespace| held.hold(namespace)).transpose()?,
        })
    }
}
