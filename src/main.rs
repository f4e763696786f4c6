//! Which of the two lives this process leads: a plugin that Nomad started, or a command line.

use nomad_driver_exec2::plugin::handshake::{Invitation, invited};
use nomad_driver_exec2::{cli, launch::Launcher, plugin, task::Tasks};
use std::process::ExitCode;

fn main() -> ExitCode {
    if invited(|name| std::env::var_os(name)) != Invitation::Accepted {
        return ExitCode::from(cli::main(std::env::args_os().skip(1)));
    }
    // As long as there are no threads.
    match plugin::serve(Tasks::new(Launcher::of_plugin())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // go-plugin takes the level from this prefix.
            eprintln!("[ERROR] nomad-driver-exec2: {error}");
            ExitCode::FAILURE
        }
    }
}
