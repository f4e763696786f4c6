//! File systems that are made anew for tasks, in which nothing of the host's is.

/// Mounted nowhere yet. No program in it gets its owner's rights.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    pub kind: &'static str,
    options: &'static [(&'static str, &'static str)],
    /// The most bytes in it, where that is the task's wish.
    pub size: Option<u64>,
    /// Programs can be executed from it.
    has_programs: bool,
    has_devices: bool,
}

/// `MOUNT_ATTR_*` of linux/mount.h.
const NOSUID: u32 = 2;
const NODEV: u32 = 4;
const NOEXEC: u32 = 8;

impl Fresh {
    const fn tmpfs(options: &'static [(&'static str, &'static str)]) -> Fresh {
        Fresh { kind: "tmpfs", options, size: None, has_programs: false, has_devices: false }
    }

    /// In which places are made for what is attached. More than any task's paths need: 64 KiB of symlinks that are too long for their inodes.
    pub const AREA: Fresh = Fresh::tmpfs(&[("mode", "0755"), ("size", "64k"), ("nr_inodes", "16k")]);
    /// A base's root, with a directory for each that stands in it.
    pub const ROOT: Fresh = Fresh::tmpfs(&[("mode", "0755"), ("size", "4k"), ("nr_inodes", "32")]);
    /// Nothing can be in it.
    pub const EMPTY: Fresh = Fresh::tmpfs(&[("mode", "0555"), ("size", "4k"), ("nr_inodes", "1")]);
    /// Shared memory, which counts as the task's memory.
    pub const MEMORY: Fresh = Fresh::tmpfs(&[("mode", "1777")]);
    /// For temporary files.
    pub const TEMPORARY: Fresh = Fresh { has_programs: true, ..Fresh::MEMORY };
    /// Terminals, of which no other devpts has any: at most 256 at a time, of the kernel's 4,096 for all. Who opens its `ptmx` makes one, which
    /// group `tty` may write to.
    pub const TERMINALS: Fresh = Fresh {
        kind: "devpts",
        options: &[("mode", "0620"), ("ptmxmode", "0666"), ("gid", "5"), ("max", "256")],
        size: None,
        has_programs: false,
        has_devices: true,
    };

    /// With room for so many bytes.
    pub fn of_size(self, size: Option<u64>) -> Fresh {
        Fresh { size, ..self }
    }

    /// For fsconfig(2): names and values.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        let size = self.size.map(|size| ("size", size.to_string()));
        self.options.iter().map(|(name, value)| (*name, value.to_string())).chain(size)
    }

    /// For fsmount(2).
    pub fn attributes(&self) -> u32 {
        NOSUID | if self.has_programs { 0 } else { NOEXEC } | if self.has_devices { 0 } else { NODEV }
    }
}
