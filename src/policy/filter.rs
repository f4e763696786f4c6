//! The system call filter: what an unprivileged program may call, Landlock does not hook, and no task needs. It names no call that needs a
//! capability: that is refused by its absence. From a table with a reason for each line to a program for seccomp(2).

pub use super::bpf::Instruction;
use super::bpf::{AND, AT_LEAST, EQUAL, ERRNO, JUMP, LOAD, RETURN, halve, or_skip, statement};
use super::capability::Capabilities;
pub use super::filter_table::Arch;
use super::filter_table::{Call, Reach, TABLE, UNJUDGED, errno_name};

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
    /// It has the host's ipc namespace, and /dev/mqueue is not unveiled with `c`.
    pub makes_no_ipc: bool,
}

/// `default`, or `off`.
pub fn is_wanted(text: &str) -> Option<bool> {
    match text {
        "default" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

const ENOSYS: u32 = 38;

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
    let newer =
        format!("{:<24} {:<16} every task: calls newer than this table; libraries fall back\n", format!("{UNJUDGED} and above"), "ENOSYS");
    TABLE.iter().map(line).chain([newer]).collect()
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
    // Far above are the numbers of x32, which nobody builds for.
    let mut table = vec![statement(LOAD, NUMBER), or_skip(AT_LEAST, UNJUDGED), statement(RETURN, ERRNO | ENOSYS)];
    table.extend(halve(&merged));
    table
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
        Reach::MakesNoIpc => subject.makes_no_ipc,
    }
}

#[cfg(test)]
mod tests {
    use super::super::bpf::{self, ALLOW};
    use super::*;

    /// What the kernel does with a program: its value for one call.
    fn run(program: &[Instruction], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        bpf::run(program, |offset| match offset {
            NUMBER => number,
            ARCH => arch,
            _ => arguments[((offset - ARGUMENTS) / 8) as usize] as u32,
        })
    }

    const ARCHES: [Arch; 3] = [Arch::X86_64, Arch::Aarch64, Arch::I386];

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
            makes_no_ipc: true,
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_allowed() {
        for arch in ARCHES {
            let program = program(machine(arch), &everything());
            for number in 0..600 {
                let named = TABLE.iter().any(|call| call.number(arch) == Some(number));
                let value = run(&program, arch.audit(), number, [0; 6]);
                let want = if number < UNJUDGED { ALLOW } else { ERRNO | ENOSYS };
                assert!(named || value == want, "{arch:?} {number}: {value:#x}");
            }
        }
        let native = program(Arch::X86_64, &Subject::default());
        assert_eq!(run(&native, Arch::X86_64.audit(), 0x4000_0001, [0; 6]), ERRNO | ENOSYS);
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
    fn a_case_jumps_within_a_byte() {
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
    fn nothing_of_the_hosts_is_leased() {
        for arch in ARCHES {
            let fcntl = |command| errno(arch, &Subject::default(), "fcntl", [3, command, 0, 0, 0, 0]);
            assert_eq!([1024, 1040].map(fcntl), [1, 1], "{arch:?}");
            // Locks, copies, the size of a pipe, seals.
            assert_eq!([6, 7, 38, 1030, 1031, 1033].map(fcntl), [0; 6], "{arch:?}");
        }
        assert_eq!(errno(Arch::I386, &Subject::default(), "fcntl64", [3, 1040, 0, 0, 0, 0]), 1);
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
    fn in_the_hosts_ipc_nothing_is_made() {
        let task = Subject { host_ipc: true, makes_no_ipc: true, ..Subject::default() };
        let [makes, opens] = [[9, 1, 0o1600], [9, 1, 0o600]];
        for (subject, refused) in [(&task, 13), (&Subject { makes_no_ipc: false, ..task }, 0)] {
            let tried = |arch, name, arguments: &[u64]| {
                let mut all = [0; 6];
                all[..arguments.len()].copy_from_slice(arguments);
                errno(arch, subject, name, all)
            };
            for arch in ARCHES {
                for name in ["shmget", "semget"] {
                    assert_eq!(
                        [&makes[..], &[0, 1, 0], &opens].map(|call| tried(arch, name, call)),
                        [refused, refused, 0],
                        "{arch:?} {name}"
                    );
                }
                assert_eq!([[9, 0o1600], [0, 0], [9, 0o600]].map(|call| tried(arch, "msgget", &call)), [refused, refused, 0]);
                assert_eq!(tried(arch, "shmat", &[]), 0);
            }
            let multiplexed = |call: u64, rest: &[u64]| tried(Arch::I386, "ipc", &[&[call], rest].concat());
            for call in [23, 0x1_0017, 2] {
                assert_eq!([&makes[..], &[0, 1, 0], &opens].map(|rest| multiplexed(call, rest)), [refused, refused, 0], "{call}");
            }
            assert_eq!([[9, 0o1600], [0, 0], [9, 0o600]].map(|rest| multiplexed(13, &rest)), [refused, refused, 0]);
            assert_eq!(multiplexed(21, &[0, 0o1000, 0o1000]), 0, "shmat");
        }
    }

    #[test]
    fn init_is_not_the_tasks_to_limit() {
        let task = Subject::default();
        for arch in ARCHES {
            for name in ["prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"] {
                assert_eq!([0, 1, 2].map(|pid| errno(arch, &task, name, [pid, 0, 0, 0, 0, 0])), [0, 1, 0], "{name}");
            }
            assert_eq!([0, 1, 2].map(|pid| errno(arch, &task, "setpriority", [0, pid, 0, 0, 0, 0])), [0, 1, 0]);
            assert_eq!([0, 1, 2].map(|pid| errno(arch, &task, "ioprio_set", [1, pid, 0, 0, 0, 0])), [0, 1, 0]);
            assert_eq!(errno(arch, &task, "setpriority", [2, 1, 0, 0, 0, 0]), 0, "of a user");
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
        let host = Subject { makes_no_ipc: true, ..Subject::default() };
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
