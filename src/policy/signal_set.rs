//! Sets of signals.

/// In the kernel's form: bit n - 1 is signal n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set(pub u64);

impl Set {
    pub const ALL: Set = Set(u64::MAX);

    pub fn of(signals: &[i32]) -> Set {
        Set(signals.iter().fold(0, |set, signal| set | 1 << (signal - 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_is_the_first_bit() {
        assert_eq!(Set::of(&[1, 15, 64]), Set(1 | 1 << 14 | 1 << 63));
    }
}
