//! One allocation's directories, log FIFOs and cgroup, as Nomad's client lays them out (UNVEIL isolation).

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub struct Allocation {
    pub alloc_id: String,
    pub alloc_dir: PathBuf,
    pub task_dir: PathBuf,
    pub cgroup: PathBuf,
    pub stdout: PathBuf,
    pub stderr: PathBuf,
    /// Held open for reading and writing, as a log collector that never goes.
    out: File,
    _err: File,
}

pub const TASK: &str = "t";

impl Allocation {
    /// Below `root` (directories) and `slice` (cgroups).
    pub fn create(root: &Path, slice: &Slice) -> io::Result<Allocation> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let alloc_id = format!("{:08x}-0000-4000-8000-{:012x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let alloc_dir = root.join("alloc").join(&alloc_id);
        let task_dir = root.join("alloc_mounts").join(format!("{alloc_id}-{TASK}"));
        let logs = alloc_dir.join("alloc/logs");
        let source = alloc_dir.join(TASK);
        for dir in [logs.clone(), alloc_dir.join("alloc/data"), task_dir.clone()] {
            open_to_all(&dir)?;
        }
        for dir in ["alloc", "local", "secrets", "tmp"] {
            open_to_all(&source.join(dir))?;
        }
        let fifo = |name: &str| {
            let path = logs.join(format!(".{TASK}.{name}.fifo"));
            rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)?;
            let file = File::options().read(true).write(true).open(&path)?;
            Ok::<_, io::Error>((path, file))
        };
        let (stdout, out) = fifo("stdout")?;
        let (stderr, err) = fifo("stderr")?;
        let cgroup = slice.path.join(format!("{alloc_id}.{TASK}.scope"));
        fs::create_dir(&cgroup)?;
        // Last, because what comes before goes with the scratch directory and the slice, whatever fails.
        rustix::mount::mount_bind(&source, &task_dir)?;
        if let Err(e) = rustix::mount::mount_bind(alloc_dir.join("alloc"), task_dir.join("alloc")) {
            let _ = rustix::mount::unmount(&task_dir, rustix::mount::UnmountFlags::DETACH);
            return Err(e.into());
        }
        Ok(Allocation { alloc_id, alloc_dir, task_dir, cgroup, stdout, stderr, out, _err: err })
    }
}

impl Allocation {
    /// Another descriptor of the standard output's FIFO, for reading.
    pub fn output(&self) -> io::Result<File> {
        self.out.try_clone()
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.task_dir, rustix::mount::UnmountFlags::DETACH);
        let _ = fs::remove_dir_all(&self.task_dir);
        let _ = fs::remove_dir_all(&self.alloc_dir);
        remove_cgroup(&self.cgroup);
    }
}

/// Ends what is left in a cgroup, and removes it.
fn remove_cgroup(path: &Path) {
    for _ in 0..100 {
        match fs::remove_dir(path) {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {}
            _ => return,
        }
        let _ = fs::write(path.join("cgroup.kill"), "1");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn open_to_all(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o777))
}

/// A cgroup that holds the allocations' cgroups. Removed when dropped.
pub struct Slice {
    path: PathBuf,
    root: PathBuf,
    /// Controllers that were enabled below the root for this.
    enabled: Vec<String>,
}

impl Slice {
    /// With every controller that there is, or without a change of any.
    pub fn create(controllers: bool) -> io::Result<Slice> {
        let root = nomad_driver_exec2::watch::mount_table::cgroups().ok_or_else(|| io::Error::other("cgroup v2 is not mounted"))?;
        let path = root.join(format!("exec2-bench-{}.slice", std::process::id()));
        fs::create_dir(&path)?;
        let mut slice = Slice { path, root, enabled: Vec::new() };
        if controllers {
            slice.enable()?;
        }
        Ok(slice)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn enable(&mut self) -> io::Result<()> {
        let names = |dir: &Path, file: &str| fs::read_to_string(dir.join(file)).unwrap_or_default();
        let (have, before) = (names(&self.root, "cgroup.controllers"), names(&self.root, "cgroup.subtree_control"));
        for needed in ["cpu", "memory"] {
            if !have.split_whitespace().any(|name| name == needed) {
                return Err(io::Error::other(format!("--limits: {} has no {needed} controller", self.root.display())));
            }
        }
        for name in have.split_whitespace() {
            if fs::write(self.root.join("cgroup.subtree_control"), format!("+{name}")).is_ok()
                && !before.split_whitespace().any(|old| old == name)
            {
                self.enabled.push(name.to_string());
            }
            let _ = fs::write(self.path.join("cgroup.subtree_control"), format!("+{name}"));
        }
        Ok(())
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        let children = fs::read_dir(&self.path).into_iter().flatten().flatten().map(|entry| entry.path());
        children.filter(|path| path.is_dir()).for_each(|path| remove_cgroup(&path));
        remove_cgroup(&self.path);
        for name in &self.enabled {
            let _ = fs::write(self.root.join("cgroup.subtree_control"), format!("-{name}"));
        }
    }
}
