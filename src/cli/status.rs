//! How a command ended, for programs: one line of JSON on a descriptor that the caller has opened for it.

use crate::policy::usage::CpuStat;
use crate::task::Ended;
use crate::watch::pidfd;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// Of fcntl.h, as /proc/PID/fdinfo has them.
const ACCESS: u32 = 0o3;
const CLOEXEC: u32 = 0o2_000_000;

/// A copy of the caller's descriptor; the command gets neither.
pub struct StatusFile(File);

impl StatusFile {
    /// Before anything else is opened. What is closed on exec is this process's own: it was not inherited.
    pub fn open(number: i32) -> Result<StatusFile, String> {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).map_err(|_| "is not open".to_string())?;
        let flags = text.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok()).unwrap_or_default();
        if flags & CLOEXEC != 0 {
            return Err("is not open".into());
        }
        if flags & ACCESS == 0 {
            return Err("is not open for writing".into());
        }
        let copy = pidfd::open(std::process::id()).and_then(|this| pidfd::take_descriptor(this.as_fd(), number));
        copy.map(|file| StatusFile(file.into())).map_err(|e| format!("can't be used: {e}"))
    }

    /// Where nobody reads any more there is nobody to tell.
    pub fn tell(mut self, status: &Value) {
        let _ = self.0.write_all(format!("{status}\n").as_bytes());
    }
}

/// Of a command that ran. `scope`: its cgroup, which is empty by now.
pub fn ended(ended: &Ended, timed_out: bool, wall: Duration, scope: &Path) -> Value {
    let result = &ended.result;
    let read = |file: &str| fs::read_to_string(scope.join(file)).ok();
    json!({
        "exit_code": result.exit_code,
        "signal": (result.signal != 0).then_some(result.signal),
        "oom_killed": result.oom_killed,
        "timed_out": timed_out,
        "wall_usec": wall.as_micros() as u64,
        "cpu_usec": read("cpu.stat").and_then(|text| CpuStat::parse(&text)).map(|stat| stat.time.total),
        // Since kernel 5.19, with the memory controller.
        "memory_peak": read("memory.peak").and_then(|text| text.trim().parse::<u64>().ok()),
    })
}

/// Of one that did not.
pub fn failed(code: u8, reason: &str) -> Value {
    json!({ "exit_code": code, "error": reason })
}
