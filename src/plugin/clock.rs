//! Times as the wire and the log write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protobuf::well_known_types::duration;
use protobuf::well_known_types::timestamp::Timestamp;

/// Seconds from the epoch to the start of year 1, Go's zero time.
const YEAR_ONE: i64 = -62_135_596_800;
const DAY: i64 = 86_400;

/// `time` for the wire. An unset time is Go's zero value: Nomad's client takes a missing one for an error.
pub fn timestamp(time: Option<SystemTime>) -> Timestamp {
    let (seconds, nanos) = time.map_or((YEAR_ONE, 0), since_epoch);
    Timestamp { seconds, nanos: i32::try_from(nanos).unwrap_or(0), ..Default::default() }
}

/// A duration from the wire; missing or negative ones are zero.
pub fn duration(duration: Option<&duration::Duration>) -> Duration {
    let (seconds, nanos) = duration.map_or((0, 0), |d| (d.seconds, d.nanos));
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(seconds), Ok(nanos)) => Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())),
        _ => Duration::ZERO,
    }
}

/// `time` in UTC as RFC 3339 has it, with six fractional digits: the only form that Nomad's log reader accepts.
pub fn rfc3339(time: SystemTime) -> String {
    let (seconds, nanos) = since_epoch(time);
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z", second / 3600, second / 60 % 60, second % 60, nanos / 1000)
}

/// Seconds (negative before 1970) and the nanoseconds that follow them.
fn since_epoch(time: SystemTime) -> (i64, u32) {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (seconds(after), after.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            match before.subsec_nanos() {
                0 => (-seconds(before), 0),
                nanos => (-seconds(before) - 1, 1_000_000_000 - nanos),
            }
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX - 1)
}

/// Year, month and day of the proleptic Gregorian calendar, `days` after 1970-01-01. Years start in March here, which puts
/// the leap day last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_six_digits() {
        let at = |seconds, nanos| rfc3339(UNIX_EPOCH + Duration::new(seconds, nanos));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_782_399, 999_999_999), "2000-02-28T23:59:59.999999Z");
        assert_eq!(at(951_782_400, 1_000), "2000-02-29T00:00:00.000001Z");
        assert_eq!(at(1_709_251_199, 0), "2024-02-29T23:59:59.000000Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z");
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_micros(1)), "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn days_follow_each_other() {
        let mut last = civil(-800_000);
        for day in -799_999..800_000 {
            let next = civil(day);
            let (year, month, date) = last;
            assert!(next == (year, month, date + 1) || next == (year, month + 1, 1) || next == (year + 1, 1, 1), "{last:?} then {next:?}");
            last = next;
        }
    }

    #[test]
    fn an_unset_time_is_year_one() {
        let time = timestamp(None);
        assert_eq!((time.seconds, time.nanos), (YEAR_ONE, 0));
        let (year, month, day) = civil(YEAR_ONE / DAY);
        assert_eq!((year, month, day), (1, 1, 1));
    }

    #[test]
    fn durations_are_never_negative() {
        let read = |seconds, nanos| duration(Some(&duration::Duration { seconds, nanos, ..Default::default() }));
        assert_eq!(duration(None), Duration::ZERO);
        assert_eq!(read(5, 500_000_000), Duration::from_millis(5500));
        assert_eq!(read(-1, 0), Duration::ZERO);
        assert_eq!(read(0, -1), Duration::ZERO);
        assert!(read(i64::MAX, i32::MAX) > Duration::from_secs(1));
    }
}
