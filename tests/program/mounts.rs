//! What a task has mounted: the host read-only, its own directories and no other allocation's, and what the host does meanwhile.

use crate::common::namespace::in_own_namespace;
use crate::common::task::{Cgroup, Node, soon};
use crate::common::{Need, Run, Scratch, exe, outside};
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::directories::Directories;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::signal::Signal;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::view_mode::ViewMode;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const VERBS: [&str; 4] = ["chmod", "chown", "utimes", "setxattr"];

fn all_verbs(path: impl std::fmt::Display) -> Vec<String> {
    VERBS.map(|verb| format!("{verb} {path}")).into()
}

#[test]
fn a_root_task_changes_no_attribute_of_what_it_may_not_write() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let file = scratch.file("file", "x");
    let dir = scratch.dir("dir");
    let below = scratch.file("dir/below", "x");
    for path in [&file, &dir, &below] {
        let attempts = all_verbs(path.display());
        // Not every file system takes extended attributes.
        let free = outside(&attempts);
        assert_eq!(free[..3], ["ok"; 3], "the control: {}", path.display());
        assert_eq!(Run::root().unveil("r", path.display()).probe(&attempts), ["EROFS"; 4], "{}", path.display());
        let off = Run::root().option("--protect-system", "off").unveil("r", path.display());
        assert_eq!(off.probe(&attempts), free, "off: {}", path.display());
        assert_eq!(Run::root().unveil("rw", path.display()).probe(&attempts), free, "writable: {}", path.display());
    }
    // Below a directory that is unveiled for writing, beside it, and where it may only create.
    assert_eq!(Run::root().unveil("rwc", dir.display()).probe(&all_verbs(below.display()))[..3], ["ok"; 3]);
    assert_eq!(Run::root().unveil("rwc", dir.display()).probe(&all_verbs(file.display())), ["ENOENT"; 4]);
    assert_eq!(Run::root().unveil("r", &scratch).unveil("rwc", dir.display()).probe(&all_verbs(file.display())), ["EROFS"; 4]);
    assert_eq!(Run::root().unveil("c", dir.display()).probe(&[format!("mkdir {}/new", dir.display())]), ["ok"]);
    assert_eq!(Run::root().unveil("rw", "/").probe(&all_verbs(file.display()))[..3], ["ok"; 3]);
    // The system's own, by the default paths alone. A sandbox that fails changes times only.
    for path in ["/bin", "/etc/hosts", "/dev/null", "/sys", "/proc"] {
        assert_eq!(Run::root().probe(&[format!("utimes {path}")]), ["EROFS"], "{path}");
    }
    // What is no file is written all the same.
    assert_eq!(Run::root().probe(&["open-write /dev/null"]), ["ok"]);
}

#[test]
fn what_is_mounted_below_a_writable_directory_is_writable() {
    needs!(Need::Task);
    let scratch = Scratch::new();
    let dir = scratch.dir("dir/mounted");
    mount("tmpfs", &dir, "tmpfs", MountFlags::empty(), None).unwrap();
    let attempt = [format!("chmod {}", dir.display()), format!("mkdir {}/new", dir.display())];
    let answers = Run::root().unveil("rwc", scratch.path("dir").display()).probe(&attempt);
    unmount(&dir, UnmountFlags::DETACH).unwrap();
    assert_eq!(answers, ["ok", "ok"]);
}

fn inner(test: &str, shared: bool) {
    in_own_namespace(&format!("mounts::{test}"), shared);
}

fn shared() -> bool {
    std::env::var_os("SHARED").is_some_and(|value| !value.is_empty())
}

fn tmpfs(at: &Path) {
    fs::create_dir_all(at).unwrap();
    mount("tmpfs", at, "tmpfs", MountFlags::empty(), None).unwrap();
    fs::write(at.join("mark"), "").unwrap();
}

/// A task that sleeps, of an allocation of that name.
struct Sleeper {
    id: String,
    pid: u32,
    directories: Directories,
    _cgroup: Cgroup,
}

fn sleeper(node: &Node, alloc: &str, change: impl FnOnce(&mut TaskSpec)) -> Sleeper {
    let directories = node.directories(alloc);
    let mut spec = node.spec(&["sleep 60000"]);
    spec.view.directories = Some(directories.clone());
    let cgroup = Cgroup::new();
    spec.cgroup.path = cgroup.0.clone();
    change(&mut spec);
    let (id, started) = node.run_spec(spec);
    Sleeper { id, pid: started.pid, directories, _cgroup: cgroup }
}

