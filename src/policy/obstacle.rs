//! What keeps a command from being executed, decided from what stands at its path on the node, and said in a part of a sentence.
//!
//! Whoever wrote a job may learn of the node what any of its users sees, and of what is unveiled what the task itself sees. All else is "not
//! there, or not unveiled".

use super::access::Mode;
use super::capability::Capabilities;
use super::identity::Identity as File;
use super::user::Identity;
use std::path::{Path, PathBuf};

/// Of linux/capability.h: who has one searches every directory; with the first, one executes what anybody may.
const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_DAC_READ_SEARCH: u64 = 1 << 2;

/// A file or directory, as stat(2) has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub path: PathBuf,
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
    pub file: File,
}

/// What a path of the node leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// As it was asked for.
    pub asked: PathBuf,
    /// Where that leads, without symlinks.
    pub path: PathBuf,
    /// The directories on the way.
    pub way: Vec<Seen>,
    /// What is there, if anything is.
    pub file: Option<Seen>,
    /// Nothing is executed on its file system.
    pub is_noexec: bool,
}

/// Who is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asker {
    /// Who wrote a job.
    #[default]
    Job,
    /// Root of the node, at a shell.
    Root,
}

/// Who was to execute it.
pub struct Task<'a> {
    pub identity: &'a Identity,
    pub capabilities: Capabilities,
    /// What it was granted, by paths without symlinks; `None`: that is not known of a task that runs, and what is looked at is its own view.
    pub granted: Option<Vec<(PathBuf, Mode)>>,
    /// Execve said EACCES.
    pub is_denied: bool,
    /// What stands in its view, whether it was granted or not: it can ask for owner and mode itself.
    pub stands: &'a dyn Fn(&Path) -> bool,
    /// What it does not see of all that.
    pub hidden: &'a dyn Fn(&Path) -> bool,
    /// By which veil that is empty, as it was written.
    pub veiled: &'a dyn Fn(&Sight) -> Option<String>,
    pub asker: Asker,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// `is_known`: who is told may know that it is not there, whether it is unveiled or not.
    Absent {
        is_known: bool,
    },
    /// It is there. With what it is unveiled, if with anything.
    Veiled {
        mode: Option<Mode>,
    },
    /// It is there, and by its user it could be executed: a rule denies it, or its interpreter.
    Denied,
    /// A veil is over it.
    Empty {
        by: String,
    },
    /// No file.
    Kind(&'static str),
    /// The task's user may not execute it, or not search a directory on the way.
    Closed {
        at: Seen,
    },
    NoExec,
    /// No program for this machine, as [`super::program::Program`] says it.
    Format(String),
    /// Another file that it needs is not executed: its interpreter or ELF loader.
    Needs {
        what: &'static str,
        why: Box<Told>,
    },
    /// The interpreter's name ends in a carriage return.
    LineEnds {
        interpreter: PathBuf,
    },
}

