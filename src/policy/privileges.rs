//! As whom a task runs, and what it may do as such.

use super::capability::Capabilities;
use super::error::SpecError;
use super::user::Identity;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Privileges {
    pub identity: Identity,
    /// In every set, and nothing else in the bounding set.
    pub capabilities: Capabilities,
    /// As [`oom_score_adj`] lets it be.
    pub oom_score_adj: i32,
}

/// `OOM_SCORE_ADJ_MIN` and `_MAX` of linux/oom.h: the kernel takes no other, and never kills what has the first.
const OOM_SCORE_ADJ: std::ops::RangeInclusive<i32> = -1000..=1000;

/// The adjustment that the kernel takes, or a refusal.
pub fn oom_score_adj(written: i64) -> Result<i32, SpecError> {
    let value = i32::try_from(written).ok().filter(|value| OOM_SCORE_ADJ.contains(value));
    value.ok_or_else(|| SpecError::value("oom_score_adj", format!("{written} is not in -1000..1000")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_range() {
        for value in [-1000, 0, 1000] {
            assert_eq!(oom_score_adj(value).unwrap(), value as i32);
        }
        for value in [-1001, 1001, i64::MIN, 1 << 32] {
            assert_eq!(oom_score_adj(value).unwrap_err().to_string(), format!("oom_score_adj: {value} is not in -1000..1000"));
        }
    }
}