impl Sleeper {
    fn sees(&self, path: &Path) -> bool {
        let inside = format!("/proc/{}/root{}", self.pid, path.display());
        match fs::metadata(&inside) {
            Ok(_) => true,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
            Err(e) => panic!("{inside}: {e}"),
        }
    }

    /// Lines of mountinfo of what is mounted in the node's scratch directory: elsewhere other tests are at work.
    fn mounts(&self, node: &Node) -> Vec<String> {
        let text = fs::read_to_string(format!("/proc/{}/mountinfo", self.pid)).unwrap();
        text.lines().filter(|line| place(line).starts_with(node.scratch.path(""))).map(str::to_string).collect()
    }

    fn stop(&self, node: &Node) {
        node.stop(&self.id, Signal::TERM, Duration::from_secs(5)).unwrap().unwrap();
        node.destroy(&self.id, true).unwrap().unwrap();
    }
}

/// Who of this process's threads and of `tasks` has something mounted at `path`.
fn keeps(path: &Path, tasks: &[&Sleeper]) -> Vec<String> {
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
    let tables = threads.chain(tasks.iter().map(|task| PathBuf::from(format!("/proc/{}", task.pid))));
    let at = format!(" {} ", path.display());
    tables
        .filter(|dir| fs::read_to_string(dir.join("mountinfo")).unwrap_or_default().contains(&at))
        .map(|dir| dir.display().to_string())
        .collect()
}

#[test]
fn a_task_sees_no_other_allocation() {
    needs!(Need::Task);
    [true, false].into_iter().for_each(|shared| inner("inner_allocations", shared));
}

#[test]
#[ignore = "started by a_task_sees_no_other_allocation"]
fn inner_allocations() {
    let node = Node::new();
    let first = sleeper(&node, "a", |_| {});
    let second = sleeper(&node, "b", |_| {});
    for (task, other) in [(&first, &second), (&second, &first)] {
        for dir in [&task.directories.alloc_dir, &task.directories.task_dir] {
            assert!(task.sees(&dir.join("alloc/logs")), "{}", dir.display());
        }
        assert!(task.sees(&task.directories.task_dir.join("secrets")));
        for dir in [&other.directories.alloc_dir, &other.directories.task_dir] {
            assert!(dir.join("alloc/logs").exists(), "the control");
            assert!(!task.sees(dir), "{}", dir.display());
        }
    }
    // Neither number of mounts nor what the client does with other allocations reaches a task.
    let before = second.mounts(&node);
    let many: Vec<Directories> = (0..50).map(|number| node.directories(&format!("many-{number}"))).collect();
    let third = sleeper(&node, "c", |_| {});
    assert_eq!(third.mounts(&node).len(), before.len());
    assert_eq!(second.mounts(&node), before);
    let trees = covers(&node);
    for line in third.mounts(&node) {
        let place = place(&line);
        let own = [&third.directories.alloc_dir, &third.directories.task_dir].iter().any(|own| place.starts_with(own));
        assert!(own || trees.contains(&place), "{line}");
    }
    // The client takes them down while tasks run.
    for directories in many {
        for mounted in [&directories.task_dir, &directories.alloc_dir.join("probe/secrets")] {
            while unmount(mounted, UnmountFlags::DETACH).is_ok() {}
        }
        fs::remove_dir_all(&directories.task_dir).unwrap();
        fs::remove_dir_all(&directories.alloc_dir).unwrap();
    }
    // Nor does what the client mounts look at every task.
    let private = sleeper(&node, "d", |spec| spec.view.mode = ViewMode::Private);
    let text = fs::read_to_string(format!("/proc/{}/mountinfo", private.pid)).unwrap();
    let slaves = |place: &str| text.lines().filter(|line| line.contains(place) && line.contains(" master:")).count();
    assert!(text.contains(" /etc/hosts ") && slaves(" /usr/") + slaves(" /etc/") == 0, "{text}");
    private.stop(&node);
    // A path of theirs is no path of the task's.
    let mut spec = node.spec(&[]);
    spec.view.directories = Some(second.directories.clone());
    spec.rules.grants.push(Grant { mode: Mode::R, path: first.directories.alloc_dir.clone(), option: "unveil", required: true });
    let error = node.start(spec).unwrap_err().to_string();
    assert!(error.starts_with("unveil: ") && error.contains("of which a task sees its own"), "{error}");
    [&first, &second, &third].iter().for_each(|task| task.stop(&node));
}

