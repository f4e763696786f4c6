//! Which process a pid means: pids are used again, a pid with its start time within one boot is not.

use super::error::{At, Error, Result};
use rustix::io::Errno;
use std::path::PathBuf;
use std::sync::OnceLock;

/// When process `pid` started, in clock ticks since boot: field 22 of /proc/PID/stat. ENOENT: there is none.
pub fn start_time(pid: u32) -> Result<u64> {
    let path = PathBuf::from(format!("/proc/{pid}/stat"));
    let stat = std::fs::read_to_string(&path).at_path("read", &path)?;
    field_22(&stat).ok_or(Error { step: "parse", path: Some(path), errno: Errno::INVAL })
}

/// The command's name, field 2, may hold anything; counting starts behind its last parenthesis.
fn field_22(stat: &str) -> Option<u64> {
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Names this boot of the kernel.
pub fn boot_id() -> Result<&'static str> {
    static ID: OnceLock<String> = OnceLock::new();
    if let Some(id) = ID.get() {
        return Ok(id);
    }
    let path = "/proc/sys/kernel/random/boot_id";
    let id = std::fs::read_to_string(path).at_path("read", path)?;
    Ok(ID.get_or_init(|| id.trim().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_stands_behind_any_name() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(field_22(&format!("7 (sh) {tail}")), Some(4711));
        assert_eq!(field_22(&format!("7 (a) b (c) {tail}")), Some(4711));
        assert_eq!(field_22("7 (sh) S 1"), None);
        assert!(start_time(std::process::id()).unwrap() > 0);
        assert_eq!(start_time(u32::MAX).unwrap_err().errno, Errno::NOENT);
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
