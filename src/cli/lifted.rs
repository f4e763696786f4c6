//! Limits that this process was started with and that are its command's: here they would meet what a start takes.

use crate::policy::ulimit::{AS, DATA, FSIZE, NOFILE, NPROC, Ulimit};
use crate::watch::limit;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Descriptors without which no start succeeds, and as many as one may take: in a private view one for each unveil.
const LEAST: u64 = 48;
const MANY: u64 = 4096;

/// Raises them here as far as that goes: without CAP_SYS_RESOURCE to the hard limit. What the command is to get back. The error is one with which
/// nothing can be started.
pub fn lift() -> Result<Vec<Ulimit>, String> {
    let all = [
        raised(FSIZE, Resource::Fsize, u64::MAX),
        raised(NPROC, Resource::Nproc, u64::MAX),
        raised(DATA, Resource::Data, u64::MAX),
        raised(AS, Resource::As, u64::MAX),
        raised(NOFILE, Resource::Nofile, MANY),
    ];
    match limit::of(NOFILE) {
        Some((few, _)) if few < LEAST => Err(format!("ulimit -n {few}: too few; to start a command takes {LEAST} descriptors at least")),
        _ => Ok(all.into_iter().flatten().collect()),
    }
}

/// Raises one, its hard limit too if that is below `wanted`. What it was, if it was raised.
fn raised(resource: u32, name: Resource, wanted: u64) -> Option<Ulimit> {
    let (soft, hard) = limit::of(resource).filter(|(soft, hard)| soft < hard || *hard < wanted)?;
    let set = |limit: u64| {
        let limit = (limit != u64::MAX).then_some(limit);
        setrlimit(name, Rlimit { current: limit, maximum: limit })
    };
    let is_raised = hard < wanted && set(wanted).is_ok() || set(hard).is_ok();
    is_raised.then_some(Ulimit { resource, soft, hard })
}

/// What to say of a limit that was met all the same.
pub fn hint(reason: &str) -> String {
    let of = |resource, option, what| match limit::of(resource) {
        Some((limit, _)) if limit != u64::MAX => format!("; ulimit -{option} is {limit}{what}"),
        _ => String::new(),
    };
    match () {
        () if reason.contains("(EFBIG)") => of(FSIZE, 'f', " bytes, too few for what a start writes"),
        // Counted once init has become that user.
        () if reason.contains("(EAGAIN)") => of(NPROC, 'u', ", for all processes of the command's user on this host"),
        () if reason.contains("(EMFILE)") => of(NOFILE, 'n', ", too few for what a start opens"),
        () => String::new(),
    }
}
