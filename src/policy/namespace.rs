//! Whether a task has a pid or an ipc namespace of its own.

use serde::{Deserialize, Serialize};

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
