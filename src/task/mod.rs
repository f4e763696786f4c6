//! One task's life, on a thread of its own, and the register of all tasks.
#![forbid(unsafe_code)]

mod accounts;
mod ask;
mod audit;
mod denials;
mod diagnosis;
mod error;
mod event;
mod failure;
mod kill;
mod life;
mod list;
mod node;
mod order;
pub mod pty;
mod record;
mod recover;
mod register;
mod remembered;
mod session;
mod sight;
mod start;
mod start_log;
mod stats;
mod status;
mod tasks;
mod thread;
mod userdb;

pub use accounts::Accounts;
pub use audit::audits;
pub use error::{NotFound, TaskError};
pub use event::TaskEvent;
pub use kill::kill_all;
pub use list::{Listed, State, list};
pub use node::{CONTROLLERS, Facts, each_prerequisite, landlock, prerequisites};
pub use order::{Session, SessionEnd};
pub use record::clear as clear_records;
pub use start::Start;
pub use stats::Meter;
pub use status::{Ended, Started, Status};
pub use tasks::Tasks;
