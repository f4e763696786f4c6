//! Mounts of allocations that are not ours, as a busy host has thousands of.

use crate::Bench;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use std::fs;
use std::io;
use std::path::PathBuf;

/// Unmounted when dropped. To be made in a namespace of its own only.
pub struct Extra {
    dir: PathBuf,
    count: usize,
}

impl Extra {
    pub fn new(bench: &Bench) -> Extra {
        Extra { dir: bench.scratch.0.join("alloc"), count: 0 }
    }

    fn point(&self, number: usize) -> PathBuf {
        self.dir.join(format!("extra-{number}"))
    }

    pub fn grow(&mut self, count: usize) -> io::Result<()> {
        for number in self.count..count {
            let point = self.point(number);
            fs::create_dir_all(&point)?;
            mount_bind(&point, &point)?;
            self.count = number + 1;
        }
        std::thread::sleep(crate::scale::SETTLE);
        Ok(())
    }
}

impl Drop for Extra {
    fn drop(&mut self) {
        for number in 0..self.count {
            let _ = unmount(self.point(number), UnmountFlags::DETACH);
        }
    }
}
