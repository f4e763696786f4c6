//! The driver for a person at a terminal.
#![forbid(unsafe_code)]

mod arguments;
mod check;
mod environment;
mod exit_code;
mod forwarded;
mod job;
mod lifted;
mod manual;
mod ps;
mod run;
mod scope;
mod standard;
mod status;
mod temporary;
mod terminal;
mod values;

use arguments::{Command, parse};
use exit_code::SETUP_FAILED;
use status::{StatusFile, failed};
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{IsTerminal, Write};

pub use arguments::USAGE;
pub use forwarded::Forwarded;

/// Leads the life of a command line. The exit code.
pub fn main(arguments: impl Iterator<Item = OsString>) -> u8 {
    standard::complete();
    match parse(arguments) {
        Ok(Command::Help) => show(USAGE),
        Ok(Command::Topics) => show(&manual::topics()),
        Ok(Command::Page(page)) => show(&page),
        Ok(Command::Version) => show(concat!("nomad-driver-exec2 ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::None) => {
            if std::io::stderr().is_terminal() {
                say(USAGE.trim_end());
            } else {
                say("nomad-driver-exec2: this is a Nomad plugin, started by the Nomad agent (no NOMAD_PLUGIN_MAGIC_COOKIE); see --help");
            }
            1
        }
        Ok(Command::Check(asked)) => check::check(&asked),
        Ok(Command::Ps(asked)) => ps::ps(&asked),
        Ok(Command::Run(options)) => run::run(*options).unwrap_or_else(|failure| {
            say(format_args!("nomad-driver-exec2: {failure}"));
            failure.code
        }),
        Ok(Command::Wrong { reason, status_fd }) => {
            say(format_args!("nomad-driver-exec2: {reason}"));
            if let Some(file) = status_fd.and_then(|number| StatusFile::open(number).ok()) {
                file.tell(&failed(SETUP_FAILED, &reason));
            }
            SETUP_FAILED
        }
        Err(e) => {
            say(format_args!("nomad-driver-exec2: {e}"));
            SETUP_FAILED
        }
    }
}

/// A reader that has seen enough and closed the pipe, or a full disk, is no reason for more than an exit code.
fn show(text: &str) -> u8 {
    let mut stdout = std::io::stdout();
    let shown = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    if shown.is_ok() { 0 } else { SETUP_FAILED }
}

/// A line on standard error. Where that takes nothing there is nobody to tell.
fn say(line: impl Display) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
