//! The driver for a person at a terminal.

mod arguments;
mod run;
mod scope;

use arguments::{Command, parse};
use std::ffi::OsString;
use std::io::IsTerminal;

pub use arguments::USAGE;

/// What a shell gives for a command that was not run: set-up failed, not executable, not found. 124 is timeout(1)'s.
pub const SETUP_FAILED: u8 = 125;
pub const NOT_EXECUTABLE: u8 = 126;
pub const NOT_FOUND: u8 = 127;
pub const TIMED_OUT: u8 = 124;

/// Leads the life of a command line. The exit code.
pub fn main(arguments: impl Iterator<Item = OsString>) -> u8 {
    match parse(arguments) {
        Ok(Command::Help) => {
            print!("{USAGE}");
            0
        }
        Ok(Command::Version) => {
            println!("nomad-driver-exec2 {}", env!("CARGO_PKG_VERSION"));
            0
        }
        Ok(Command::None) => {
            if std::io::stderr().is_terminal() {
                eprint!("{USAGE}");
            } else {
                eprintln!(
                    "nomad-driver-exec2: this is a Nomad plugin, started by the Nomad agent (no NOMAD_PLUGIN_MAGIC_COOKIE); see --help"
                );
            }
            1
        }
        Ok(Command::Run(options)) => run::run(*options).unwrap_or_else(|failure| {
            eprintln!("nomad-driver-exec2: {failure}");
            failure.code
        }),
        Err(e) => {
            eprintln!("nomad-driver-exec2: {e}");
            SETUP_FAILED
        }
    }
}
