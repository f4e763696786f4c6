//! The C library's heap (mallopt(3)).

/// How many arenas threads share. By itself glibc makes eight for each CPU, one for each new thread until then, and keeps what they held.
const ARENAS: libc::c_int = 2;

/// For a process of many threads, each of which allocates little. Before there are any.
pub fn share_arenas() {
    // SAFETY: it sets a number of the allocator's, under the allocator's lock.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
}
