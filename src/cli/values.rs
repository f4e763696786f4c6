//! Values of `run`'s options. An error is the reason; what was typed, where it is not in there, stands before it.

use crate::policy::access::Mode;
use crate::policy::limits::parse_bytes;
use crate::policy::text::{decimal, fixed, is_decimal};
use crate::policy::ulimit::Ulimit;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

pub fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err(format!("{text:?}: it is empty")) } else { Ok(text.into()) }
}

/// Names between commas.
pub fn list(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = text.split(',').map(str::to_string).collect();
    if names.iter().any(String::is_empty) { Err(format!("{text:?}: a name in it is empty")) } else { Ok(names) }
}

/// Whether there is to be none.
pub fn no_net(text: &str) -> Result<bool, String> {
    match text {
        "host" => Ok(false),
        "none" => Ok(true),
        _ => Err(format!("{text:?}: neither host nor none")),
    }
}

/// Ports between commas, or `none`.
pub fn ports(text: &str) -> Result<Vec<i64>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    let port = |one: &str| decimal::<u16>(one).map(i64::from).ok_or_else(|| format!("{text:?}: {}", no_port(one)));
    text.split(',').map(port).collect()
}

fn no_port(one: &str) -> String {
    const RIGHT: &str = "write ports such as 80,8080, or none";
    match one.split_once('-') {
        _ if one.is_empty() => format!("no port is named; {RIGHT}"),
        _ if one == "none" => format!("none stands alone; {RIGHT}"),
        Some((first, last)) if is_decimal(first) && is_decimal(last) => {
            format!("{one:?} is a range, which the kernel has no rule for; {RIGHT}")
        }
        _ if is_decimal(one) => format!("{one:?} is above 65535, the highest port"),
        _ => format!("{one:?} is not a port; {RIGHT}"),
    }
}

/// Numbers, each with ms, s, m or h; seconds where a single one has no unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("{text:?}: not a time above 0 such as 500ms, 1.5s, 10s, 5m, 1h or 1m30s");
    let (mut rest, mut all, mut last) = (text, 0, u128::MAX);
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len()));
        let (unit, behind) = behind.split_at(behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len()));
        let nanoseconds: u128 = match unit {
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "" if number == text => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(refused()),
        };
        // The larger first, each once.
        all += fixed(number, nanoseconds).filter(|_| nanoseconds < last).ok_or_else(refused)?;
        (rest, last) = (behind, nanoseconds);
    }
    let nanoseconds = u64::try_from(all).ok().filter(|all| *all > 0);
    nanoseconds.map(Duration::from_nanos).ok_or_else(refused)
}

pub fn ulimit(text: &str) -> Result<Ulimit, String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?}: not NAME=SOFT[:HARD]"))?;
    Ulimit::parse(name, value).map_err(|e| e.to_string())
}

/// A tmpfs of no bytes has no limit.
pub fn tmpfs_size(text: &str) -> Result<u64, String> {
    match parse_bytes(text).map_err(|e| e.to_string())? {
        ..4096 => Err(format!("{text:?}: it is less than a page of memory, 4KiB")),
        size if size > i64::MAX as u64 => Err(format!("{text:?}: it is more than a file can have")),
        size => Ok(size),
    }
}

pub fn descriptor(text: &str) -> Result<i32, String> {
    decimal(text).ok_or_else(|| format!("{text:?}: not the number of a descriptor"))
}

/// A path that may be relative to the directory `here`, which is without symlinks: there `..` leads where it reads.
pub fn absolute(path: &str, here: &Path) -> String {
    let (mut dir, mut parts) = (here.to_path_buf(), Path::new(path).components().peekable());
    // What begins with a blank is refused as it was typed.
    if path.is_empty() || path.starts_with('/') || path.starts_with(char::is_whitespace) {
        return path.into();
    }
    while let Some(Component::CurDir | Component::ParentDir) = parts.peek() {
        if parts.next() == Some(Component::ParentDir) {
            dir.pop();
        }
    }
    dir.join(parts.collect::<PathBuf>()).to_string_lossy().into_owned()
}

/// The same of a `mode:path`; words and what is none stay.
pub fn absolute_unveil(text: &str, here: &Path) -> String {
    match text.rsplit_once(':') {
        Some((mode, path)) if Mode::parse(mode.trim_start_matches('?')).is_ok() && !path.starts_with('@') => {
            format!("{mode}:{}", absolute(path, here))
        }
        _ => text.into(),
    }
}

/// And of a veil.
pub fn absolute_veil(text: &str, here: &Path) -> String {
    match text.strip_prefix('?') {
        Some(path) => format!("?{}", absolute(path, here)),
        None => absolute(text, here),
    }
}

/// A user, and the group that is named with it. `uid:gid` is a user by itself.
pub fn user_and_group(text: &str) -> Result<(&str, Option<&str>), String> {
    let Some((user, group)) = text.split_once(':') else { return Ok((text, None)) };
    if is_decimal(user) && is_decimal(group) {
        return Ok((text, None));
    }
    if user.is_empty() || group.is_empty() || group.contains(':') {
        return Err(format!("{text:?}: it is neither a name, uid, uid:gid nor name:group"));
    }
    Ok((user, Some(group)))
}

