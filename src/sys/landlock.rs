//! Landlock: the ABI of the running kernel, and rulesets. Structures as in linux/landlock.h.

use super::checked;
use crate::error::{At, Result};
use libc::{SYS_landlock_add_rule, SYS_landlock_create_ruleset};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const CREATE_RULESET_VERSION: u32 = 1;
/// `LANDLOCK_RULE_PATH_BENEATH`.
pub const PATH_BENEATH: usize = 1;

/// `struct landlock_path_beneath_attr`: packed, 12 bytes.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct PathBeneathAttr {
    pub allowed_access: u64,
    pub parent_fd: i32,
}

/// `LANDLOCK_RULE_NET_PORT`.
const NET_PORT: usize = 2;

/// The ABI of the running kernel. ENOSYS: the kernel was built without Landlock. EOPNOTSUPP: it is switched off at boot.
pub fn abi() -> rustix::io::Result<u32> {
    // SAFETY: with this flag the kernel reads no attribute.
    checked(unsafe { libc::syscall(SYS_landlock_create_ruleset, 0usize, 0usize, CREATE_RULESET_VERSION) }).map(|abi| abi as u32)
}

/// A set of rules, not yet enforced on anybody.
pub struct Ruleset(pub OwnedFd);

impl Ruleset {
    /// `attr`: the words of `struct landlock_ruleset_attr`, as many as this kernel's ABI knows.
    pub fn new(attr: &[u64]) -> Result<Ruleset> {
        // SAFETY: the kernel copies the words of the slice before it returns.
        let fd = unsafe { libc::syscall(SYS_landlock_create_ruleset, attr.as_ptr(), size_of_val(attr), 0) };
        let fd = checked(fd).at("landlock_create_ruleset")?;
        // SAFETY: a new descriptor that nobody else owns. The kernel makes it close-on-exec.
        Ok(Ruleset(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Allows `access` (rights as in linux/landlock.h) on what `path` is open on, and beneath.
    pub fn allow(&self, path: BorrowedFd<'_>, access: u64) -> rustix::io::Result<()> {
        let rule = PathBeneathAttr { allowed_access: access, parent_fd: path.as_raw_fd() };
        self.add(PATH_BENEATH, (&raw const rule).cast())
    }

    /// Allows `access` (network rights) on a TCP port; ABI 4.
    pub fn allow_port(&self, port: u16, access: u64) -> rustix::io::Result<()> {
        // The words of `struct landlock_net_port_attr`.
        let rule = [access, port.into()];
        self.add(NET_PORT, (&raw const rule).cast())
    }

    fn add(&self, kind: usize, rule: *const libc::c_void) -> rustix::io::Result<()> {
        // SAFETY: landlock_add_rule copies the attribute of that kind, which is one of the two above, before it returns.
        checked(unsafe { libc::syscall(SYS_landlock_add_rule, self.0.as_raw_fd(), kind, rule, 0) }).map(drop)
    }
}
