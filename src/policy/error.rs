//! Why a task can't be had as it is asked for, in words for who asked.

use super::capability::CapabilityError;
use super::environment::EnvError;
use super::limits::LimitError;
use super::port::PortError;
use super::ulimit::UlimitError;
use super::unveil::UnveilError;
use super::user::UserError;
use thiserror::Error;

/// Each displays as one line that names the option, its value and the reason.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SpecError {
    #[error("command: must be set")]
    NoCommand,
    #[error("{option}: {reason}")]
    Value { option: String, reason: String },
    #[error("unveil: the plugin's unveil_by_task is false, so a task may not unveil paths of its own ({0:?})")]
    UnveilByTask(String),
    #[error("env {name}: {reason}")]
    Directory { name: &'static str, reason: String },
    #[error("{0}: {1}")]
    Capability(&'static str, CapabilityError),
    #[error("unveil: {0}")]
    Unveil(UnveilError),
    #[error("unveil_paths: {0}")]
    UnveilPaths(UnveilError),
    #[error(transparent)]
    User(#[from] UserError),
    #[error(transparent)]
    Limit(#[from] LimitError),
    #[error("ulimit: {0}")]
    Ulimit(#[from] UlimitError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Env(#[from] EnvError),
}

impl SpecError {
    /// The value of an option, and what is wrong with it.
    pub fn value(option: impl Into<String>, reason: impl Into<String>) -> SpecError {
        SpecError::Value { option: option.into(), reason: reason.into() }
    }
}
