//! The mounts of a namespace by listmount(2) and statmount(2). ENOSYS before kernel 6.8.

use super::checked;

const SYS_STATMOUNT: libc::c_long = 457;
const SYS_LISTMOUNT: libc::c_long = 458;
const LSMT_ROOT: u64 = u64::MAX;

/// `struct mnt_id_req` of linux/mount.h, first version.
#[repr(C)]
struct Request {
    size: u32,
    spare: u32,
    mnt_id: u64,
    param: u64,
}

impl Request {
    fn new(mnt_id: u64, param: u64) -> Request {
        Request { size: size_of::<Request>() as u32, spare: 0, mnt_id, param }
    }
}

/// The ids of mounts that this thread could reach from its root, those behind `last` (0: all), as many as there is room for. How many.
pub fn list(last: u64, ids: &mut [u64]) -> rustix::io::Result<usize> {
    let request = Request::new(LSMT_ROOT, last);
    // SAFETY: the kernel reads the request, and writes as many numbers as the slice holds at most.
    let count = unsafe { libc::syscall(SYS_LISTMOUNT, &raw const request, ids.as_mut_ptr(), ids.len(), 0) };
    checked(count).map(|count| count as usize)
}

/// A `struct statmount` of that mount, with what `mask` names. ENOENT: it is gone. EOVERFLOW: it takes more than there is room for.
pub fn stat(id: u64, mask: u64, reply: &mut [u8]) -> rustix::io::Result<()> {
    let request = Request::new(id, mask);
    // SAFETY: the kernel reads the request, and writes as many bytes as the slice holds at most.
    checked(unsafe { libc::syscall(SYS_STATMOUNT, &raw const request, reply.as_mut_ptr(), reply.len(), 0) }).map(drop)
}
