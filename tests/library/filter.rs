//! The system call filter: each refusal beside what the same task gets without it.

use crate::common::task::{Node, With};
use crate::common::{Need, skip};
use nomad_driver_exec2::policy::filter::Subject;
use nomad_driver_exec2::policy::spec::TaskSpec;

const NOBODY: Subject = Subject {
    is_root: false,
    capabilities: nomad_driver_exec2::policy::capability::Capabilities(0),
    host_pids: false,
    host_ipc: false,
    names_ports: false,
    binds_nothing: false,
    refuses_udp: false,
    keeps_queues: false,
};

fn attempt(number: libc::c_long, arguments: &[i64]) -> String {
    arguments.iter().fold(format!("call {number}"), |text, argument| format!("{text} {argument}"))
}

/// What comes of `attempts` under a filter, and without one.
fn both(node: &Node, subject: Subject, attempts: &[&str]) -> (Vec<String>, Vec<String>) {
    let with = |filter| {
        node.output(node.spec(attempts).with(|spec: &mut TaskSpec| {
            spec.privileges.identity.uid = if subject.is_root { 0 } else { 65534 };
            spec.rules.filter = filter;
        }))
    };
    (with(Some(subject)), with(None))
}

/// `EPROTONOSUPPORT` and `EAFNOSUPPORT`, as the probe calls them.
const NO_PROTOCOL: &str = "errno 93";
const NO_FAMILY: &str = "errno 97";

/// Each is refused by the filter, and by nothing else.
fn refused(node: &Node, subject: Subject, calls: &[(libc::c_long, &[i64], &str)]) {
    let attempts: Vec<String> = calls.iter().map(|(number, arguments, _)| attempt(*number, arguments)).collect();
    let attempts: Vec<&str> = attempts.iter().map(String::as_str).collect();
    let (filtered, free) = both(node, subject, &attempts);
    for (((number, arguments, want), filtered), free) in calls.iter().zip(filtered).zip(free) {
        assert_eq!(filtered, *want, "{number} {arguments:?}");
        assert_ne!(free, *want, "{number} {arguments:?}, without a filter");
    }
}

#[test]
fn what_no_task_needs() {
    needs!(Need::Task);
    let node = Node::new();
    refused(
        &node,
        NOBODY,
        &[
            (libc::SYS_clone3, &[0, 0], "ENOSYS"),
            (libc::SYS_add_key, &[], "EPERM"),
            (libc::SYS_request_key, &[], "EPERM"),
            (libc::SYS_keyctl, &[99], "EPERM"),
            (libc::SYS_perf_event_open, &[], "EPERM"),
            (libc::SYS_name_to_handle_at, &[-1], "EOPNOTSUPP"),
            (libc::SYS_fcntl, &[-1, libc::F_SETLEASE.into(), 2], "EPERM"),
            (libc::SYS_io_setup, &[1, 0], "ENOSYS"),
            (libc::SYS_fchmod, &[-1, 0o4755], "EPERM"),
            (libc::SYS_openat2, &[-1], "ENOSYS"),
            (libc::SYS_socket, &[16, 3, 1], NO_FAMILY),
            (libc::SYS_socket, &[17, 3, 0], NO_FAMILY),
            // The last: from here on it is in namespaces of its own.
            (libc::SYS_unshare, &[0x1000_0000], "EPERM"),
        ],
    );
    let wanted = [attempt(libc::SYS_socket, &[1, 1, 0]), attempt(libc::SYS_socket, &[2, 2, 0]), attempt(libc::SYS_socket, &[16, 3, 0])];
    assert_eq!(node.output(node.spec(&wanted.each_ref().map(String::as_str))), ["ok"; 3]);
}

#[test]
fn commands_beside_the_tasks_own() {
    needs!(Need::Task);
    let node = Node::new();
    let (id, _) = node.run(&["sleep 60000"]);
    let keyctl = attempt(libc::SYS_keyctl, &[99]);
    assert_eq!(node.session(&id, &[&keyctl, "say here"]), ["EPERM", "here"]);
    node.destroy(&id, true).expect("a task").expect("destroyed");
}

#[test]
fn what_some_may_not() {
    needs!(Need::Task);
    let node = Node::new();
    let ports = Subject { names_ports: true, ..NOBODY };
    refused(
        &node,
        ports,
        &[
            (libc::SYS_socket, &[2, 1, 262], NO_PROTOCOL),
            (libc::SYS_sendto, &[-1, 0, 0, libc::MSG_FASTOPEN.into()], "EOPNOTSUPP"),
            (libc::SYS_setsockopt, &[-1, 6, 30], "EOPNOTSUPP"),
        ],
    );
    refused(&node, Subject { binds_nothing: true, ..ports }, &[(libc::SYS_listen, &[-1], "EACCES")]);
    refused(
        &node,
        Subject { refuses_udp: true, ..NOBODY },
        &[(libc::SYS_socket, &[2, 2, 0], "EACCES"), (libc::SYS_socket, &[10, 2, 0], "EACCES")],
    );
    refused(
        &node,
        Subject { host_pids: true, ..NOBODY },
        &[(libc::SYS_prlimit64, &[1], "EPERM"), (libc::SYS_ioprio_set, &[1, 1 << 22], "EPERM")],
    );
    refused(
        &node,
        Subject { host_ipc: true, is_root: true, ..NOBODY },
        &[(libc::SYS_shmget, &[0x7fff_fff1], "EPERM"), (libc::SYS_msgsnd, &[-1], "EPERM"), (libc::SYS_semctl, &[-1], "EPERM")],
    );
}

/// As a program that is made for 32 bits, where the kernel runs such.
#[test]
#[cfg(target_arch = "x86_64")]
fn another_architecture_is_no_way_around() {
    needs!(Need::Task);
    let node = Node::new();
    // getpid, clone3, keyctl, and socketcall.
    let attempts = ["call32 20", "call32 435 0 0", "call32 288 99", "call32 102 1 0"];
    let free = node.spec(&attempts).with(|spec| spec.rules.filter = None);
    let (id, _) = node.run_spec(node.spec(&attempts[..1]));
    if node.finish(&id) != 0 {
        return skip("another_architecture_is_no_way_around", "this kernel has no 32-bit calls");
    }
    assert_eq!(node.output(node.spec(&attempts)), ["ok", "ENOSYS", "EPERM", "ENOSYS"]);
    assert_eq!(node.output(free), ["ok", "EINVAL", "EOPNOTSUPP", "EFAULT"]);
}
