//! Signals by name and number.

use std::fmt;

use thiserror::Error;

use super::text::is_decimal;

/// A signal of Linux, 1..=64; numbers as on x86-64 and aarch64 (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(i32);

/// A signal that can't be understood; nothing is guessed in its place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("signal {value:?}: {reason}")]
pub struct SignalError {
    /// As written.
    pub value: String,
    pub reason: SignalReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignalReason {
    #[error("it is empty")]
    Empty,
    #[error("there is no signal of that name")]
    Unknown,
    #[error("the number is not in 1..=64")]
    OutOfRange,
    #[error("it is not between SIGRTMIN (34) and SIGRTMAX (64)")]
    NotRealTime,
}

/// Names by number, from 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD",
    "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

const SYNONYMS: [(&str, i32); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];

/// As glibc counts: it keeps 32 and 33 for its threads.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

impl Signal {
    pub const HUP: Signal = Signal(1);
    pub const INT: Signal = Signal(2);
    pub const QUIT: Signal = Signal(3);
    pub const ABRT: Signal = Signal(6);
    pub const KILL: Signal = Signal(9);
    pub const USR1: Signal = Signal(10);
    pub const USR2: Signal = Signal(12);
    pub const TERM: Signal = Signal(15);
    pub const CONT: Signal = Signal(18);
    pub const STOP: Signal = Signal(19);

    pub const fn number(self) -> i32 {
        self.0
    }

    /// Reads a name in any case with or without `SIG`, `SIGRTMIN+n`, `SIGRTMAX-n`, or a number of 1..=64.
    pub fn parse(text: &str) -> Result<Signal, SignalError> {
        Self::read(text).map_err(|reason| SignalError { value: text.into(), reason })
    }

    fn read(text: &str) -> Result<Signal, SignalReason> {
        if text.is_empty() {
            return Err(SignalReason::Empty);
        }
        if is_decimal(text) {
            let number = text.parse().ok().filter(|n| (1..=RTMAX).contains(n));
            return number.map(Signal).ok_or(SignalReason::OutOfRange);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(at) = NAMES.iter().position(|known| *known == name) {
            return Ok(Signal(at as i32 + 1));
        }
        if let Some((_, number)) = SYNONYMS.iter().find(|(known, _)| *known == name) {
            return Ok(Signal(*number));
        }
        real_time(name)
    }
}

/// `RTMIN`, `RTMIN+n`, `RTMAX`, `RTMAX-n`.
fn real_time(name: &str) -> Result<Signal, SignalReason> {
    let (from, sign, offset) = if let Some(offset) = name.strip_prefix("RTMIN") {
        (RTMIN, 1, offset.strip_prefix('+').or(offset.is_empty().then_some("0")))
    } else if let Some(offset) = name.strip_prefix("RTMAX") {
        (RTMAX, -1, offset.strip_prefix('-').or(offset.is_empty().then_some("0")))
    } else {
        return Err(SignalReason::Unknown);
    };
    let offset = offset.filter(|digits| is_decimal(digits)).ok_or(SignalReason::Unknown)?;
    let offset = offset.parse::<i32>().ok().filter(|n| *n <= RTMAX - RTMIN);
    offset.map(|n| Signal(from + sign * n)).ok_or(SignalReason::NotRealTime)
}

/// A name that [`Signal::parse`] reads back; 32 and 33 have none and show as numbers.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n @ 1..=31 => write!(f, "SIG{}", NAMES[n as usize - 1]),
            RTMIN => f.write_str("SIGRTMIN"),
            RTMAX => f.write_str("SIGRTMAX"),
            n if n > RTMIN => write!(f, "SIGRTMIN+{}", n - RTMIN),
            n => write!(f, "{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_reads_back() {
        for number in 1..=64 {
            let signal = Signal::parse(&number.to_string()).unwrap();
            assert_eq!(signal.number(), number);
            let name = signal.to_string();
            assert_eq!(Signal::parse(&name), Ok(signal), "{name}");
            assert_eq!(Signal::parse(&name.to_lowercase()), Ok(signal), "{name}");
            assert_eq!(Signal::parse(name.trim_start_matches("SIG")), Ok(signal), "{name}");
        }
    }

    #[test]
    fn names_and_numbers() {
        let table = [
            ("SIGHUP", 1, "SIGHUP"),
            ("sigint", 2, "SIGINT"),
            ("Term", 15, "SIGTERM"),
            ("KILL", 9, "SIGKILL"),
            ("SIGIOT", 6, "SIGABRT"),
            ("SIGBUS", 7, "SIGBUS"),
            ("SIGSTKFLT", 16, "SIGSTKFLT"),
            ("SIGCLD", 17, "SIGCHLD"),
            ("SIGPOLL", 29, "SIGIO"),
            ("SIGPWR", 30, "SIGPWR"),
            ("SIGUNUSED", 31, "SIGSYS"),
            ("SIGRTMIN", 34, "SIGRTMIN"),
            ("rtmin+0", 34, "SIGRTMIN"),
            ("SIGRTMIN+3", 37, "SIGRTMIN+3"),
            ("SIGRTMIN+30", 64, "SIGRTMAX"),
            ("SIGRTMAX-14", 50, "SIGRTMIN+16"),
            ("SIGRTMAX-30", 34, "SIGRTMIN"),
            ("SIGRTMAX", 64, "SIGRTMAX"),
            ("09", 9, "SIGKILL"),
        ];
        for (text, number, shown) in table {
            let signal = Signal::parse(text).unwrap();
            assert_eq!((signal.number(), signal.to_string().as_str()), (number, shown), "{text}");
        }
    }

    #[test]
    fn constants_have_their_names() {
        let table = [
            (Signal::HUP, "SIGHUP"),
            (Signal::INT, "SIGINT"),
            (Signal::QUIT, "SIGQUIT"),
            (Signal::ABRT, "SIGABRT"),
            (Signal::KILL, "SIGKILL"),
            (Signal::USR1, "SIGUSR1"),
            (Signal::USR2, "SIGUSR2"),
            (Signal::TERM, "SIGTERM"),
            (Signal::CONT, "SIGCONT"),
            (Signal::STOP, "SIGSTOP"),
        ];
        for (signal, name) in table {
            assert_eq!(Signal::parse(name), Ok(signal));
        }
    }

    #[test]
    fn bad_ones_say_why() {
        use SignalReason::*;
        let table = [
            ("", Empty),
            ("0", OutOfRange),
            ("65", OutOfRange),
            ("99999999999", OutOfRange),
            ("-9", Unknown),
            ("+9", Unknown),
            ("SIG", Unknown),
            ("SIG9", Unknown),
            ("SIGSIGTERM", Unknown),
            (" SIGTERM", Unknown),
            ("SIGFOO", Unknown),
            ("SIGRTMIN-1", Unknown),
            ("SIGRTMAX+1", Unknown),
            ("SIGRTMIN+", Unknown),
            ("SIGRTMIN++1", Unknown),
            ("SIGRTMIN1", Unknown),
            ("SIGRTMIN+31", NotRealTime),
            ("SIGRTMAX-31", NotRealTime),
            ("SIGRTMAX-99999999999", NotRealTime),
        ];
        for (text, reason) in table {
            let error = Signal::parse(text).unwrap_err();
            assert_eq!(error.reason, reason, "{text}");
            assert!(error.to_string().starts_with(&format!("signal {text:?}: ")), "{error}");
        }
    }
}
