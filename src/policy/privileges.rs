//! As whom a task runs, and what it may do as such.

use super::capability::Capabilities;
use super::user::Identity;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Privileges {
    pub identity: Identity,
    /// In every set, and nothing else in the bounding set.
    pub capabilities: Capabilities,
    /// -1000..=1000, as the kernel takes it.
    pub oom_score_adj: i32,
}
