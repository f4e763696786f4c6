//! Numbers, and the files in which the kernel keeps them.

use std::str::FromStr;

/// A number of digits and nothing else: `FromStr` alone would take a sign.
pub fn decimal<T: FromStr>(text: &str) -> Option<T> {
    is_decimal(text).then(|| text.parse().ok())?
}

/// Whether it is one digit or more, and nothing else.
pub fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number of `unit`s with a decimal point or without, in the ones that a unit has; a part of one is none. `None`: it is no number, or too large.
pub fn fixed(text: &str, unit: u128) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    // More digits than 18 tell nothing of a terabyte.
    let (whole, part) = (decimal::<u64>(whole)?, part.get(..part.len().min(18)).filter(|_| is_decimal(part))?);
    Some(u128::from(whole) * unit + decimal::<u128>(part)? * unit / 10u128.pow(part.len() as u32))
}

/// The value of `key` in a flat keyed file (cgroup-v2.rst), such as `cpu.stat`.
pub fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| decimal(line.strip_prefix(key)?.strip_prefix(' ')?))
}

/// Which of `known` was probably meant by `written`, if one of them is near.
pub fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let longer = |one: &str, other: &str| other.len() > 2 && one.starts_with(other);
    let steps = |word: &&&str| if longer(word, written) || longer(written, word) { 1 } else { distance(written, word) };
    known.iter().min_by_key(|word| steps(word)).filter(|word| steps(word) <= (word.len().min(written.len()) / 3).max(1)).copied()
}

/// How many characters are to be put in, taken away or exchanged to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, c) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, d) in other.iter().enumerate() {
            let exchanged = diagonal + usize::from(c != *d);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

/// The pids of a `cgroup.procs`, the oldest processes first. The kernel writes 0 for one that has no pid here; what was read may end within
/// a line, which would be another's pid.
pub fn pids(procs: &str) -> impl Iterator<Item = u32> {
    procs.split_inclusive('\n').filter_map(|line| decimal(line.strip_suffix('\n')?)).filter(|pid| *pid != 0)
}

/// What would move a terminal, or begin another line, is not written as it is.
pub fn escaped(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_digits() {
        assert_eq!((decimal("007"), decimal::<u8>("255")), (Some(7), Some(255)));
        for text in ["", "+1", "-1", "1 ", "1k", "256"] {
            assert_eq!(decimal::<u8>(text), None, "{text:?}");
        }
        assert!(is_decimal("99999999999999999999") && !is_decimal(""));
    }

    #[test]
    fn what_was_meant() {
        for (one, other, want) in [("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3), ("veil", "unveil", 2), ("é", "e", 1)] {
            assert_eq!((distance(one, other), distance(other, one)), (want, want), "{one} {other}");
        }
        let known = ["unveil", "veil", "memory", "no-defaults", "work-dir", "pids", "net"];
        for (written, want) in [
            ("unviel", Some("unveil")),
            ("mem", Some("memory")),
            ("network", Some("net")),
            ("workdir", Some("work-dir")),
            ("work_dir", Some("work-dir")),
            ("no-default", Some("no-defaults")),
            ("pid", Some("pids")),
            ("vei", Some("veil")),
            ("x", None),
            ("", None),
            ("privileged", None),
        ] {
            assert_eq!(nearest(written, &known), want, "{written}");
        }
        assert_eq!(nearest("x", &[]), None);
    }

    #[test]
    fn a_key_is_a_whole_word() {
        assert_eq!(keyed("populated 1\nfrozen 0\n", "populated"), Some(1));
        assert_eq!(keyed("oom 3\noom_kill 2\noom_group_kill 0\n", "oom_kill"), Some(2));
        assert_eq!((keyed("oom_kill_not 2\n", "oom_kill"), keyed("usage_usec x\n", "usage_usec")), (None, None));
    }

    #[test]
    fn a_pid_is_a_whole_line() {
        assert_eq!(pids("12\n0\n345\n6").collect::<Vec<_>>(), [12, 345]);
        assert_eq!(pids("").count(), 0);
    }
}
