//! Volumes: what a task may do in them and at their own place, and where they can be put.

use crate::common::namespace::in_own_namespace;
use crate::common::place::Place;
use crate::common::task::{Cgroup, With, soon};
use crate::common::{Need, Scratch, open_to_all, outside};
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::signal::Signal;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::view_mode::ProtectSystem;
use nomad_driver_exec2::policy::volume::Volume;
use rustix::mount::{MountFlags, mount};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn volume(source: &Path, target: &Path) -> Volume {
    Volume { written: target.display().to_string(), source: source.into(), target: target.into(), read_only: false, follows_host: false }
}

fn read_only(source: &Path, target: &Path) -> Volume {
    Volume { read_only: true, ..volume(source, target) }
}

fn with(place: &Place, volumes: Vec<Volume>, attempts: &[&str]) -> TaskSpec {
    place.spec(attempts).with(|spec| spec.view.volumes = volumes)
}

fn probe(place: &Place, volumes: Vec<Volume>, attempts: &[&str]) -> Vec<String> {
    place.node.output(with(place, volumes, attempts))
}

fn refused(place: &Place, volumes: Vec<Volume>) -> String {
    place.refused(with(place, volumes, &["exit 0"]))
}

/// A directory with a file, a program and a directory in it, all for anybody.
fn source(scratch: &Scratch, name: &str) -> PathBuf {
    let dir = scratch.dir(name);
    scratch.file(&format!("{name}/file"), "text");
    scratch.tool(&format!("{name}/tool"));
    scratch.dir(&format!("{name}/sub"));
    dir
}

