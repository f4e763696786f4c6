//! A mount as statmount(2) tells of it: `struct statmount` of linux/mount.h.

use super::mountinfo::{FileSystem, Mount};
use std::ffi::{CStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What is asked for: `STATMOUNT_SB_BASIC`, `_MNT_BASIC` and `_MNT_POINT`.
pub const MASK: u64 = 1 | 2 | 16;
/// Of the structure with a path of 4 KiB, and more, in bytes.
pub const LENGTH: usize = STRINGS + 4608;

/// Where its strings begin. Offsets as follows.
const STRINGS: usize = 512;
const SB_DEV_MAJOR: usize = 16;
const SB_DEV_MINOR: usize = 20;
const SB_MAGIC: usize = 24;
const MNT_PARENT_ID: usize = 48;
const MNT_ATTR: usize = 64;
const MNT_PROPAGATION: usize = 72;
const MNT_POINT: usize = 108;

const MS_SHARED: u64 = 1 << 20;

/// The mount `id`. `None`: the reply is none to [`MASK`].
pub fn parse(id: u64, reply: &[u8]) -> Option<Mount> {
    let word = |at: usize| Some(u64::from_ne_bytes(reply.get(at..at + 8)?.try_into().ok()?));
    let half = |at: usize| Some(u32::from_ne_bytes(reply.get(at..at + 4)?.try_into().ok()?));
    let point = CStr::from_bytes_until_nul(reply.get(STRINGS + half(MNT_POINT)? as usize..)?).ok()?;
    Some(Mount {
        id,
        parent: word(MNT_PARENT_ID)?,
        dev: (half(SB_DEV_MAJOR)?, half(SB_DEV_MINOR)?),
        path: PathBuf::from(OsString::from_vec(point.to_bytes().to_vec())),
        attr: word(MNT_ATTR)? & 0xf,
        is_shared: word(MNT_PROPAGATION)? & MS_SHARED != 0,
        file_system: FileSystem::of_magic(word(SB_MAGIC)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply() {
        let mut reply = [0u8; LENGTH];
        let mut put = |at: usize, bytes: &[u8]| reply[at..at + bytes.len()].copy_from_slice(bytes);
        put(SB_DEV_MAJOR, &8u32.to_ne_bytes());
        put(SB_DEV_MINOR, &1u32.to_ne_bytes());
        put(SB_MAGIC, &0x6367_7270u64.to_ne_bytes());
        put(MNT_PARENT_ID, &7u64.to_ne_bytes());
        put(MNT_ATTR, &0x23u64.to_ne_bytes());
        put(MNT_PROPAGATION, &MS_SHARED.to_ne_bytes());
        put(MNT_POINT, &6u32.to_ne_bytes());
        put(STRINGS, b"ext4\0\0/mnt\0");
        let mount =
            Mount { id: 9, parent: 7, dev: (8, 1), path: "/mnt".into(), attr: 3, is_shared: true, file_system: FileSystem::Cgroup2 };
        assert_eq!(parse(9, &reply), Some(mount));
        assert_eq!(parse(9, &reply[..100]), None);
        reply[MNT_POINT..MNT_POINT + 4].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(parse(9, &reply), None);
        reply[STRINGS..].fill(b'x');
        reply[MNT_POINT..MNT_POINT + 4].fill(0);
        assert_eq!(parse(9, &reply), None);
    }
}
