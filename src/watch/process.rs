//! Which process a pid means, and what the kernel tells of it. Pids are used again; a pid with its start time within one boot is not.

use crate::error::{At, Error, Result};
use crate::policy::capability::Capabilities;
use crate::policy::user::Identity;
use rustix::fs::{Mode, OFlags};
use std::path::PathBuf;

/// When process `pid` started, in clock ticks since boot: field 22 of /proc/PID/stat. ENOENT: there is none.
pub fn start_time(pid: u32) -> Result<u64> {
    field_22(&stat(pid)?).ok_or_else(|| Error::refusal("no start time in", format!("/proc/{pid}/stat")))
}

/// /proc/PID/stat, in one read. ENOENT or ESRCH: there is none.
pub fn stat(pid: u32) -> Result<String> {
    let path = PathBuf::from(format!("/proc/{pid}/stat"));
    // Its 52 numbers and a name never take more.
    let mut bytes = [0u8; 2048];
    let file = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at_path("open", &path)?;
    let length = rustix::io::read(&file, &mut bytes).at_path("read", &path)?;
    Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// Real user and group of process `pid`, from /proc/PID/status. ENOENT: there is none.
pub fn owner(pid: u32) -> Result<(u32, u32)> {
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let status = std::fs::read_to_string(&path).at_path("read", &path)?;
    match (real_id(&status, "Uid:"), real_id(&status, "Gid:")) {
        (Some(uid), Some(gid)) => Ok((uid, gid)),
        _ => Err(Error::refusal("no user and group in", path)),
    }
}

/// As whom process `pid` runs, whose name is its number, and what it may: of /proc/PID/status.
pub fn privileges(pid: u32) -> Result<(Identity, Capabilities)> {
    let (uid, gid) = owner(pid)?;
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let status = std::fs::read_to_string(&path).at_path("read", &path)?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let groups = field("Groups:").split_whitespace().filter_map(|group| group.parse().ok()).collect();
    let capabilities = u64::from_str_radix(field("CapEff:"), 16).unwrap_or_default();
    Ok((Identity { uid, gid, groups, name: uid.to_string(), ..Identity::default() }, Capabilities(capabilities)))
}

fn real_id(status: &str, name: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// The command's name, field 2, may hold anything; counting starts behind its last parenthesis.
fn field_22(stat: &str) -> Option<u64> {
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Names this boot of the kernel.
pub fn boot_id() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    let id = std::fs::read_to_string(path).at_path("read", path)?;
    Ok(id.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn the_start_time_stands_behind_any_name() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(field_22(&format!("7 (sh) {tail}")), Some(4711));
        assert_eq!(field_22(&format!("7 (a) b (c) {tail}")), Some(4711));
        assert_eq!(field_22("7 (sh) S 1"), None);
        assert!(start_time(std::process::id()).unwrap() > 0);
        assert_eq!(start_time(u32::MAX).unwrap_err().errno, Some(Errno::NOENT));
        assert_eq!(boot_id().unwrap().len(), 36);
    }

    #[test]
    fn the_owner_is_the_real_one() {
        assert_eq!(real_id("Name:\tx\nUid:\t80000\t0\t1\t2\nGid:\t7\t0\t0\t0\n", "Uid:"), Some(80000));
        assert_eq!(real_id("Name:\tUid:\n", "Uid:"), None);
        let uid = rustix::process::getuid().as_raw();
        assert_eq!(owner(std::process::id()).unwrap().0, uid);
        assert_eq!(privileges(std::process::id()).unwrap().0.name, uid.to_string());
    }
}
