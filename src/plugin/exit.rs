//! How a command ended, as Nomad's exit result.

use crate::policy::exit::ExitResult;

use super::wire::task::ExitResult as WireExit;

pub fn message(exit: ExitResult) -> WireExit {
    WireExit { exit_code: exit.exit_code, signal: exit.signal, oom_killed: exit.oom_killed, ..Default::default() }
}
