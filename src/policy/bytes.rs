//! Numbers of bytes as people write them.

use super::text::{fixed, is_decimal};
use thiserror::Error;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BytesError {
    #[error(
        "{0:?}: it is not a size such as 64M, 64MiB (the same), 64MB (64,000,000 bytes) or 1.5GiB: a number with K, M, G, T or no unit"
    )]
    Malformed(String),
    #[error("{0:?}: it is more bytes than can be counted")]
    TooLarge(String),
    #[error("{0:?}: it is too little: the least with which a task's init and its command can run is 512KiB")]
    TooLittle(String),
}

/// Reads bytes such as `64MiB`, `512k`, `1.5G` or `4096`; units in any case. As GNU programs have it, `M` and `MiB` are powers of 1024, and
/// `MB` of 1000. A part of a byte is none.
pub fn parse_bytes(text: &str) -> Result<u64, BytesError> {
    let malformed = || BytesError::Malformed(text.into());
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (base, power): (u128, u32) = match text[number.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => (1024, 0),
        "k" | "ki" | "kib" => (1024, 1),
        "m" | "mi" | "mib" => (1024, 2),
        "g" | "gi" | "gib" => (1024, 3),
        "t" | "ti" | "tib" => (1024, 4),
        "kb" => (1000, 1),
        "mb" => (1000, 2),
        "gb" => (1000, 3),
        "tb" => (1000, 4),
        _ => return Err(malformed()),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if !is_decimal(whole) || !is_decimal(part) {
        return Err(malformed());
    }
    fixed(number, base.pow(power)).and_then(|bytes| u64::try_from(bytes).ok()).ok_or_else(|| BytesError::TooLarge(text.into()))
}

/// The least memory.max with which a start succeeds each time: init's and the command's kernel structures, page tables and stacks, of a small
/// static program. Measured with 6.1 and 6.12: 256 KiB is too little now and then, 320 too with 8 processors, each of which holds pages in
/// advance; 384 is enough.
const LEAST_MEMORY: u64 = 512 << 10;

/// As [`parse_bytes`], for memory.max.
pub fn parse_memory(text: &str) -> Result<u64, BytesError> {
    parse_bytes(text).and_then(|bytes| if bytes < LEAST_MEMORY { Err(BytesError::TooLittle(text.into())) } else { Ok(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes() {
        let table = [
            ("0", 0),
            ("4096", 4096),
            ("7B", 7),
            ("512k", 512 << 10),
            ("512KB", 512_000),
            ("64MiB", 64 << 20),
            ("64m", 64 << 20),
            ("64MB", 64_000_000),
            ("64mb", 64_000_000),
            ("1GiB", 1 << 30),
            ("1.5GiB", 3 << 29),
            ("1.5GB", 1_500_000_000),
            ("0.5K", 512),
            ("1.9", 1),
            ("0.0000000000000000000000001T", 0),
            ("2Ti", 2 << 40),
            ("1tb", 1_000_000_000_000),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MiB", "-1", "+1", "1.GiB", ".5G", "1.5.5G", "1,5G", "64 MiB", "1KiBs", "1kbb", "0x10", "max", "1é", "1e3"] {
            assert_eq!(parse_bytes(bad), Err(BytesError::Malformed(bad.into())));
        }
        for huge in ["18446744073709551616", "16777216TiB", "16777215.99999999TB0", "99999999999999999999999999999999999999999"] {
            let error = parse_bytes(huge).unwrap_err();
            assert!(matches!(error, BytesError::TooLarge(_) | BytesError::Malformed(_)), "{huge}: {error}");
        }
        assert_eq!(parse_bytes("18446744073709551616"), Err(BytesError::TooLarge("18446744073709551616".into())));
    }

    #[test]
    fn memory_with_which_nothing_runs() {
        assert_eq!([parse_memory("512KiB"), parse_memory("64M")], [Ok(512 << 10), Ok(64 << 20)]);
        for (text, want) in [
            ("0", "\"0\": it is too little: the least with which a task's init and its command can run is 512KiB"),
            ("1", "\"1\": it is too little"),
            ("511k", "\"511k\": it is too little"),
            ("lots", "\"lots\": it is not a size such as 64M"),
        ] {
            let error = parse_memory(text).unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}");
        }
    }
}
