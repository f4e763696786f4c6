//! Who may search the directories above what is unveiled: whoever may on the host, and nobody else.

use crate::common::Need;
use crate::common::task::{Node, With};
use nomad_driver_exec2::policy::access::Mode;
use nomad_driver_exec2::policy::grant::Grant;
use nomad_driver_exec2::policy::user::Identity;
use nomad_driver_exec2::policy::view_mode::ViewMode;
use rustix::fs::{XattrFlags, setxattr};
use rustix::io::Errno;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a task of that user gets that reads `file`, which is unveiled, in both views.
fn reads(node: &Node, uid: u32, file: &Path) -> [String; 2] {
    [ViewMode::Host, ViewMode::Private].map(|view| {
        let spec = node.spec(&[&format!("text {}", file.display())]).with(|spec| {
            spec.privileges.identity = Identity { uid, gid: uid, groups: Vec::new(), name: uid.to_string(), home: "/nonexistent".into() };
            spec.view.mode = view;
            spec.rules.grants.push(Grant { mode: Mode::R, path: file.into(), option: "unveil", required: true });
        });
        node.output(spec).remove(0)
    })
}

fn node_with_note(mode: u32) -> (Node, std::path::PathBuf) {
    let node = Node::new();
    node.scratch.dir("closed");
    let note = node.scratch.file("closed/note", "read");
    fs::set_permissions(&note, Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(note.parent().unwrap(), Permissions::from_mode(mode)).unwrap();
    (node, note)
}

#[test]
fn modes_count() {
    needs!(Need::Task);
    for (mode, uid, want) in [
        (0o700, 65534, "EACCES"),
        (0o710, 65534, "EACCES"),
        (0o711, 65534, "read"),
        (0o700, 0, "read"),
        // Root without capabilities is an owner like any.
        (0o077, 0, "EACCES"),
    ] {
        let (node, note) = node_with_note(mode);
        assert_eq!(reads(&node, uid, &note), [want; 2], "{mode:o} {uid}");
    }
}

/// Of an access control list what it takes away counts, and what it gives does not.
#[test]
fn access_control_lists_count() {
    needs!(Need::Task);
    let list = |of_65534: u16, others: u16| {
        let entries = [(1u16, 7u16, u32::MAX), (2, of_65534, 65534), (4, others, u32::MAX), (16, 7, u32::MAX), (32, others, u32::MAX)];
        let entry = |(tag, permissions, id): &(u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &permissions.to_le_bytes()[..], &id.to_le_bytes()[..]].concat()
        };
        [&2u32.to_le_bytes()[..], &entries.iter().flat_map(entry).collect::<Vec<_>>()[..]].concat()
    };
    for (of_65534, others, want) in [(0, 5, "EACCES"), (5, 5, "read"), (5, 0, "EACCES")] {
        let (node, note) = node_with_note(0o700);
        match setxattr(note.parent().unwrap(), "system.posix_acl_access", &list(of_65534, others), XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP) => return println!("skipped: {}: no access control lists here", note.display()),
            set => set.unwrap(),
        }
        assert_eq!(reads(&node, 65534, &note), [want; 2], "user:65534:{of_65534} other::{others}");
        assert_eq!(reads(&node, 0, &note), ["read"; 2]);
    }
}