impl Task<'_> {
    /// What keeps `sight` from being executed, whatever is in it.
    pub fn obstacle(&self, sight: &Sight) -> Option<Obstacle> {
        let mode = self.mode(&sight.path);
        let is_unveiled = mode.is_some() || self.granted.is_none();
        let is_known = self.asker == Asker::Root || mode.is_some_and(|mode| mode.contains(Mode::R));
        let absent = Some(Obstacle::Absent { is_known });
        if self.granted.is_none() {
            if let Some(by) = (self.veiled)(sight) {
                return Some(Obstacle::Empty { by });
            }
            // Whether there is anything behind it nobody learns from this.
            if let Some(at) = sight.way.iter().find(|dir| !self.may_search(dir)) {
                return Some(Obstacle::Closed { at: at.clone() });
            }
        }
        let Some(file) = &sight.file else { return absent };
        let is_searched = sight.way.iter().all(|dir| self.may_search(dir));
        let stands = is_searched && (self.stands)(&sight.path) && !(self.hidden)(&sight.path);
        if !is_unveiled && !stands && self.asker == Asker::Job && !sight.is_for_all() {
            return absent;
        }
        if let Some(by) = (self.veiled)(sight) {
            return Some(Obstacle::Empty { by });
        }
        match file.mode & libc::S_IFMT {
            libc::S_IFREG => {}
            libc::S_IFDIR => return Some(Obstacle::Kind("a directory")),
            libc::S_IFSOCK => return Some(Obstacle::Kind("a socket")),
            libc::S_IFIFO => return Some(Obstacle::Kind("a FIFO")),
            _ => return Some(Obstacle::Kind("a device")),
        }
        let closed = sight.way.iter().find(|dir| !self.may_search(dir)).or_else(|| (!self.may_execute(file)).then_some(file));
        if let Some(at) = closed {
            return Some(Obstacle::Closed { at: at.clone() });
        }
        if !is_unveiled || mode.is_some_and(|mode| !mode.contains(Mode::RX)) {
            return Some(Obstacle::Veiled { mode });
        }
        let denied = (self.granted.is_none() && self.is_denied).then_some(Obstacle::Denied);
        sight.is_noexec.then_some(Obstacle::NoExec).or(denied)
    }

    /// Whether the task itself reads `sight`, of which something may be told then.
    pub fn reads(&self, sight: &Sight) -> bool {
        let is_unveiled = match &self.granted {
            // It has executed, and so read, what something else was wrong with.
            None => !self.is_denied,
            Some(_) => self.mode(&sight.path).is_some_and(|mode| mode.contains(Mode::RX)),
        };
        is_unveiled && sight.file.as_ref().is_some_and(|file| self.asker == Asker::Root || self.bits(file) & 0o4 != 0)
    }

    fn mode(&self, path: &Path) -> Option<Mode> {
        if (self.hidden)(path) {
            return None;
        }
        let above = self.granted.iter().flatten().filter(|(above, _)| path.starts_with(above));
        above.map(|(_, mode)| *mode).reduce(|all, one| all | one)
    }

    /// What its user may do with it, as one digit of its mode.
    fn bits(&self, seen: &Seen) -> u32 {
        let Identity { uid, gid, groups, .. } = self.identity;
        if *uid == seen.uid {
            seen.mode >> 6 & 7
        } else if *gid == seen.gid || groups.contains(&seen.gid) {
            seen.mode >> 3 & 7
        } else {
            seen.mode & 7
        }
    }

    fn may_search(&self, dir: &Seen) -> bool {
        self.capabilities.0 & (CAP_DAC_OVERRIDE | CAP_DAC_READ_SEARCH) != 0 || self.bits(dir) & 1 != 0
    }

    fn may_execute(&self, file: &Seen) -> bool {
        (self.capabilities.0 & CAP_DAC_OVERRIDE != 0 && file.mode & 0o111 != 0) || self.bits(file) & 1 != 0
    }
}

impl Sight {
    /// A program that every user of the node could find.
    fn is_for_all(&self) -> bool {
        let is_program = |file: &Seen| file.mode & libc::S_IFMT == libc::S_IFREG && file.mode & 1 != 0;
        self.way.iter().all(|dir| dir.mode & 1 != 0) && self.file.as_ref().is_some_and(is_program)
    }

    /// What is to be said of it.
    pub fn told(&self, obstacle: Obstacle, unveil: String) -> Told {
        Told { asked: self.asked.clone(), leads_to: (self.path != self.asked).then(|| self.path.clone()), obstacle, unveil }
    }
}

/// What keeps one path from being executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub asked: PathBuf,
    pub leads_to: Option<PathBuf>,
    pub obstacle: Obstacle,
    /// What would unveil it.
    pub unveil: String,
}

impl Told {
    pub fn is_absent(&self) -> bool {
        matches!(self.obstacle, Obstacle::Absent { .. })
    }

    /// It could not be tried, whatever it is.
    pub fn is_out_of_sight(&self) -> bool {
        matches!(self.obstacle, Obstacle::Veiled { .. } | Obstacle::Empty { .. })
    }

    /// Part of a sentence; `user` is the task's.
    pub fn words(&self, user: &str, asker: Asker) -> String {
        let path = self.asked.display();
        let link = self.leads_to.as_ref().map_or(String::new(), |to| format!(" leads to {}, which", to.display()));
        match &self.obstacle {
            Obstacle::Absent { is_known: true } => format!("{path}{link} is not there"),
            Obstacle::Absent { is_known: false } => format!("{path}{link} is not there, or not unveiled"),
            Obstacle::Veiled { mode: None } => format!("{path}{link} is there, but not unveiled; {}", self.unveiling(asker)),
            Obstacle::Veiled { mode: Some(mode) } => {
                format!("{path}{link} is unveiled with {mode} alone, and is executed only with rx; {}", self.unveiling(asker))
            }
            Obstacle::Denied => format!("{path}{link} or its interpreter is not unveiled with rx; {}", self.unveiling(asker)),
            Obstacle::Empty { by } => format!("{path}{link} is hidden by {by}"),
            Obstacle::Kind(kind) => format!("{path}{link} is {kind}"),
            Obstacle::Closed { at } => {
                let rights = format!("owner {}:{}, mode {:04o}", at.uid, at.gid, at.mode & 0o7777);
                match at.mode & libc::S_IFMT {
                    libc::S_IFDIR => format!("{path}{link} is behind {}, which user {user} may not search: {rights}", at.path.display()),
                    _ => format!("{path}{link} is not executable for user {user}: {rights}"),
                }
            }
            Obstacle::NoExec => format!("{path}{link} is on a file system that is mounted noexec"),
            Obstacle::Format(reason) => format!("{path}{link} {reason}"),
            Obstacle::Needs { what, why } => format!("{path}{link} needs its {what}: {}", why.words(user, asker)),
            Obstacle::LineEnds { interpreter } => {
                format!("{path}{link} has line ends of Windows: the interpreter of its #! line is {:?}", interpreter.display().to_string())
            }
        }
    }