fn covers(node: &Node) -> [PathBuf; 2] {
    ["alloc", "alloc_mounts"].map(|dir| node.scratch.path(dir))
}

/// The mount point of a line of mountinfo.
fn place(line: &str) -> PathBuf {
    line.split(' ').nth(4).unwrap_or_default().into()
}

#[test]
fn a_task_follows_the_hosts_mounts() {
    needs!(Need::Task);
    [true, false].into_iter().for_each(|shared| inner("inner_host", shared));
}

#[test]
#[ignore = "started by a_task_follows_the_hosts_mounts"]
fn inner_host() {
    let node = Node::new();
    let [disk, later, net] = ["disk", "later", "net"].map(|name| node.scratch.path(name));
    tmpfs(&disk);
    // As systemd's automounts are: a mount of its own, on which others appear.
    tmpfs(&net);
    mount_change(&net, MountPropagationFlags::SHARED).unwrap();
    let shows = |paths: &[&PathBuf]| {
        let grants = paths.iter().map(|path| Grant { mode: Mode::R, path: path.to_path_buf(), option: "unveil", required: true });
        let grants: Vec<Grant> = grants.collect();
        move |spec: &mut TaskSpec| spec.rules.grants.extend(grants)
    };
    let first = sleeper(&node, "a", shows(&[&disk, &net]));
    assert!(first.sees(&disk.join("mark")));
    let private = sleeper(&node, "private", |spec| {
        spec.view.mode = ViewMode::Private;
        spec.rules.grants.extend([&disk, &net].map(|path| Grant { mode: Mode::R, path: path.clone(), option: "unveil", required: true }));
    });
    let of_net = private.mounts(&node).into_iter().find(|line| place(line) == net).unwrap();
    assert!(of_net.contains(" master:"), "it receives: {of_net}");
    assert!(private.sees(&disk.join("mark")) && private.sees(&net) && !private.sees(Path::new("/sys/kernel")));

    tmpfs(&later);
    let second = sleeper(&node, "b", shows(&[&disk, &later, &net]));
    assert!(second.sees(&disk.join("mark")) && second.sees(&later.join("mark")));

    tmpfs(&net.join("host"));
    let seen = || [&first, &second, &private].iter().all(|task| task.sees(&net.join("host/mark")));
    assert!(soon(seen), "not seen in running tasks");
    unmount(net.join("host"), UnmountFlags::empty()).unwrap();
    assert!(soon(|| !first.sees(&net.join("host/mark")) && !private.sees(&net.join("host/mark"))));

    for gone in [&disk, &later] {
        unmount(gone, UnmountFlags::empty()).unwrap();
        let kept = || keeps(gone, &[&first, &second, &private]);
        assert!(soon(|| kept().is_empty()), "{:?} keep {}", kept(), gone.display());
        fs::remove_dir(gone).unwrap();
    }
    let third = sleeper(&node, "c", |_| {});
    assert!(!third.sees(&disk));
    if !shared() {
        // The same place again, with other options.
        tmpfs(&disk);
        rustix::mount::mount_remount(&disk, MountFlags::NOEXEC | MountFlags::BIND, "").unwrap();
        let fourth = sleeper(&node, "d", shows(&[&disk]));
        let line = fourth.mounts(&node).into_iter().find(|line| line.contains(&format!(" {} ", disk.display()))).unwrap();
        assert!(line.contains("noexec"), "{line}");
        fourth.stop(&node);
    }
    [&first, &second, &third, &private].iter().for_each(|task| task.stop(&node));
}

#[test]
fn a_file_system_that_does_not_answer_holds_up_nothing() {
    needs!(Need::Task, Need::Fuse);
    [true, false].into_iter().for_each(|shared| inner("inner_silent", shared));
}