fn all(dir: &Path, verbs: &[&str]) -> Vec<String> {
    verbs.iter().map(|verb| verb.replace("DIR", dir.to_str().unwrap())).collect()
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn a_volume_above_what_is_the_drivers_own() {
    needs!(Need::Task);
    in_own_namespace("volumes::inner_own", true);
}

#[test]
#[ignore = "started by a_volume_above_what_is_the_drivers_own"]
fn inner_own() {
    let place = Place::new();
    let scratch = Scratch::new();
    let from = source(&scratch, "vol");
    let target = place.own("local/data");
    let look = [format!("entries {}", target.display()), format!("entries {}", target.join("sub").display())];
    scratch.file("vol/sub/file", "");
    assert_eq!(probe(&place, vec![volume(&from, &target)], &strs(&look)), ["3", "1"]);
    place.node.tasks.hide(&from.join("sub"));
    assert_eq!(probe(&place, vec![volume(&from, &target)], &strs(&look)), ["3", "0"]);
    let error = refused(&place, vec![volume(&from.join("sub"), &target)]);
    assert!(error.ends_with("is the driver's own or the client's, which no task may have"), "{error}");
}

/// CAP_MKNOD
const MKNOD: u32 = 27;

const WRITES: [&str; 4] = ["write DIR/file", "create DIR/new", "chmod DIR/file", "rename DIR/sub DIR/moved"];

#[test]
fn what_a_volume_allows() {
    needs!(Need::Task);
    in_own_namespace("volumes::inner_rights", true);
}

#[test]
#[ignore = "started by what_a_volume_allows"]
fn inner_rights() {
    let place = Place::new();
    let scratch = Scratch::new();
    let elsewhere = scratch.dir("elsewhere");
    for target in [elsewhere, place.own("local/data/deep")] {
        let from = source(&scratch, "vol");
        std::os::unix::fs::chown(from.join("file"), Some(65534), None).unwrap();
        let (reads, writes) = (all(&target, &["text DIR/file", "list DIR", "exec DIR/tool"]), all(&target, &WRITES));
        // Without the volume there is nothing, or nothing to be used.
        assert!(probe(&place, vec![], &strs(&reads)).iter().all(|answer| answer != "ok" && answer != "text"));

        let closed = || vec![read_only(&from, &target)];
        assert_eq!(probe(&place, closed(), &strs(&reads)), ["text", "ok", "ok"], "{}", target.display());
        assert_eq!(probe(&place, closed(), &strs(&writes)), ["EROFS"; 4], "{}", target.display());
        // At its own path it is not there.
        let open = || vec![volume(&from, &target)];
        assert_eq!(probe(&place, open(), &[&format!("text {}/file", from.display())]), ["ENOENT"]);
        assert_eq!(probe(&place, open(), &strs(&reads)), ["text", "ok", "ok"]);
        assert_eq!(probe(&place, open(), &strs(&writes)), ["ok"; 4], "{}", target.display());
        assert!(from.join("new").exists() && from.join("moved").exists(), "the host sees it");
        fs::remove_dir_all(&from).unwrap();

        // Landlock alone keeps what is read-only from being written; attributes stay as they are, by the mount.
        let from = source(&scratch, "vol");
        let off = with(&place, closed(), &strs(&writes)).with(|spec| spec.view.protect_system = ProtectSystem::Off);
        assert_eq!(place.node.output(off), ["EROFS"; 4]);
        fs::remove_dir_all(&from).unwrap();
    }
    // What was made on the way is root's, and for others to walk through.
    let made = fs::metadata(place.own("local/data")).unwrap();
    assert_eq!((made.uid(), made.permissions().mode() & 0o7777), (0, 0o755));
    assert!(fs::read_dir(place.own("local/data/deep")).unwrap().next().is_none(), "nothing was written below the volume");
}

#[test]
fn what_is_mounted_in_a_volume() {
    needs!(Need::Task);
    in_own_namespace("volumes::inner_mounted", true);
}

#[test]
#[ignore = "started by what_is_mounted_in_a_volume"]
fn inner_mounted() {
    let place = Place::new();
    let scratch = Scratch::new();
    let from = source(&scratch, "vol");
    let mounted = |name: &str| {
        let dir = from.join(name);
        fs::create_dir_all(&dir).unwrap();
        mount("tmpfs", &dir, "tmpfs", MountFlags::empty(), Some(c"mode=777")).unwrap();
        fs::write(dir.join("mark"), "").unwrap();
    };
    mounted("sub");
    let target = place.own("local/data");
    let attempt = format!("create {}/sub/new", target.display());
    assert_eq!(probe(&place, vec![read_only(&from, &target)], &[&attempt]), ["EROFS"]);
    assert_eq!(probe(&place, vec![volume(&from, &target)], &[&attempt]), ["ok"]);

    // What the host mounts later is seen where it was asked for.
    let volumes = vec![volume(&from, &place.own("local/closed")), Volume { follows_host: true, ..volume(&from, &place.own("local/open")) }];
    let cgroup = Cgroup::new();
    let (id, started) = place.node.run_spec(with(&place, volumes, &["sleep 60000"]).with(|spec| spec.cgroup.path = cgroup.0.clone()));
    let sees = |name: &str| Path::new(&format!("/proc/{}/root{}", started.pid, place.own(&format!("local/{name}")).display())).exists();
    assert!(sees("closed/sub/mark") && sees("open/sub/mark"));
    mounted("later");
    assert!(soon(|| sees("open/later/mark")));
    assert!(!sees("closed/later/mark"));
    place.node.stop(&id, Signal::TERM, Duration::from_secs(5)).unwrap().unwrap();
    place.node.destroy(&id, true).unwrap().unwrap();
}

#[test]
fn a_device_in_a_volume_is_none() {
    needs!(Need::Task, Need::Capability(MKNOD));
    in_own_namespace("volumes::inner_device", true);
}

#[test]
#[ignore = "started by a_device_in_a_volume_is_none"]
fn inner_device() {
    let place = Place::new();
    let scratch = Scratch::new();
    let from = source(&scratch, "vol");
    let (null, target) = (from.join("null"), place.own("local/data"));
    assert_eq!(outside(&[format!("mkchar {}", null.display())]), ["ok"]);
    open_to_all(&null);
    assert_eq!(outside(&[format!("open-write {}", null.display())]), ["ok"], "the control");
    let attempts = ["null", "file"].map(|name| format!("open-write {}/{name}", target.display()));
    assert_eq!(probe(&place, vec![volume(&from, &target)], &strs(&attempts)), ["EACCES", "ok"]);
}

#[test]
fn files_and_volumes_in_volumes() {
    needs!(Need::Task);
    in_own_namespace("volumes::inner_nested", true);
}

#[test]
#[ignore = "started by files_and_volumes_in_volumes"]
fn inner_nested() {
    let place = Place::new();
    let scratch = Scratch::new();
    let (from, other) = (source(&scratch, "vol"), scratch.dir("other"));
    let file = scratch.file("conf", "conf");
    let (target, at) = (place.own("local/data"), place.own("local/etc/conf"));
    let text = |path: &Path| format!("text {}", path.display());
    assert_eq!(probe(&place, vec![read_only(&file, &at)], &[&text(&at), &format!("write {}", at.display())]), ["conf", "EROFS"]);
    assert_eq!(probe(&place, vec![volume(&file, &at)], &[&format!("write {}", at.display())]), ["ok"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "newf");

    // Its place is made in a volume that may be written, and taken from one that may not.
    let inner = target.join("made/here");
    let attempts = [format!("create {}/new", inner.display()), format!("create {}/new", target.display())];
    assert_eq!(probe(&place, vec![volume(&from, &target), volume(&other, &inner)], &strs(&attempts)), ["ok"; 2]);
    assert!(from.join("made/here").is_dir() && from.join("new").exists() && other.join("new").exists());
    assert!(!from.join("made/here/new").exists());
    fs::remove_file(other.join("new")).unwrap();
    let denied = format!("create {}/second", target.display());
    assert_eq!(probe(&place, vec![read_only(&from, &target), volume(&other, &inner)], &[&attempts[0], &denied]), ["ok", "EROFS"]);
    let error = refused(&place, vec![read_only(&from, &target), volume(&other, &target.join("none"))]);
    assert!(error.ends_with(&format!("it is not there in the volume at \"{}\", which is read-only", target.display())), "{error}");
    // The same one twice.
    let twice = vec![read_only(&from, &place.own("local/one")), volume(&from, &place.own("local/two"))];
    let attempts = ["one", "two"].map(|name| format!("mkdir {}/{name}", place.own(&format!("local/{name}")).display()));
    assert_eq!(probe(&place, twice, &strs(&attempts)), ["EROFS", "ok"]);
}

#[test]
fn volumes_that_are_refused() {
    needs!(Need::Task);
    in_own_namespace("volumes::inner_refused", true);
}

#[test]
#[ignore = "started by volumes_that_are_refused"]
fn inner_refused() {
    let place = Place::new();
    let scratch = Scratch::new();
    let from = source(&scratch, "vol");
    let file = scratch.file("file", "");
    let there = scratch.dir("there");
    // As a task could have made them.
    symlink("/etc", place.own("local/link")).unwrap();
    symlink(&from, place.own("local/volume")).unwrap();
    let missing = scratch.path("missing");
    let parent = place.directories.task_dir.parent().unwrap();
    let dev_null = Path::new("/dev/null");
    for (volume, want) in [
        (volume(&from, &missing), "it is not there on the node, and in what the task sees of the node no place"),
        (volume(&missing, &there), "on the node can't be used: No such file or directory (ENOENT)"),
        (volume(dev_null, &place.own("local/null")), "/dev/null on the node is a device"),
        (volume(&file, &there), "it is there, and a directory"),
        (volume(&from, &file), "it is there, and not a directory"),
        (volume(&from, &place.own("local/link")), "a symbolic link that the task could have made"),
        (volume(&from, &place.own("local/link/x")), "a symbolic link that the task could have made"),
        (volume(&place.own("local/volume"), &there), "Too many levels of symbolic links (ELOOP)"),
        (volume(&from, parent), "where nothing can be mounted for a task"),
        (volume(&from, &parent.join("b-probe")), "where nothing can be mounted for a task"),
    ] {
        let written = volume.written.clone();
        // One that is well beside it leaves nothing either.
        let spec = with(&place, vec![self::volume(&from, &place.own("local/good/deep")), volume], &["exit 0"]);
        let shown = Grant { mode: Mode::R, path: scratch.path(""), option: "unveil", required: true };
        let error = place.refused(spec.with(|spec| spec.rules.grants.push(shown)));
        assert!(error.starts_with(&format!("volume_mount {written:?}: ")) && error.contains(want), "{error}");
        assert!(!place.own("local/good").exists(), "{want}");
    }
    // Nor does a start that the kernel refuses.
    let good = || vec![volume(&from, &place.own("local/good/deep"))];
    let error = place.refused(with(&place, good(), &[]).with(|spec| spec.privileges.oom_score_adj = 2000));
    assert_eq!(error, "write oom_score_adj 2000: Invalid argument (EINVAL)");
    assert!(!place.own("local/good").exists());
    assert_eq!(probe(&place, good(), &["exit 0"]), [""; 0]);
    assert!(place.own("local/good").exists(), "the control");
    // The operator's links are followed, to the volume and, where that is there, to its place.
    symlink(&from, scratch.path("operators")).unwrap();
    symlink(&there, scratch.path("way")).unwrap();
    let volumes = vec![volume(&scratch.path("operators"), &scratch.path("way"))];
    let spec = with(&place, volumes, &[&format!("text {}/file", there.display())]);
    let shown = Grant { mode: Mode::R, path: scratch.path(""), option: "unveil", required: true };
    assert_eq!(place.node.output(spec.with(|spec| spec.rules.grants.push(shown))), ["text"]);
}
