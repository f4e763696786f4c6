//! The driver for a person at a terminal.
#![forbid(unsafe_code)]

mod arguments;
mod check;
mod exit_code;
mod forwarded;
mod manual;
mod ps;
mod run;
mod scope;

use arguments::{Command, parse};
use exit_code::SETUP_FAILED;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};

pub use arguments::USAGE;
pub use forwarded::Forwarded;

/// Leads the life of a command line. The exit code.
pub fn main(arguments: impl Iterator<Item = OsString>) -> u8 {
    match parse(arguments) {
        Ok(Command::Help) => show(USAGE),
        Ok(Command::Topics) => show(&manual::topics()),
        Ok(Command::Page(page)) => show(&page),
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
        Ok(Command::Check(asked)) => check::check(&asked),
        Ok(Command::Ps(asked)) => ps::ps(&asked),
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

/// A reader that has seen enough and closed the pipe is no reason for more than an exit code.
fn show(text: &str) -> u8 {
    u8::from(std::io::stdout().write_all(text.as_bytes()).is_err())
}