/// As when a file server is gone, and what it served is unmounted.
#[test]
#[ignore = "started by a_file_system_that_does_not_answer_holds_up_nothing"]
fn inner_silent() {
    let node = Node::new();
    let silent = node.scratch.path("silent");
    fs::create_dir(&silent).unwrap();
    let server = fs::File::options().read(true).write(true).open("/dev/fuse").unwrap();
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", server.as_raw_fd());
    mount("silent", &silent, "fuse", MountFlags::empty(), CString::new(data).unwrap().as_c_str()).unwrap();
    let first = sleeper(&node, "a", |spec| {
        spec.rules.grants.push(Grant { mode: Mode::R, path: node.scratch.path(""), option: "unveil", required: true });
    });
    assert!(!keeps(&silent, &[&first]).is_empty(), "the control");
    unmount(&silent, UnmountFlags::DETACH).unwrap();
    let kept = || keeps(&silent, &[&first]);
    assert!(soon(|| kept().is_empty()), "{:?} keep it", kept());
    let second = sleeper(&node, "b", |_| {});
    [&first, &second].iter().for_each(|task| task.stop(&node));
}

#[test]
fn a_plugin_in_a_root_of_its_own() {
    needs!(Need::Task);
    inner("inner_other_root", true);
}

/// What stands in a base is what stands in the process's root, which need not be its mount namespace's.
#[test]
#[ignore = "started by a_plugin_in_a_root_of_its_own"]
fn inner_other_root() {
    let root = Scratch::new();
    mount("tmpfs", root.path(""), "tmpfs", MountFlags::empty(), None).unwrap();
    for entry in fs::read_dir("/").unwrap().flatten() {
        let (from, to) = (entry.path(), root.path("").join(entry.file_name()));
        match fs::read_link(&from) {
            Ok(target) => std::os::unix::fs::symlink(target, to).unwrap(),
            Err(_) if from.is_dir() && !root.path("").starts_with(&from) => {
                fs::create_dir(&to).unwrap();
                rustix::mount::mount_bind_recursive(from, to).unwrap();
            }
            Err(_) => {}
        }
    }
    let var_tmp = root.path("var/tmp");
    fs::create_dir_all(&var_tmp).unwrap();
    fs::set_permissions(&var_tmp, fs::Permissions::from_mode(0o1777)).unwrap();
    let program = root.path("probe");
    fs::copy(exe(), &program).unwrap();
    rustix::process::chroot(root.path("")).unwrap();
    rustix::process::chdir("/").unwrap();
    let node = Node::new();
    let change = |spec: &mut TaskSpec| {
        spec.command.paths = vec!["/probe".into()];
        spec.rules.grants.last_mut().unwrap().path = "/probe".into();
    };
    let [first, second] = ["a", "b"].map(|alloc| sleeper(&node, alloc, change));
    assert!(first.sees(&first.directories.task_dir.join("alloc/logs")) && !first.sees(&second.directories.alloc_dir));
    assert!(!second.sees(&first.directories.alloc_dir));
    assert!(!second.mounts(&node).iter().any(|line| place(line).starts_with(&first.directories.task_dir)));
    let text = fs::read_to_string(format!("/proc/{}/mountinfo", second.pid)).unwrap();
    let writable = |line: &&str| line.split(' ').nth(5).is_some_and(|options| options.split(',').any(|option| option == "rw"));
    let own = |line: &&str| {
        let dirs = [&second.directories.task_dir, &second.directories.alloc_dir];
        dirs.iter().any(|dir| place(line).starts_with(dir)) || place(line) == Path::new("/dev/shm") || line.contains(" - mqueue ")
    };
    let writable: Vec<&str> = text.lines().filter(writable).filter(|line| !own(line)).collect();
    assert!(writable.is_empty(), "{writable:?}");
    // A view of its own needs none.
    let third = sleeper(&node, "c", |spec| {
        change(spec);
        spec.view.mode = ViewMode::Private;
    });
    assert!(third.sees(&third.directories.task_dir.join("alloc/logs")) && third.sees(Path::new("/probe")));
    for hidden in [Path::new("/sys/kernel"), &first.directories.alloc_dir] {
        assert!(first.sees(hidden) && !third.sees(hidden), "{}", hidden.display());
    }
    assert!(second.sees(Path::new("/usr")) && !second.sees(Path::new("/home")));
    [&first, &second, &third].iter().for_each(|task| task.stop(&node));
}
