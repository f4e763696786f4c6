//! Ranges of user and group ids, as an operator writes them.

use std::ops::RangeInclusive;

use thiserror::Error;

use super::text::decimal;

/// A set of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdRanges(Vec<RangeInclusive<u32>>);

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{item:?} of {text:?} is not an id or an ascending range such as \"10-20\"")]
pub struct RangeError {
    text: String,
    item: String,
}

impl IdRanges {
    /// Ids and ranges separated by commas, such as `0,10-20`; nothing is the empty set.
    pub fn parse(text: &str) -> Result<IdRanges, RangeError> {
        if text.trim().is_empty() {
            return Ok(IdRanges::default());
        }
        let range = |item: &str| {
            let (first, last) = item.trim().split_once('-').unwrap_or((item.trim(), item.trim()));
            let [first, last] = [first, last].map(decimal::<u32>);
            let ascending = first.zip(last).filter(|(first, last)| first <= last);
            ascending.map(|(first, last)| first..=last).ok_or_else(|| RangeError { text: text.into(), item: item.into() })
        };
        text.split(',').map(range).collect::<Result<_, _>>().map(IdRanges)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, id: u32) -> bool {
        self.0.iter().any(|range| range.contains(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_ends() {
        let ranges = IdRanges::parse("0,10-20, 4294967295").unwrap();
        for (id, held) in [(0, true), (1, false), (9, false), (10, true), (20, true), (21, false), (u32::MAX, true)] {
            assert_eq!(ranges.contains(id), held, "{id}");
        }
        assert!(!IdRanges::parse("").unwrap().contains(0));
    }

    #[test]
    fn what_is_no_range_is_named() {
        for (text, item) in [
            ("0,,1", ""),
            ("root", "root"),
            ("1,5-3", "5-3"),
            ("1-", "1-"),
            ("-1", "-1"),
            ("4294967296", "4294967296"),
            ("1-2-3", "1-2-3"),
            ("+1", "+1"),
        ] {
            let error = IdRanges::parse(text).unwrap_err();
            assert_eq!((error.item.as_str(), error.text.as_str()), (item, text));
        }
    }
}
