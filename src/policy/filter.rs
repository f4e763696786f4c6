//! The system call filter: what an unprivileged program may call, Landlock does not hook, and no task needs. It names no call that needs a
//! capability: that is refused by its absence. From a table with a reason for each line to a program for seccomp(2).

use super::capability::Capabilities;
pub use super::filter_table::Arch;
use super::filter_table::{Call, Reach, TABLE, errno_name};

/// `struct sock_filter` of linux/filter.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// What of the table holds for a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    pub is_root: bool,
    pub capabilities: Capabilities,
    /// It sees the host's processes.
    pub host_pids: bool,
    /// It has the host's System V IPC.
    pub host_ipc: bool,
    /// Ports are named, so that no other way to the network may be left.
    pub names_ports: bool,
    /// No port may be bound.
    pub binds_nothing: bool,
    /// `udp = false`.
    pub refuses_udp: bool,
    /// The message queues that it sees are the host's, and not unveiled with `c`.
    pub keeps_queues: bool,
}

/// `default`, or `off`.
pub fn is_wanted(text: &str) -> Option<bool> {
    match text {
        "default" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const ENOSYS: u32 = 38;
/// Numbers of x32, which nobody builds for, begin here.
const X32: u32 = 0x4000_0000;

fn statement(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

/// If the value at hand is `k` (or at least that), the next instruction; otherwise the one behind it.
fn or_skip(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 1, k }
}

/// The program for a task on that machine. One that is made for 32 bits runs under a table of its own where there is one; any other is told
/// ENOSYS.
pub fn program(machine: Arch, subject: &Subject) -> Vec<Instruction> {
    let mut program = vec![statement(LOAD, ARCH)];
    for arch in [Some(machine), machine.compat()].into_iter().flatten() {
        let table = table(arch, subject);
        program.push(Instruction { code: EQUAL, jt: 1, jf: 0, k: arch.audit() });
        program.push(statement(JUMP, table.len() as u32));
        program.extend(table);
    }
    program.push(statement(RETURN, ERRNO | ENOSYS));
    program
}

/// The table for a reader: each call, what a caller is told, for whom, and why.
pub fn explain() -> String {
    let line = |call: &Call| {
        let some = if call.cases.is_empty() { "" } else { " (some)" };
        format!("{:<24} {:<16} {}: {}\n", format!("{}{some}", call.name), errno_name(call.errno), call.reach.words(), call.reason)
    };
    TABLE.iter().map(line).collect()
}

/// The part for one architecture: its number is found by halving.
fn table(arch: Arch, subject: &Subject) -> Vec<Instruction> {
    let mut entries: Vec<(u32, Vec<Instruction>)> =
        TABLE.iter().filter(|call| holds(call.reach, subject)).filter_map(|call| Some((call.number(arch)?, body(call)))).collect();
    entries.sort_by_key(|(number, _)| *number);
    // One call may stand in several lines: what any of them refuses is refused.
    let mut merged: Vec<(u32, Vec<Instruction>)> = Vec::with_capacity(entries.len());
    for (number, body) in entries {
        match merged.last_mut() {
            Some((last, before)) if *last == number => before.extend(body),
            _ => merged.push((number, body)),
        }
    }
    let mut table = vec![statement(LOAD, NUMBER)];
    if arch == Arch::X86_64 {
        table.push(or_skip(AT_LEAST, X32));
        table.push(statement(RETURN, ERRNO | ENOSYS));
    }
    table.extend(halve(&merged));
    table
}

/// How many numbers are tried in turn where halving ends.
const LEAF: usize = 4;

/// The kernel tries a program on every number when it is installed, and translates each instruction: both are a start's to pay, and so there
/// are few steps to any number, and few instructions.
fn halve(entries: &[(u32, Vec<Instruction>)]) -> Vec<Instruction> {
    if let Some(leaf) = leaf(entries) {
        return leaf;
    }
    let (low, high) = entries.split_at(entries.len() / 2);
    let below = halve(low);
    let mut both = match u8::try_from(below.len()) {
        Ok(jt) => vec![Instruction { code: AT_LEAST, jt, jf: 0, k: high[0].0 }],
        Err(_) => vec![or_skip(AT_LEAST, high[0].0), statement(JUMP, below.len() as u32)],
    };
    both.extend(below);
    both.extend(halve(high));
    both
}

/// A few numbers in turn, each leading to what is done with it, which several may share. `None`: they are too many, or too far from it.
fn leaf(entries: &[(u32, Vec<Instruction>)]) -> Option<Vec<Instruction>> {
    if entries.len() > LEAF {
        return None;
    }
    let allow = statement(RETURN, ALLOW);
    let mut ends = vec![allow];
    let mut places: Vec<(&[Instruction], usize)> = Vec::new();
    let mut leaf = Vec::new();
    for (index, (number, body)) in entries.iter().enumerate() {
        let known = places.iter().find(|(other, _)| *other == body.as_slice()).map(|(_, place)| *place);
        let place = known.unwrap_or(ends.len());
        if known.is_none() {
            places.push((body, place));
            ends.extend(body);
            // What no case of it refuses.
            if !matches!(body.as_slice(), [all] if all.code == RETURN) {
                ends.push(allow);
            }
        }
        let jt = u8::try_from(entries.len() - index - 1 + place).ok()?;
        leaf.push(Instruction { code: EQUAL, jt, jf: 0, k: *number });
    }
    leaf.extend(ends);
    Some(leaf)
}

/// How many tests a case may have: each takes three instructions at most, and jumps over those behind it by a byte.
const TESTS: usize = u8::MAX as usize / 3;

const _: () = {
    let mut call = 0;
    while call < TABLE.len() {
        let mut case = 0;
        while case < TABLE[call].cases.len() {
            assert!(TABLE[call].cases[case].len() <= TESTS, "a case with too many tests");
            case += 1;
        }
        call += 1;
    }
};

/// Refuses, or goes on behind the last instruction.
fn body(call: &Call) -> Vec<Instruction> {
    let refused = statement(RETURN, ERRNO | call.errno);
    let mut body = Vec::new();
    for tests in call.cases {
        let mut case = Vec::new();
        // From the last to the first, so that each knows how far the end is. A test that fails skips the rest of the case.
        case.push(refused);
        for test in tests.iter().rev() {
            // It fits: see TESTS.
            let left = case.len() as u8;
            let (jt, jf) = if test.is_equal { (0, left) } else { (left, 0) };
            let compare = Instruction { code: EQUAL, jt, jf, k: test.value };
            case.insert(0, compare);
            if test.mask != u32::MAX {
                case.insert(0, statement(AND, test.mask));
            }
            case.insert(0, statement(LOAD, ARGUMENTS + 8 * u32::from(test.argument)));
        }
        body.extend(case);
    }
    if call.cases.is_empty() {
        body.push(refused);
    }
    body
}

/// `CAP_*` of linux/capability.h, as bits.
const SETUID: u64 = 1 << 7;
const NET_RAW: u64 = 1 << 13;
const IPC_OWNER: u64 = 1 << 15;
const SYS_ADMIN: u64 = 1 << 21;
const AUDIT_WRITE: u64 = 1 << 29;
const DAC_READ_SEARCH: u64 = 1 << 2;

fn holds(reach: Reach, subject: &Subject) -> bool {
    let has = |capabilities: u64| subject.capabilities.0 & capabilities != 0;
    match reach {
        Reach::Everyone => true,
        Reach::WithoutSysAdmin => !has(SYS_ADMIN),
        Reach::WithoutDacReadSearch => !has(DAC_READ_SEARCH),
        Reach::WithoutNetRaw => !has(NET_RAW),
        Reach::WithoutAuditWrite => !has(AUDIT_WRITE),
        Reach::HostPids => subject.host_pids,
        Reach::HostIpcOfOthers => subject.host_ipc && (subject.is_root || has(IPC_OWNER | SETUID)),
        Reach::NamedPorts => subject.names_ports,
        Reach::NoBind => subject.binds_nothing,
        Reach::NoUdp => subject.refuses_udp,
        Reach::HostQueues => subject.keeps_queues,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCHES: [Arch; 3] = [Arch::X86_64, Arch::Aarch64, Arch::I386];

    /// What the kernel does with a program: its value for one call.
    fn run(program: &[Instruction], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let (mut value, mut at) = (0u32, 0);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            match code {
                LOAD => {
                    value = match k {
                        NUMBER => number,
                        ARCH => arch,
                        _ => arguments[((k - ARGUMENTS) / 8) as usize] as u32,
                    }
                }
                AND => value &= k,
                JUMP => at += k as usize,
                EQUAL => at += usize::from(if value == k { jt } else { jf }),
                AT_LEAST => at += usize::from(if value >= k { jt } else { jf }),
                RETURN => return k,
                _ => panic!("code {code:#x}"),
            }
        }
    }

    fn machine(arch: Arch) -> Arch {
        if arch == Arch::I386 { Arch::X86_64 } else { arch }
    }

    /// The errno of a call by its name; 0: it is allowed.
    fn errno(arch: Arch, subject: &Subject, name: &str, arguments: [u64; 6]) -> u32 {
        let call = TABLE.iter().find(|call| call.name == name && call.number(arch).is_some()).unwrap_or_else(|| panic!("{name}"));
        match run(&program(machine(arch), subject), arch.audit(), call.number(arch).unwrap(), arguments) {
            ALLOW => 0,
            other => other & 0xffff,
        }
    }

    fn everything() -> Subject {
        Subject {
            is_root: true,
            capabilities: Capabilities::default(),
            host_pids: true,
            host_ipc: true,
            names_ports: true,
            binds_nothing: true,
            refuses_udp: true,
            keeps_queues: true,
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_allowed() {
        for arch in ARCHES {
            let program = program(machine(arch), &everything());
            for number in 0..600 {
                let named = TABLE.iter().any(|call| call.number(arch) == Some(number));
                let value = run(&program, arch.audit(), number, [0; 6]);
                assert!(named || value == ALLOW, "{arch:?} {number}: {value:#x}");
            }
        }
        let native = program(Arch::X86_64, &Subject::default());
        assert_eq!(run(&native, Arch::X86_64.audit(), X32 + 1, [0; 6]), ERRNO | ENOSYS);
        assert_eq!(run(&native, Arch::Aarch64.audit(), 1, [0; 6]), ERRNO | ENOSYS);
        assert_eq!(run(&program(Arch::Aarch64, &Subject::default()), 0x4000_0028, 1, [0; 6]), ERRNO | ENOSYS);
    }

    #[test]
    fn a_program_fits() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let longest = program(arch, &everything());
            assert!(longest.len() < 1200, "{}", longest.len());
            // Every jump ends within it.
            for (at, instruction) in longest.iter().enumerate() {
                let reach = match instruction.code {
                    JUMP => instruction.k as usize,
                    EQUAL | AT_LEAST => usize::from(instruction.jt.max(instruction.jf)),
                    _ => 0,
                };
                assert!(at + 1 + reach < longest.len() + usize::from(instruction.code == RETURN), "{at}");
            }
        }
    }

    #[test]
    fn a_call_may_have_more_than_a_byte_jumps_over() {
        for length in [0, 1, 255, 256, 1000] {
            let bodies = [(7, vec![statement(AND, u32::MAX); length]), (9, vec![statement(RETURN, ERRNO)])];
            let mut program = vec![statement(LOAD, NUMBER)];
            program.extend(halve(&bodies[..1]));
            assert_eq!([7, 8].map(|number| run(&program, 0, number, [0; 6])), [ALLOW, ALLOW], "{length}");
            let mut program = vec![statement(LOAD, NUMBER)];
            program.extend(halve(&bodies));
            assert_eq!([7, 8, 9].map(|number| run(&program, 0, number, [0; 6])), [ALLOW, ALLOW, ERRNO], "{length}");
        }
        let test = TABLE.iter().find_map(|call| call.cases.first()?.first()).unwrap();
        let case = vec![*test; TESTS];
        let mut call = *TABLE.first().unwrap();
        call.cases = Vec::leak(vec![Vec::leak(case) as &[_]]);
        let body = body(&call);
        for (at, instruction) in body.iter().enumerate() {
            assert!(at + usize::from(instruction.jt.max(instruction.jf)) < body.len(), "{at}");
        }
    }

    #[test]
    fn no_namespace_of_a_tasks_own() {
        let task = Subject::default();
        for arch in ARCHES {
            assert_eq!(errno(arch, &task, "clone3", [0; 6]), 38);
            for flag in [0x2_0000u64, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
                assert_eq!(errno(arch, &task, "clone", [flag | 17, 0, 0, 0, 0, 0]), 1, "{arch:?} {flag:#x}");
                assert_eq!(errno(arch, &task, "unshare", [flag, 0, 0, 0, 0, 0]), 1, "{arch:?} {flag:#x}");
            }
            assert_eq!(errno(arch, &task, "clone", [0x3d_0f00, 0, 0, 0, 0, 0]), 0, "a thread");
            assert_eq!(errno(arch, &task, "unshare", [0x200, 0, 0, 0, 0, 0]), 0, "a root directory");
            assert_eq!(errno(arch, &task, "setns", [3, 0, 0, 0, 0, 0]), 1);
            let admin = Subject { capabilities: Capabilities(SYS_ADMIN), ..task };
            assert_eq!(errno(arch, &admin, "unshare", [0x2_0000, 0, 0, 0, 0, 0]), 0);
            assert_eq!(errno(arch, &admin, "unshare", [0x1000_0000, 0, 0, 0, 0, 0]), 1, "a user namespace needs no capability");
        }
    }

    #[test]
    fn sockets() {
        let task = Subject::default();
        let socket = |subject: &Subject, family: u64, kind: u64, protocol: u64| {
            let answers = ARCHES.map(|arch| errno(arch, subject, "socket", [family, kind, protocol, 0, 0, 0]));
            assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
            answers[0]
        };
        for (family, kind, protocol) in [(1, 1, 0), (2, 1, 6), (10, 0x80002, 17), (16, 3, 0), (16, 3, 15), (2, 1, 262)] {
            assert_eq!(socket(&task, family, kind, protocol), 0, "{family} {kind} {protocol}");
        }
        for (family, kind, protocol) in [(40, 1, 0), (38, 5, 0), (17, 3, 0), (16, 3, 12), (16, 3, 9), (43, 1, 0), (44, 3, 0)] {
            assert_eq!(socket(&task, family, kind, protocol), 97, "{family} {kind} {protocol}");
        }
        assert_eq!(socket(&Subject { capabilities: Capabilities(NET_RAW), ..task }, 17, 3, 0), 0);
        assert_eq!(socket(&Subject { capabilities: Capabilities(AUDIT_WRITE), ..task }, 16, 3, 9), 0);
        let ports = Subject { names_ports: true, ..task };
        assert_eq!([socket(&ports, 2, 1, 262), socket(&ports, 10, 0x80801, 132), socket(&ports, 2, 2, 0)], [93, 93, 0]);
        let no_udp = Subject { refuses_udp: true, ..task };
        let answers = [(2, 2, 0), (10, 0x80802, 17), (2, 3, 255), (2, 1, 0), (1, 2, 0)].map(|(f, k, p)| socket(&no_udp, f, k, p));
        assert_eq!(answers, [13, 13, 13, 0, 0]);
        for arch in ARCHES {
            assert_eq!(errno(arch, &ports, "sendto", [3, 0, 0, 0x2000_4000, 0, 0]), 95);
            assert_eq!(errno(arch, &ports, "sendmsg", [3, 0, 0x2000_0000, 0, 0, 0]), 95);
            assert_eq!([0, 0x4000].map(|flags| errno(arch, &ports, "sendto", [3, 0, 0, flags, 0, 0])), [0, 0]);
            assert_eq!(errno(arch, &ports, "setsockopt", [3, 6, 30, 0, 4, 0]), 95);
            assert_eq!(errno(arch, &ports, "setsockopt", [3, 1, 30, 0, 4, 0]), 0);
            assert_eq!(errno(arch, &Subject { binds_nothing: true, ..ports }, "listen", [3, 9, 0, 0, 0, 0]), 13);
        }
        assert_eq!(errno(Arch::I386, &task, "socketcall", [1, 0, 0, 0, 0, 0]), 38);
    }

    #[test]
    fn set_id_bits_are_for_nobody_else_to_find() {
        for is_root in [true, false] {
            let task = Subject { is_root, ..Subject::default() };
            for arch in ARCHES {
                for (name, at, argument) in [("fchmod", 1, 0o4755), ("fchmodat", 2, 0o2755), ("mknodat", 2, 0o104755)] {
                    let mut arguments = [0u64; 6];
                    arguments[at] = argument;
                    assert_eq!(errno(arch, &task, name, arguments), 1, "{arch:?} {name}");
                    arguments[at] = 0o1777;
                    assert_eq!(errno(arch, &task, name, arguments), 0, "{arch:?} {name}");
                }
                assert_eq!(errno(arch, &task, "openat", [0, 0, 0o101, 0o4755, 0, 0]), 1);
                assert_eq!(errno(arch, &task, "openat", [0, 0, 0o20200000 | 2, 0o2755, 0, 0]), 1, "a file without a name");
                assert_eq!(errno(arch, &task, "openat", [0, 0, 0, 0o4755, 0, 0]), 0, "what makes no file has no mode");
                assert_eq!(errno(arch, &task, "openat2", [0; 6]), 38);
            }
        }
    }

    #[test]
    fn what_is_one_number_for_the_host() {
        for (arch, number) in [(Arch::X86_64, 206), (Arch::Aarch64, 0), (Arch::I386, 245)] {
            let program = program(machine(arch), &Subject::default());
            assert_eq!(run(&program, arch.audit(), number, [0; 6]), ERRNO | ENOSYS, "{arch:?}");
            assert_eq!(errno(arch, &Subject::default(), "io_setup", [0; 6]), 38);
        }
    }

    #[test]
    fn the_hosts_ipc_is_not_roots_to_use() {
        let user = Subject { host_ipc: true, is_root: false, ..Subject::default() };
        let setuid = Subject { capabilities: Capabilities(SETUID), ..user };
        for (subject, want) in [(user, 0), (setuid, 1), (Subject { is_root: true, ..user }, 1), (Subject::default(), 0)] {
            for arch in ARCHES {
                for name in ["shmget", "shmat", "shmctl", "semget", "semctl", "msgget", "msgsnd", "msgrcv", "msgctl"] {
                    assert_eq!(errno(arch, &subject, name, [0; 6]), want, "{arch:?} {name}");
                }
            }
            assert_eq!(errno(Arch::I386, &subject, "ipc", [0; 6]), want);
        }
    }

    #[test]
    fn with_the_hosts_pids_others_are_left_alone() {
        let host = Subject { host_pids: true, is_root: false, ..Subject::default() };
        for arch in ARCHES {
            for name in ["prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"] {
                assert_eq!([0, 7].map(|pid| errno(arch, &host, name, [pid, 0, 0, 0, 0, 0])), [0, 1], "{name}");
            }
            for name in ["setpriority", "ioprio_set"] {
                assert_eq!([0, 7].map(|id| errno(arch, &host, name, [0, id, 0, 0, 0, 0])), [0, 1], "{name}");
            }
            assert_eq!(errno(arch, &Subject { host_pids: false, ..host }, "prlimit64", [7, 0, 0, 0, 0, 0]), 0);
        }
    }

    #[test]
    fn queues_of_the_host_are_neither_made_nor_removed() {
        let host = Subject { keeps_queues: true, ..Subject::default() };
        for arch in ARCHES {
            let tried = |subject: &Subject| {
                let open = [0o2, 0o102].map(|flags| errno(arch, subject, "mq_open", [0, flags, 0o600, 0, 0, 0]));
                (open, errno(arch, subject, "mq_unlink", [0; 6]))
            };
            assert_eq!([tried(&host), tried(&Subject::default())], [([0, 13], 13), ([0, 0], 0)], "{arch:?}");
        }
    }

    #[test]
    fn each_line_of_the_table_can_be_reached() {
        for call in TABLE {
            assert!(!call.reason.is_empty() && ARCHES.iter().any(|arch| call.number(*arch).is_some()), "{}", call.name);
            for test in call.cases.iter().copied().flatten() {
                assert!(test.argument < 6 && test.value & !test.mask == 0, "{}", call.name);
            }
        }
    }
}
