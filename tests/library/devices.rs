//! Devices: what a task may do with one, at its own path and at another.

use crate::common::namespace::in_own_namespace;
use crate::common::place::Place;
use crate::common::task::With;
use crate::common::{Need, Scratch, from_abi, open_to_all, outside};
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::device::Device;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::spec::TaskSpec;
use nomad_driver_exec2::policy::user::Identity;
use nomad_driver_exec2::policy::volume::Volume;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

fn device(source: &Path, target: Option<&Path>, mode: Mode) -> Device {
    let written = target.unwrap_or(source).display().to_string();
    Device { written, source: source.into(), target: target.map(Path::to_path_buf), mode }
}

fn with(place: &Place, devices: Vec<Device>, attempts: &[String]) -> TaskSpec {
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    place.spec(&attempts).with(|spec| spec.view.devices = devices)
}

fn probe(place: &Place, devices: Vec<Device>, attempts: &[String]) -> Vec<String> {
    place.node.output(with(place, devices, attempts))
}

/// Stands in for a serial line that anybody may use by its mode.
fn terminal() -> (nomad_driver_exec2::task::pty::Pty, PathBuf) {
    let pty = nomad_driver_exec2::task::pty::open().unwrap();
    let path = nomad_driver_exec2::sys::path::of(pty.slave.as_fd()).unwrap();
    open_to_all(&path);
    (pty, path)
}

const USES: [&str; 3] = ["open-read PATH", "open-write PATH", "tcgets PATH"];

fn uses(path: &Path) -> Vec<String> {
    USES.map(|attempt| attempt.replace("PATH", path.to_str().unwrap())).into()
}

#[test]
fn what_a_device_allows() {
    needs!(Need::Task);
    in_own_namespace("devices::inner_rights", true);
}

#[test]
#[ignore = "started by what_a_device_allows"]
fn inner_rights() {
    let place = Place::new();
    let (_pty, tty) = terminal();
    let asks = from_abi(5, "EACCES", "ok");
    assert_eq!(outside(&uses(&tty)), ["ok"; 3], "the control");
    // The host's terminals are not there.
    assert_eq!(probe(&place, vec![], &uses(&tty)), ["ENOENT"; 3]);
    assert_eq!(probe(&place, vec![device(&tty, None, Mode::R)], &uses(&tty)), ["ok", "EACCES", asks]);
    assert_eq!(probe(&place, vec![device(&tty, None, Mode::W)], &uses(&tty)), ["EACCES", "ok", "EACCES"]);
    assert_eq!(probe(&place, vec![device(&tty, None, Mode::RW)], &uses(&tty)), ["ok"; 3]);
    // One that may only be made may not be used, and none can be made.
    assert_eq!(probe(&place, vec![device(&tty, None, Mode::default())], &uses(&tty)), ["EACCES"; 3]);
    let made = place.own("local/made").display().to_string();
    let attempts = [format!("mkchar {made}"), format!("create {made}"), format!("unlink {made}")];
    assert_eq!(outside(&attempts), ["ok", "EEXIST", "ok"], "the control");
    assert_eq!(probe(&place, vec![device(&tty, None, Mode::RW)], &attempts), ["EACCES", "ok", "ok"]);
    // What the default paths grant for reading.
    let zero = Path::new("/dev/zero");
    assert_eq!(probe(&place, vec![], &uses(zero)[..2]), ["ok", "EACCES"]);
    assert_eq!(probe(&place, vec![device(zero, None, Mode::RW)], &uses(zero)[..2]), ["ok"; 2]);
}

#[test]
fn where_a_device_is() {
    needs!(Need::Task);
    in_own_namespace("devices::inner_places", true);
}

#[test]
#[ignore = "started by where_a_device_is"]
fn inner_places() {
    let place = Place::new();
    let scratch = Scratch::new();
    let (_pty, tty) = terminal();
    let there = scratch.file("there", "");
    for target in [place.own("local/deep/tty"), place.own("dev/tty"), there.clone()] {
        let at = |mode| vec![device(&tty, Some(&target), mode)];
        assert_eq!(probe(&place, at(Mode::RW), &uses(&target)), ["ok"; 3], "{}", target.display());
        if !target.starts_with(place.own("local")) {
            assert_eq!(probe(&place, at(Mode::R), &uses(&target))[..2], ["ok", "EACCES"], "{}", target.display());
        }
        // It is the host's node: its mode is nobody's to change, by either path.
        let root = Identity { uid: 0, gid: 0, groups: Vec::new(), name: "root".into(), home: "/root".into() };
        let attempts = [format!("chmod {}", target.display()), format!("chmod {}", tty.display())];
        let spec = with(&place, at(Mode::RW), &attempts).with(|spec| spec.privileges.identity = root);
        assert_eq!(place.node.output(spec), ["EROFS", "ENOENT"]);
        assert_eq!(outside(&attempts[1..]), ["ok"], "the control");
        open_to_all(&tty);
    }
    assert!(place.own("local/deep/tty").is_file(), "a place was made, an empty file");
    // In a volume.
    let from = scratch.dir("vol");
    let target = place.own("local/vol/tty");
    let volume = |read_only| Volume {
        written: "local/vol".into(),
        source: from.clone(),
        target: place.own("local/vol"),
        read_only,
        follows_host: false,
    };
    let spec = |read_only| {
        with(&place, vec![device(&tty, Some(&target), Mode::RW)], &uses(&target)).with(|spec| spec.view.volumes = vec![volume(read_only)])
    };
    assert!(place.refused(spec(true)).ends_with("it is not there in the volume at \"local/vol\", which is read-only"));
    assert_eq!(place.node.output(spec(false)), ["ok"; 3]);
    assert_eq!(place.node.output(spec(true)), ["ok"; 3], "its place is there now");
}

#[test]
fn devices_that_are_refused() {
    needs!(Need::Task);
    in_own_namespace("devices::inner_refused", true);
}

#[test]
#[ignore = "started by devices_that_are_refused"]
fn inner_refused() {
    let place = Place::new();
    let scratch = Scratch::new();
    let (file, dir) = (scratch.file("file", ""), scratch.dir("dir"));
    let null = Path::new("/dev/null");
    std::os::unix::fs::symlink("/dev/null", place.own("local/link")).unwrap();
    for (device, want) in [
        (device(&file, None, Mode::RW), "file on the node is not a device"),
        (device(&dir, None, Mode::RW), "dir on the node is not a device"),
        (device(&scratch.path("none"), None, Mode::RW), "none on the node can't be used: No such file or directory (ENOENT)"),
        (device(null, Some(Path::new("/dev/no-such-device")), Mode::RW), "it is not there on the node"),
        (device(null, Some(&dir), Mode::RW), "it is there, and a directory"),
        (device(null, Some(&place.own("local/link")), Mode::RW), "a symbolic link that the task could have made"),
        (device(&place.own("local/link"), None, Mode::RW), "on the node can't be used: Too many levels of symbolic links (ELOOP)"),
    ] {
        let written = device.written.clone();
        let good = self::device(null, Some(&place.own("local/good/null")), Mode::RW);
        let shown = Grant { mode: Mode::R, path: scratch.path(""), option: "unveil", required: true };
        let error = place.refused(with(&place, vec![good, device], &[]).with(|spec| spec.rules.grants.push(shown)));
        assert!(error.starts_with(&format!("device {written:?}: ")) && error.contains(want), "{error}");
        assert!(fs::symlink_metadata(place.own("local/good")).is_err(), "{want}");
    }
}
