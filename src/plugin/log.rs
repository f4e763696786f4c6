//! The log: one JSON object a line on standard error, in the form of HashiCorp's hclog, which the agent reads and filters.
//!
//! `log::info!(task_id = id; "started")` adds a key to the line.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::SystemTime;

use env_logger::{Builder, Target};
use log::kv::{Error, Key, Value, VisitSource};
use log::{Level, LevelFilter, Record};

use super::clock;
use super::stderr::Lossy;

/// Bytes of a message and of a value, and the number of keys. A byte takes at most six in JSON, so a line stays below the
/// 64 KiB that the agent reads at once.
const MESSAGE_MAX: usize = 6 * 1024;
const VALUE_MAX: usize = 512;
const KEYS_MAX: usize = 7;

/// Sends all log records to standard error. RUST_LOG may narrow or widen them; otherwise everything from debug up goes out,
/// and the agent filters by its own level.
pub fn install() {
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Debug);
    if let Some(filters) = std::env::var("RUST_LOG").ok().filter(|filters| well_formed(filters)) {
        builder.parse_filters(&filters);
    }
    builder.target(Target::Pipe(Box::new(Lossy::new(std::io::stderr()))));
    builder.format(|out, record| {
        let line = line(record, SystemTime::now());
        out.write_all(line.as_bytes())
    });
    if builder.try_init().is_ok() {
        // The C core writes to standard error by itself, and would block there. It takes its verbosity from ours.
        let level = log::max_level();
        log::set_max_level(level.min(LevelFilter::Error));
        grpcio::redirect_log();
        log::set_max_level(level);
    }
}

/// Whether these are `level` and `target=level`, comma-separated. env_logger would complain of others on standard error by itself.
fn well_formed(filters: &str) -> bool {
    let level = |filter: &str| filter.rsplit('=').next().is_some_and(|level| level.trim().parse::<LevelFilter>().is_ok());
    filters.split(',').all(level)
}

/// One line, newline included.
fn line(record: &Record<'_>, now: SystemTime) -> String {
    let mut fields = BTreeMap::new();
    let mut keys = Keys(&mut fields);
    // Keys fails once there are too many of them; those are left out.
    let _ = record.key_values().visit(&mut keys);
    fields.insert("@level".to_owned(), level(record.level()).to_owned());
    fields.insert("@message".to_owned(), cut(record.args().to_string(), MESSAGE_MAX));
    fields.insert("@module".to_owned(), module(record.target()).into_owned());
    fields.insert("@timestamp".to_owned(), clock::rfc3339(now));
    let mut line = serde_json::to_string(&fields).unwrap_or_default();
    line.push('\n');
    line
}

struct Keys<'a>(&'a mut BTreeMap<String, String>);

impl<'kvs> VisitSource<'kvs> for Keys<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        if self.0.len() == KEYS_MAX {
            return Err(Error::msg("too many keys"));
        }
        // The agent would panic at a second meaning of the keys that start with @.
        let key = key.as_str().trim_start_matches('@').to_owned();
        self.0.insert(cut(key, 64), cut(value.to_string(), VALUE_MAX));
        Ok(())
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

/// `nomad_driver_exec2::task::stop` as `exec2.task.stop`; the C core's records come without a target.
fn module(target: &str) -> Cow<'static, str> {
    match target.strip_prefix("nomad_driver_exec2") {
        Some(path) => format!("exec2{}", path.replace("::", ".")).into(),
        None if target.is_empty() => "grpc".into(),
        None => cut(target.to_owned(), 64).into(),
    }
}

fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = text.floor_char_boundary(max);
        let missing = text.len() - end;
        text.truncate(end);
        text.push_str(&format!("… ({missing} bytes more)"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn written(message: &str, pairs: &[(&str, &str)]) -> String {
        line(
            &Record::builder()
                .args(format_args!("{message}"))
                .level(Level::Warn)
                .target("nomad_driver_exec2::task::stop")
                .key_values(&pairs)
                .build(),
            UNIX_EPOCH,
        )
    }

    #[test]
    fn a_line_is_what_hclog_reads() {
        assert_eq!(
            written("two\nlines \"quoted\"", &[("task_id", "a/b/c")]),
            concat!(
                r#"{"@level":"warn","@message":"two\nlines \"quoted\"","@module":"exec2.task.stop","#,
                r#""@timestamp":"1970-01-01T00:00:00.000000Z","task_id":"a/b/c"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_line_stays_below_what_the_agent_reads_at_once() {
        let long = "\u{1}".repeat(100_000);
        let pairs: Vec<(String, &str)> = (0..20).map(|n| (format!("key{n}"), &*long)).collect();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (&**k, *v)).collect();
        let line = written(&long, &pairs);
        assert!(line.len() < 64 * 1024, "{}", line.len());
        assert!(line.contains("bytes more"));
    }

    #[test]
    fn a_key_cannot_replace_a_field_of_hclog() {
        let line = written("hello", &[("@level", "bad")]);
        assert!(line.contains(r#""@level":"warn""#) && line.contains(r#""level":"bad""#), "{line}");
    }

    #[test]
    fn filters_are_levels() {
        assert!(["info", "nomad_driver_exec2::task=trace,warn", "OFF"].into_iter().all(well_formed));
        assert!(!["", "loud", "a=b=c", "info,", "info/regex"].into_iter().any(well_formed));
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("äöü".to_owned(), 3), "ä… (4 bytes more)");
        assert_eq!(cut("äöü".to_owned(), 6), "äöü");
    }
}