    /// As it is written where the asker can write it.
    fn unveiling(&self, asker: Asker) -> String {
        match asker {
            Asker::Job => format!("unveil = [{:?}] does it", self.unveil),
            Asker::Root => format!("--unveil {} does it", self.unveil),
        }
    }
}

/// Where a command was looked for, in one line.
pub fn list(directories: &[&str]) -> String {
    const ENOUGH: usize = 120;
    let mut length = 0;
    let fit = directories.iter().take_while(|dir| {
        length += dir.len() + 2;
        length <= ENOUGH
    });
    let shown = fit.count().max(1).min(directories.len());
    let more = match directories.len() - shown {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", directories[..shown].join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(path: &str, (uid, gid): (u32, u32), mode: u32) -> Seen {
        Seen { path: path.into(), uid, gid, mode, file: File { dev: 0, ino: 0 } }
    }

    fn dir(path: &str, mode: u32) -> Seen {
        seen(path, (0, 0), libc::S_IFDIR | mode)
    }

    /// Of a file of root's in a directory of root's.
    fn sight(path: &str, file: Option<u32>, above: u32) -> Sight {
        let parent = Path::new(path).parent().unwrap().to_str().unwrap();
        let file = file.map(|mode| seen(path, (0, 0), mode));
        Sight { asked: path.into(), path: path.into(), way: vec![dir("/", 0o755), dir(parent, above)], file, is_noexec: false }
    }

    fn said(sight: &Sight, granted: &[(&str, Mode)], (uid, asker): (u32, Asker)) -> Option<String> {
        let identity = Identity { uid, gid: uid, groups: vec![50], name: "user".into(), home: "/".into() };
        let granted = Some(granted.iter().map(|(path, mode)| (PathBuf::from(path), *mode)).collect());
        let (stands, hidden) = (|path: &Path| path.starts_with("/usr"), |path: &Path| path.starts_with("/usr/clients"));
        let veiled = |sight: &Sight| sight.path.starts_with("/opt/veiled").then(|| "veil \"/opt/veiled\"".to_string());
        let capabilities = Capabilities(0);
        let task =
            Task { identity: &identity, capabilities, granted, is_denied: true, stands: &stands, hidden: &hidden, veiled: &veiled, asker };
        Some(sight.told(task.obstacle(sight)?, format!("rx:{}", sight.path.display())).words("user", asker))
    }

    const PROGRAM: u32 = libc::S_IFREG | 0o755;
    const JOB: (u32, Asker) = (1000, Asker::Job);
    const ROOT: (u32, Asker) = (1000, Asker::Root);

    #[test]
    fn what_is_not_there_and_what_is_not_unveiled() {
        let program = sight("/opt/x", Some(PROGRAM), 0o755);
        let says = |granted: &[(&str, Mode)], who| said(&program, granted, who).unwrap_or_default();
        assert_eq!(says(&[("/opt", Mode::RX)], JOB), "");
        assert_eq!(says(&[("/opt", Mode::R), ("/opt/x", Mode::X)], JOB), "", "rights add up");
        assert_eq!(says(&[], JOB), "/opt/x is there, but not unveiled; unveil = [\"rx:/opt/x\"] does it");
        assert_eq!(says(&[], ROOT), "/opt/x is there, but not unveiled; --unveil rx:/opt/x does it");
        let partly = says(&[("/opt", Mode::R)], JOB);
        assert!(partly.starts_with("/opt/x is unveiled with r alone, and is executed only with rx; unveil"), "{partly}");
        let missing = sight("/opt/x", None, 0o755);
        assert_eq!(said(&missing, &[], JOB).unwrap(), "/opt/x is not there, or not unveiled");
        assert_eq!(said(&missing, &[("/opt", Mode::RX)], JOB).unwrap(), "/opt/x is not there");
        assert_eq!(said(&missing, &[], ROOT).unwrap(), "/opt/x is not there");
        let link = Sight { asked: "/opt/link".into(), ..missing };
        assert_eq!(said(&link, &[], JOB).unwrap(), "/opt/link leads to /opt/x, which is not there, or not unveiled");
    }

    #[test]
    fn a_job_learns_of_what_is_not_unveiled_what_every_user_sees() {
        let nothing = said(&sight("/root/x", None, 0o755), &[], JOB);
        for hidden in [
            sight("/root/x", Some(PROGRAM), 0o700),
            sight("/root/x", Some(libc::S_IFREG | 0o644), 0o755),
            sight("/root/x", Some(libc::S_IFREG | 0o700), 0o755),
            sight("/root/x", Some(libc::S_IFDIR | 0o755), 0o755),
            sight("/root/x", Some(libc::S_IFSOCK | 0o777), 0o755),
        ] {
            // Root's own job sees no more: the view keeps it from there.
            assert_eq!([said(&hidden, &[], JOB), said(&hidden, &[], (0, Asker::Job))], [nothing.clone(), nothing.clone()], "{hidden:?}");
            assert_ne!(said(&hidden, &[], ROOT), nothing);
        }
        let others = sight("/usr/clients/x", Some(libc::S_IFREG | 0o644), 0o755);
        assert_eq!(said(&others, &[("/", Mode::R)], JOB).unwrap(), "/usr/clients/x is not there, or not unveiled");
        // What stands in its view it could ask for.
        let standing = |mode, above| said(&sight("/usr/x", Some(libc::S_IFREG | mode), above), &[], JOB).unwrap();
        assert_eq!(standing(0o644, 0o755), "/usr/x is not executable for user user: owner 0:0, mode 0644");
        assert_eq!(standing(0o644, 0o700), "/usr/x is not there, or not unveiled");
    }

    #[test]
    fn what_the_user_may_not() {
        let unveiled = [("/opt", Mode::RX)];
        let says = |mode: u32, above: u32| said(&sight("/opt/x", Some(libc::S_IFREG | mode), above), &unveiled, JOB);
        assert_eq!(says(0o644, 0o755).unwrap(), "/opt/x is not executable for user user: owner 0:0, mode 0644");
        assert_eq!(says(0o755, 0o750).unwrap(), "/opt/x is behind /opt, which user user may not search: owner 0:0, mode 0750");
        assert_eq!(says(0o711, 0o711), None);
        let own = |ids, mode| {
            let sight = Sight { file: Some(seen("/opt/x", ids, libc::S_IFREG | mode)), ..sight("/opt/x", None, 0o755) };
            said(&sight, &unveiled, JOB).is_none()
        };
        // The first class that fits decides, as in the kernel.
        assert_eq!([own((1000, 0), 0o100), own((1000, 0), 0o011), own((0, 50), 0o010), own((0, 50), 0o001)], [true, false, true, false]);
        let noexec = Sight { is_noexec: true, ..sight("/opt/x", Some(PROGRAM), 0o755) };
        assert_eq!(said(&noexec, &unveiled, JOB).unwrap(), "/opt/x is on a file system that is mounted noexec");
        let directory = sight("/opt/x", Some(libc::S_IFDIR | 0o755), 0o755);
        assert_eq!(said(&directory, &unveiled, JOB).unwrap(), "/opt/x is a directory");
    }

    #[test]
    fn what_is_read_of_it() {
        let identity = Identity { uid: 1000, gid: 1000, ..Identity::default() };
        let (none, veiled) = (|_: &Path| false, |_: &Sight| None);
        let reads = |mode: u32, granted: &[(&str, Mode)], asker| {
            let granted = Some(granted.iter().map(|(path, mode)| (PathBuf::from(path), *mode)).collect());
            let (capabilities, is_denied) = (Capabilities(0), true);
            let task = Task { identity: &identity, capabilities, granted, is_denied, stands: &none, hidden: &none, veiled: &veiled, asker };
            task.reads(&sight("/opt/x", Some(libc::S_IFREG | mode), 0o755))
        };
        assert!(reads(0o755, &[("/opt", Mode::RX)], Asker::Job) && reads(0o711, &[("/opt", Mode::RX)], Asker::Root));
        assert!(!reads(0o711, &[("/opt", Mode::RX)], Asker::Job) && !reads(0o755, &[("/opt", Mode::R)], Asker::Job));
        assert!(!reads(0o755, &[], Asker::Root));
    }

    #[test]
    fn what_it_needs() {
        let inner =
            Told { asked: "/bin/bsh".into(), leads_to: None, obstacle: Obstacle::Absent { is_known: true }, unveil: "rx:/bin/bsh".into() };
        let needs = Obstacle::Needs { what: "interpreter", why: Box::new(inner) };
        let told = sight("/opt/x", Some(PROGRAM), 0o755).told(needs, String::new());
        assert_eq!(told.words("user", Asker::Job), "/opt/x needs its interpreter: /bin/bsh is not there");
        let ends = sight("/opt/x", Some(PROGRAM), 0o755).told(Obstacle::LineEnds { interpreter: "/bin/sh\r".into() }, String::new());
        assert_eq!(ends.words("user", Asker::Job), "/opt/x has line ends of Windows: the interpreter of its #! line is \"/bin/sh\\r\"");
    }

    #[test]
    fn what_is_hidden_by_a_veil() {
        let says = |path: &str, file, granted: &[(&str, Mode)], who| said(&sight(path, file, 0o755), granted, who).unwrap_or_default();
        let opt = [("/opt", Mode::RX)];
        assert_eq!(says("/opt/veiled/x", Some(PROGRAM), &opt, JOB), "/opt/veiled/x is hidden by veil \"/opt/veiled\"");
        assert_eq!(says("/opt/veiled/x", None, &opt, JOB), "/opt/veiled/x is not there");
        assert_eq!(says("/opt/veiled/x", Some(libc::S_IFREG | 0o644), &[], JOB), "/opt/veiled/x is not there, or not unveiled");
        assert_eq!(says("/opt/x", Some(PROGRAM), &opt, JOB), "");
    }

    #[test]
    fn of_a_task_that_runs_its_own_view_is_known() {
        let identity = Identity { uid: 1000, gid: 1000, name: "1000".into(), ..Identity::default() };
        let none = |_: &Path| false;
        let says = |path: &str, file: Option<u32>, above: u32, is_denied| {
            let veiled = |sight: &Sight| sight.path.starts_with("/opt/veiled").then(|| "a veil".to_string());
            let (capabilities, asker) = (Capabilities(0), Asker::Job);
            let granted = None;
            let task =
                Task { identity: &identity, capabilities, granted, is_denied, stands: &|_| true, hidden: &none, veiled: &veiled, asker };
            let sight = sight(path, file, above);
            let words = task.obstacle(&sight).map(|why| sight.told(why, format!("rx:{path}")).words("1000", asker));
            (words.unwrap_or_default(), task.reads(&sight))
        };
        for (path, file, above, is_denied, want, reads) in [
            ("/opt/x", None, 0o755, false, "/opt/x is not there, or not unveiled", false),
            ("/opt/x", Some(PROGRAM), 0o755, false, "", true),
            (
                "/opt/x",
                Some(PROGRAM),
                0o755,
                true,
                "/opt/x or its interpreter is not unveiled with rx; unveil = [\"rx:/opt/x\"] does it",
                false,
            ),
            ("/opt/x", Some(libc::S_IFREG | 0o644), 0o755, true, "/opt/x is not executable for user 1000: owner 0:0, mode 0644", false),
            ("/opt/x", Some(libc::S_IFDIR | 0o755), 0o755, true, "/opt/x is a directory", false),
            ("/opt/veiled/x", None, 0o755, false, "/opt/veiled/x is hidden by a veil", false),
            // The same words whether anything is there or not.
            ("/root/x", None, 0o700, true, "/root/x is behind /root, which user 1000 may not search: owner 0:0, mode 0700", false),
            ("/root/x", Some(PROGRAM), 0o700, true, "/root/x is behind /root, which user 1000 may not search: owner 0:0, mode 0700", false),
        ] {
            assert_eq!(says(path, file, above, is_denied), (want.to_string(), reads));
        }
    }

    #[test]
    fn where_it_was_looked_for_fits_on_a_line() {
        assert_eq!(list(&["/usr/bin", "/bin"]), "/usr/bin, /bin");
        let many: Vec<String> = (0..256).map(|n| format!("/opt/tools/{n}/bin")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let line = list(&many);
        assert!(line.len() < 150 && line.ends_with(" more"), "{line}");
        let long = format!("/{}", "x".repeat(400));
        assert_eq!(list(&[&long]), long);
    }
}