/// A refusal of what a job calls `work_dir`, here in the words of who has typed `--work-dir`.
pub fn as_typed(reason: &str) -> String {
    const OPTIONS: [&str; 9] = ["unveil", "veil", "user", "group", "bind_tcp", "connect_tcp", "cap_add", "cap_drop", "work_dir"];
    if let Some(path) = reason.strip_prefix("unveil_defaults ") {
        return format!("the default unveil {path} (--no-defaults is without)");
    }
    if let Some(limit) = reason.strip_prefix("raise ulimit ") {
        return format!("--ulimit: raise {limit}");
    }
    let name = reason.split([':', ' ']).next().unwrap_or_default();
    if OPTIONS.contains(&name) { format!("--{}{}", name.replace('_', "-"), &reason[name.len()..]) } else { reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths() {
        let here = Path::new("/srv/app");
        for (text, want) in [
            ("r:x", "r:/srv/app/x"),
            ("?rw:./x/y/", "?rw:/srv/app/x/y"),
            ("r:.", "r:/srv/app/"),
            ("r:..", "r:/srv/"),
            ("r:../../../x", "r:/x"),
            ("r:./.././x", "r:/srv/x"),
            ("r:/etc/x", "r:/etc/x"),
            ("r:a/../b", "r:/srv/app/a/../b"),
            ("r:", "r:"),
            ("r: x", "r: x"),
            ("@dns", "@dns"),
            ("r:@dns", "r:@dns"),
            ("x", "x"),
            // What was meant is said of it as it was typed.
            ("/etc:r", "/etc:r"),
            ("etc:r", "etc:r"),
        ] {
            assert_eq!(absolute_unveil(text, here), want, "{text}");
        }
        assert_eq!([absolute_veil("?x", here), absolute_veil("../y", here)], ["?/srv/app/x", "/srv/y"]);
    }

    #[test]
    fn times() {
        for (text, want) in [
            ("10", 10_000),
            ("0.2", 200),
            ("500ms", 500),
            ("0.2s", 200),
            ("1.5s", 1_500),
            ("1.5h", 5_400_000),
            ("1m30s", 90_000),
            ("1h0m0.5s", 3_600_500),
            ("2s500ms", 2_500),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(want)), "{text}");
        }
        assert_eq!(duration("0.5ms"), Ok(Duration::from_micros(500)));
        for bad in [
            "",
            "0",
            "0s",
            "0m0s",
            "5y",
            "-1s",
            "+1s",
            "1 s",
            ".5s",
            "5.s",
            "1.2.3s",
            "1m30",
            "30s1m",
            "1s1s",
            "s",
            "1S",
            "1e3",
            "999999999999h",
        ] {
            assert_eq!(duration(bad), Err(format!("{bad:?}: not a time above 0 such as 500ms, 1.5s, 10s, 5m, 1h or 1m30s")));
        }
    }

    #[test]
    fn what_is_no_port() {
        assert_eq!((ports("80,0,65535"), ports("none")), (Ok(vec![80, 0, 65535]), Ok(vec![])));
        for (text, want) in [
            ("", "no port is named; write ports such as 80,8080, or none"),
            ("80,", "no port is named; write ports such as 80,8080, or none"),
            ("80-90", "\"80-90\" is a range, which the kernel has no rule for; write ports such as 80,8080, or none"),
            ("none,80", "none stands alone; write ports such as 80,8080, or none"),
            ("80 81", "\"80 81\" is not a port; write ports such as 80,8080, or none"),
            ("-1", "\"-1\" is not a port; write ports such as 80,8080, or none"),
            ("65536", "\"65536\" is above 65535, the highest port"),
        ] {
            assert_eq!(ports(text), Err(format!("{text:?}: {want}")));
        }
    }

    #[test]
    fn users_with_groups() {
        for (text, want) in
            [("a", ("a", None)), ("7:8", ("7:8", None)), ("a:b", ("a", Some("b"))), ("0:b", ("0", Some("b"))), ("a:0", ("a", Some("0")))]
        {
            assert_eq!(user_and_group(text), Ok(want));
        }
        for bad in ["a:", ":b", ":", "a:b:c", "1:2:3"] {
            assert_eq!(user_and_group(bad), Err(format!("{bad:?}: it is neither a name, uid, uid:gid nor name:group")));
        }
    }

    #[test]
    fn options_as_they_are_typed() {
        for (reason, want) in [
            ("work_dir /x: not there", "--work-dir /x: not there"),
            ("user \"x\": there is", "--user \"x\": there is"),
            ("veil: \"x\"", "--veil: \"x\""),
            ("--veil: \"x\"", "--veil: \"x\""),
            ("unveil_defaults rx:/bin: no", "the default unveil rx:/bin: no (--no-defaults is without)"),
            ("raise ulimit nofile to 9: EPERM", "--ulimit: raise nofile to 9: EPERM"),
            ("users of it", "users of it"),
            ("", ""),
        ] {
            assert_eq!(as_typed(reason), want);
        }
    }
}
