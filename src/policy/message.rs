//! What the plugin and a task's init say to each other over their socket pair (`SOCK_SEQPACKET`): fixed-size messages.
//! And how a command and its exit record are laid out. Only `core`, because init's program includes this file too.

/// Descriptors that init finds open beside 0 (/dev/null), 1 and 2 (the log FIFOs, held open for reading and writing).
pub const SOCKET: i32 = 3;
/// The exit record, open for reading and writing.
pub const RECORD: i32 = 4;
/// The plugin's end of the socket pair, kept for a plugin that comes back.
pub const PLUGIN_END: i32 = 5;
/// The first descriptor that init does not expect.
pub const FIRST_FREE: i32 = 6;

/// Start a command. Descriptors: the command block, then its standard input, output and error.
pub const START: u32 = 1;
/// Send signal `value` to the process `id` (a pid of the task's namespace) that init started, and its process group if `flags` has `GROUP`.
pub const SIGNAL: u32 = 2;

/// The process group `id` is the foreground one of the terminal from now on. Descriptor: the terminal. It is not answered.
pub const FOREGROUND: u32 = 4;

/// SIGKILL for every process but the task's command that init started, and for their process groups. It is not answered.
pub const END_SESSIONS: u32 = 3;

/// `START`: standard input is a terminal, and becomes the controlling one.
pub const TERMINAL: u32 = 1;
/// `START` of the task's own command: the task ends with whoever started it. Init lets go of `PLUGIN_END`, so that it sees the socket close.
pub const BOUND: u32 = 2;
/// `START` of the task's own command: standard input is a terminal, on which init leads the session and the command is a job, as under a shell:
/// Ctrl-Z stops it, and init says so.
pub const JOB: u32 = 4;
/// With `JOB`: in the foreground from the first.
pub const FRONT: u32 = 8;
/// `SIGNAL`: the whole process group.
pub const GROUP: u32 = 1;

/// From the plugin. The first message is the `START` of the task's own command; when that ends, so does init.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub kind: u32,
    /// `START`: a token that the report repeats. `SIGNAL`: the process.
    pub id: u32,
    pub value: i32,
    pub flags: u32,
}

/// The command has a process: `value` is its pid in the task's namespace. The task's own runs by then; any other is about to, or to fail.
pub const STARTED: u32 = 1;
/// The command could not be started: `value` is errno, `detail` the `FAILED_*` step. May follow its `STARTED` or come before it.
pub const FAILED: u32 = 2;
/// The process `id` ended with wait status `value`. Not sent for the task's own command, whose status goes to the record.
pub const ENDED: u32 = 3;
/// The signal was sent, or `value` is the errno that it met.
pub const SIGNALLED: u32 = 4;
/// The task's own command, a `JOB`, was stopped by signal `value`.
pub const STOPPED: u32 = 5;

pub const FAILED_RECEIVE: u32 = 1;
pub const FAILED_CLONE: u32 = 2;
pub const FAILED_SESSION: u32 = 3;
pub const FAILED_STDIO: u32 = 4;
pub const FAILED_WORK_DIR: u32 = 5;
pub const FAILED_EXEC: u32 = 6;
pub const FAILED_ULIMIT: u32 = 7;

/// From init.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub kind: u32,
    pub id: u32,
    pub value: i32,
    pub detail: u32,
}

impl Request {
    /// As init has it in memory.
    pub fn bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        for (to, word) in bytes.chunks_exact_mut(4).zip([self.kind, self.id, self.value as u32, self.flags]) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

impl Report {
    /// As init had it in memory.
    pub fn of(bytes: &[u8; LENGTH]) -> Report {
        let mut words = bytes.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
        let mut word = || words.next().unwrap_or_default();
        Report { kind: word(), id: word(), value: word() as i32, detail: word() }
    }
}

/// Length of `Request` and of `Report`, in bytes.
pub const LENGTH: usize = 16;

/// Head of a command block: three arrays of offsets into the block (each ended by 0), the limits, and the strings behind them.
/// Init maps the block and turns the offsets into addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Block {
    /// Length of the whole block in bytes.
    pub length: u64,
    /// Offset of the working directory.
    pub work_dir: u64,
    /// Offset of the array of paths to try in this order, as execvp does with PATH.
    pub paths: u64,
    pub argv: u64,
    pub envp: u64,
    /// Number of words from `paths` on, the terminating zeros included.
    pub words: u64,
    /// Offset of the limits, and their number.
    pub limits: u64,
    pub limits_length: u64,
}

/// A resource limit of the command: setrlimit(2)'s resource, and `struct rlimit64`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub resource: u64,
    pub soft: u64,
    pub hard: u64,
}

/// The exit record's content: `RECORD_MAGIC`, then the wait status, each 32 bits in native order. Zeros until then.
pub const RECORD_MAGIC: u32 = 0x3263_6578;
/// A wait status as one number, as shells have it. WTERMSIG and WEXITSTATUS of wait(2); bit 7 only tells of a core dump.
pub fn exit_code(status: i32) -> i32 {
    match status & 0x7f {
        0 => status >> 8 & 0xff,
        signal => 128 + signal,
    }
}

/// Of the exit record, in bytes.
pub const RECORD_LENGTH: usize = 8;
