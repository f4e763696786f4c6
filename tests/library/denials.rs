//! What Landlock denies to a task is told, where the kernel writes an audit log.

use crate::common::Need;
use crate::common::task::{Node, With, soon};
use nomad_driver_exec2::policy::abi::Abi;
use nomad_driver_exec2::policy::denial::Denial;
use nomad_driver_exec2::policy::event::Happening;
use rustix::net::netlink::{AUDIT, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

/// Auditing switched on, and off again if it was.
struct Auditing {
    socket: OwnedFd,
    was: u32,
}

const AUDIT_GET: u16 = 1000;
const AUDIT_SET: u16 = 1001;
/// The status of linux/audit.h as it began: mask, enabled, failure, pid, ...
const STATUS: usize = 32;

impl Auditing {
    fn on() -> Result<Auditing, String> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(AUDIT)).map_err(|e| e.to_string())?;
        ask(&socket, AUDIT_GET, &[0; STATUS])?;
        // The kernel's acknowledgement first, or the status: whichever comes, the status is longer.
        let mut bytes = [0u8; 512];
        let was = loop {
            let (_, length) = recv(&socket, &mut bytes[..], RecvFlags::empty()).map_err(|e| e.to_string())?;
            if length >= 16 + STATUS && u16::from_ne_bytes([bytes[4], bytes[5]]) == AUDIT_GET {
                break u32::from_ne_bytes(bytes[20..24].try_into().unwrap());
            }
        };
        let auditing = Auditing { socket, was };
        auditing.set(was.max(1))?;
        Ok(auditing)
    }

    fn set(&self, enabled: u32) -> Result<(), String> {
        let mut status = [0; STATUS];
        status[0] = 1;
        status[4..8].copy_from_slice(&enabled.to_ne_bytes());
        ask(&self.socket, AUDIT_SET, &status)?;
        let mut bytes = [0u8; 512];
        recv(&self.socket, &mut bytes[..], RecvFlags::empty()).map_err(|e| e.to_string())?;
        match i32::from_ne_bytes(bytes[16..20].try_into().unwrap()) {
            0 => Ok(()),
            errno => Err(format!("AUDIT_SET: {}", std::io::Error::from_raw_os_error(-errno))),
        }
    }
}

impl Drop for Auditing {
    fn drop(&mut self) {
        if self.was == 0 {
            self.set(0).unwrap();
        }
    }
}

fn ask(socket: &OwnedFd, kind: u16, payload: &[u8]) -> Result<(), String> {
    let mut message = Vec::from(u32::try_from(16 + payload.len()).unwrap().to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    // NLM_F_REQUEST and, to be told how it went, NLM_F_ACK.
    message.extend(if kind == AUDIT_SET { 5u16 } else { 1 }.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(payload);
    sendto(socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).map(drop).map_err(|e| e.to_string())
}

/// The second task's denials are not to be told; what the first may do is not one.
#[test]
fn denials_are_told() {
    needs!(Need::Task, Need::Abi(Abi::AUDIT.0));
    let node = Node::new();
    let _auditing = match Auditing::on() {
        Ok(auditing) => auditing,
        Err(reason) => return crate::common::skip("denials_are_told", &reason),
    };
    let heard: Arc<Mutex<Vec<(String, Happening)>>> = Arc::default();
    let hears = heard.clone();
    node.tasks.listen(move |event| hears.lock().unwrap().push((event.task_id, event.what)));
    let reads = ["read /etc/ld.so.cache", "read /etc/passwd", "read /etc/passwd", "kill 1 0"];
    let spec = node.spec(&reads).with(|spec| spec.rules.denial_events = true);
    let id = spec.id.clone();
    node.output(spec);
    let blocked = || heard.lock().unwrap().iter().filter(|(of, what)| *of == id && matches!(what, Happening::Blocked(_))).count();
    assert!(soon(|| blocked() > 0), "{:?}", heard.lock().unwrap());
    let passwd = Denial { blockers: "fs.read_file".into(), object: "/etc/passwd".into() };
    let told: Vec<Denial> = heard
        .lock()
        .unwrap()
        .iter()
        .filter_map(|(_, what)| match what {
            Happening::Blocked(denial) => Some(denial.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(told, [passwd]);

    // Five are told, and that there are more.
    let files = ["passwd", "group", "shadow", "fstab", "profile", "issue", "shells", "motd", "debian_version", "os-release"];
    let files: Vec<_> = files.iter().map(|name| format!("/etc/{name}")).filter(|path| std::fs::metadata(path).is_ok()).take(7).collect();
    assert!(files.len() > 5, "{files:?}");
    let reads: Vec<String> = files.iter().map(|file| format!("read {file}")).collect();
    let reads: Vec<&str> = reads.iter().map(String::as_str).collect();
    let spec = node.spec(&reads).with(|spec| spec.rules.denial_events = true);
    let many = spec.id.clone();
    node.output(spec);
    assert!(
        soon(|| heard.lock().unwrap().iter().any(|(of, what)| *of == many && *what == Happening::BlockedMore)),
        "{:?}",
        heard.lock().unwrap()
    );
    let count = heard.lock().unwrap().iter().filter(|(of, what)| *of == many && matches!(what, Happening::Blocked(_))).count();
    assert_eq!(count, 5);

    let silent = node.spec(&["read /etc/passwd"]);
    let id = silent.id.clone();
    node.output(silent);
    // What another task was denied later has been told by now, and so this would have been.
    let last = node.spec(&["read /etc/group"]).with(|spec| spec.rules.denial_events = true);
    let known = last.id.clone();
    node.output(last);
    assert!(soon(|| heard.lock().unwrap().iter().any(|(of, what)| *of == known && matches!(what, Happening::Blocked(_)))));
    assert!(!heard.lock().unwrap().iter().any(|(of, what)| *of == id && matches!(what, Happening::Blocked(_))));
}
