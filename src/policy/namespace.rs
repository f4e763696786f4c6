//! Which namespaces a task has of its own. It always has its own mounts; those are its view.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Namespaces {
    pub pid: NamespaceMode,
    pub ipc: NamespaceMode,
    /// Path of the network namespace to join; `None`: the plugin's.
    pub network: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceMode {
    /// Its own.
    #[default]
    Private,
    /// The plugin's.
    Host,
}

impl NamespaceMode {
    /// `None` for what is neither `private` nor `host`.
    pub fn parse(text: &str) -> Option<NamespaceMode> {
        match text {
            "private" => Some(NamespaceMode::Private),
            "host" => Some(NamespaceMode::Host),
            _ => None,
        }
    }
}
