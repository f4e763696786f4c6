//! Who gets the stop signal.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KillMode {
    /// The command's process group.
    #[default]
    Group,
    /// The command alone.
    Main,
}

impl KillMode {
    /// `None` for what is neither `group` nor `main`.
    pub fn parse(text: &str) -> Option<KillMode> {
        match text {
            "group" => Some(KillMode::Group),
            "main" => Some(KillMode::Main),
            _ => None,
        }
    }
}
