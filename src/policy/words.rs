//! Words that stand for lists in an unveil, as `@dns`: the Go driver's library has most of them.

use super::access::Mode;

/// What a word stands for. Of it, what does not exist on the host is skipped.
pub type Paths = &'static [(Mode, &'static str)];

/// The task's own /proc needs no word, and of /dev/fd, /dev/stdin, /dev/stdout and /dev/stderr a task has what they lead to.
const WORDS: [(&str, Paths); 9] = [
    ("@shared", SHARED),
    ("@stdio", STDIO),
    ("@tty", TTY),
    ("@tmp", &[(Mode::RWC, "/tmp")]),
    ("@dns", DNS),
    ("@certs", CERTS),
    ("@python", PYTHON),
    ("@java", JAVA),
    ("@node", NODE),
];

/// What a dynamically linked program loads.
const SHARED: Paths = &[
    (Mode::RW, "/dev/null"),
    (Mode::RX, "/lib"),
    (Mode::RX, "/lib64"),
    (Mode::RX, "/usr/lib"),
    (Mode::RX, "/usr/lib64"),
    (Mode::RX, "/usr/libexec"),
    (Mode::RX, "/usr/local/lib"),
    (Mode::RX, "/usr/local/lib64"),
    (Mode::R, "/etc/ld.so.conf"),
    (Mode::R, "/etc/ld.so.conf.d"),
    (Mode::R, "/etc/ld.so.cache"),
];

const STDIO: Paths = &[
    (Mode::RW, "/dev/full"),
    (Mode::R, "/dev/zero"),
    (Mode::R, "/dev/urandom"),
    (Mode::R, "/dev/random"),
    (Mode::W, "/dev/log"),
    (Mode::R, "/usr/share/locale"),
    (Mode::R, "/usr/share/zoneinfo"),
    (Mode::R, "/etc/localtime"),
    (Mode::R, "/usr/share/common-licenses"),
];

const TTY: Paths = &[
    (Mode::RW, "/dev/tty"),
    (Mode::RW, "/dev/console"),
    (Mode::R, "/etc/terminfo"),
    (Mode::R, "/lib/terminfo"),
    (Mode::R, "/usr/lib/terminfo"),
    (Mode::R, "/usr/share/terminfo"),
];

const DNS: Paths = &[
    (Mode::R, "/etc/hosts"),
    (Mode::R, "/etc/hostname"),
    (Mode::R, "/etc/services"),
    (Mode::R, "/etc/protocols"),
    (Mode::R, "/etc/resolv.conf"),
    (Mode::R, "/etc/nsswitch.conf"),
];

const CERTS: Paths = &[
    (Mode::R, "/etc/ssl/certs"),
    (Mode::R, "/etc/ssl/cert.pem"),
    (Mode::R, "/etc/ssl/ca-bundle.pem"),
    (Mode::R, "/usr/share/ca-certificates"),
    (Mode::R, "/usr/local/share/ca-certificates"),
    (Mode::R, "/etc/pki/tls/certs"),
    (Mode::R, "/etc/pki/tls/cacert.pem"),
    (Mode::R, "/etc/pki/ca-trust/extracted"),
    (Mode::R, "/sys/etc/security/cacerts"),
];

/// Beside what every program needs, as for the two below: the interpreter, its libraries where they are not in lib, and its system-wide settings.
const PYTHON: Paths = &[
    (Mode::RX, "/usr/bin/python3"),
    (Mode::RX, "/usr/local/bin/python3"),
    (Mode::RX, "/usr/lib/python3"),
    (Mode::R, "/usr/share/python3"),
    (Mode::R, "/usr/share/python-wheels"),
    (Mode::R, "/etc/python3"),
    (Mode::R, "/etc/python3.9"),
    (Mode::R, "/etc/python3.10"),
    (Mode::R, "/etc/python3.11"),
    (Mode::R, "/etc/python3.12"),
    (Mode::R, "/etc/python3.13"),
    (Mode::R, "/etc/python3.14"),
    (Mode::R, "/etc/mime.types"),
];

