//! Which of the two lives this process leads: a plugin that Nomad started, or a command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(nomad_driver_exec2::cli::main(std::env::args_os().skip(1)))
}