const JAVA: Paths = &[
    (Mode::RX, "/usr/bin/java"),
    (Mode::RX, "/usr/lib/jvm"),
    (Mode::RX, "/usr/lib64/jvm"),
    (Mode::R, "/usr/share/java"),
    (Mode::R, "/usr/share/javazi-1.8"),
    (Mode::R, "/etc/alternatives"),
    (Mode::R, "/etc/java"),
    (Mode::R, "/etc/java-8-openjdk"),
    (Mode::R, "/etc/java-11-openjdk"),
    (Mode::R, "/etc/java-17-openjdk"),
    (Mode::R, "/etc/java-21-openjdk"),
    (Mode::R, "/etc/java-25-openjdk"),
    (Mode::R, "/sys/fs/cgroup/cgroup.controllers"),
];

const NODE: Paths = &[
    (Mode::RX, "/usr/bin/node"),
    (Mode::RX, "/usr/bin/nodejs"),
    (Mode::RX, "/usr/local/bin/node"),
    (Mode::RX, "/usr/lib/node_modules"),
    (Mode::RX, "/usr/local/lib/node_modules"),
    (Mode::RX, "/usr/share/nodejs"),
    (Mode::RX, "/usr/share/node_modules"),
    (Mode::R, "/usr/share/npm"),
    (Mode::R, "/etc/ssl/openssl.cnf"),
];

/// The list of a word that begins with `@`, if it is one.
pub fn list(word: &str) -> Option<Paths> {
    WORDS.iter().find(|(known, _)| *known == word).map(|(_, paths)| *paths)
}

/// All words, for whoever wrote another.
pub fn known() -> String {
    WORDS.map(|(word, _)| word).join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::defaults::DEFAULTS;
    use super::super::unveil::Unveil;
    use super::*;
    use std::path::Path;

    #[test]
    fn each_path_is_a_valid_unveil() {
        for (mode, path) in WORDS.iter().flat_map(|(_, paths)| *paths) {
            let unveil = Unveil::parse(&format!("{mode}:{path}")).unwrap();
            assert_eq!(unveil, Unveil { mode: *mode, path: (*path).into(), optional: false });
        }
    }

    #[test]
    fn the_manual_lists_them() {
        let manual = include_str!("../manual/reference.md");
        for (word, paths) in WORDS {
            let row = manual.lines().find(|line| line.starts_with(&format!("| `{word}` | "))).unwrap_or_else(|| panic!("no row of {word}"));
            let lists = row.trim_end_matches(" |").rsplit(" | ").next().unwrap().split("; ");
            let of = |list: &str| {
                let (mode, paths) = list.strip_prefix('`').unwrap().split_once("`: ").unwrap();
                paths.split(", ").map(|path| format!("{mode}:{path}")).collect::<Vec<_>>()
            };
            let mut shown: Vec<String> = lists.flat_map(of).collect();
            let mut known: Vec<String> = paths.iter().map(|(mode, path)| format!("{mode}:{path}")).collect();
            shown.sort_unstable();
            known.sort_unstable();
            assert_eq!(shown, known, "{word}");
        }
    }

    #[test]
    fn no_word_reaches_what_stays_hidden() {
        let hidden =
            ["/etc/passwd", "/etc/shadow", "/etc/ssl/private", "/home", "/root", "/run", "/var", "/dev/mem", "/sys/fs/cgroup/x", "/proc"];
        for (word, paths) in WORDS {
            for path in hidden {
                assert!(paths.iter().all(|(_, of)| !Path::new(path).starts_with(of) && !of.starts_with("/proc")), "{word} reaches {path}");
            }
        }
    }

    #[test]
    fn with_the_defaults_these_are_there_already() {
        let held =
            |(mode, path): &(Mode, &str)| DEFAULTS.iter().any(|(given, above)| given.contains(*mode) && Path::new(path).starts_with(above));
        for word in ["@shared", "@stdio", "@dns", "@certs"] {
            let lacking: Vec<_> = list(word).unwrap().iter().filter(|path| !held(path)).collect();
            assert!(lacking.is_empty(), "{word}: {lacking:?}");
        }
        assert_eq!((list("@"), list("dns"), list("@DNS")), (None, None, None));
        assert!(known().starts_with("@shared, @stdio, "));
    }
}
