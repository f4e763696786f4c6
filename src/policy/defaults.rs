//! The system paths that every task gets with `unveil_defaults`.

use super::access::Mode;

/// What most programs need to load, resolve names, speak TLS, compile and find what came with them. One that does not exist on the host is skipped. No
/// file of settings is among them in which somebody may keep a password (gitconfig, wgetrc, pip.conf).
pub const DEFAULTS: &[(Mode, &str)] = &[
    (Mode::RX, "/bin"),
    (Mode::RX, "/usr/bin"),
    (Mode::RX, "/usr/local/bin"),
    (Mode::RX, "/lib"),
    (Mode::RX, "/lib64"),
    (Mode::RX, "/usr/lib"),
    (Mode::RX, "/usr/lib64"),
    (Mode::RX, "/usr/libexec"),
    (Mode::RX, "/usr/local/lib"),
    (Mode::RX, "/usr/local/lib64"),
    (Mode::R, "/usr/include"),
    (Mode::RW, "/dev/null"),
    (Mode::RW, "/dev/full"),
    (Mode::RW, "/dev/tty"),
    (Mode::W, "/dev/log"),
    (Mode::R, "/dev/zero"),
    (Mode::R, "/dev/urandom"),
    (Mode::R, "/dev/random"),
    (Mode::R, "/etc/ld.so.conf"),
    (Mode::R, "/etc/ld.so.conf.d"),
    (Mode::R, "/etc/ld.so.cache"),
    (Mode::R, "/usr/share"),
    (Mode::R, "/etc/localtime"),
    (Mode::R, "/etc/alternatives"),
    (Mode::R, "/etc/mime.types"),
    (Mode::R, "/etc/os-release"),
    (Mode::R, "/etc/debian_version"),
    (Mode::R, "/etc/inputrc"),
    (Mode::R, "/etc/hosts"),
    (Mode::R, "/etc/hostname"),
    (Mode::R, "/etc/services"),
    (Mode::R, "/etc/protocols"),
    (Mode::R, "/etc/resolv.conf"),
    (Mode::R, "/etc/nsswitch.conf"),
    (Mode::R, "/etc/ssl/certs"),
    (Mode::R, "/etc/ssl/cert.pem"),
    (Mode::R, "/etc/ssl/ca-bundle.pem"),
    (Mode::R, "/etc/ssl/openssl.cnf"),
    (Mode::R, "/usr/local/share/ca-certificates"),
    (Mode::R, "/etc/pki/tls/certs"),
    (Mode::R, "/etc/pki/tls/cacert.pem"),
    (Mode::R, "/etc/pki/ca-trust/extracted"),
    (Mode::R, "/sys/etc/security/cacerts"),
    // By which a JVM knows that it is in a cgroup: without, it goes by the host's memory and processors.
    (Mode::R, "/sys/fs/cgroup/cgroup.controllers"),
];

/// Of these, the devices that every program may expect: a private view has them whatever else is unveiled.
pub fn nodes() -> impl Iterator<Item = &'static (Mode, &'static str)> {
    DEFAULTS.iter().filter(|(_, path)| path.starts_with("/dev/") && *path != "/dev/log")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::super::unveil::Unveil;
    use super::*;

    #[test]
    fn each_is_a_valid_unveil_and_named_once() {
        let mut seen = HashSet::new();
        for (mode, path) in DEFAULTS {
            let unveil = Unveil::parse(&format!("{mode}:{path}")).unwrap();
            assert_eq!(unveil, Unveil { mode: *mode, path: (*path).into(), optional: false });
            assert!(seen.insert(path), "{path} is named twice");
        }
    }

    #[test]
    fn the_manual_lists_them() {
        let (_, section) = include_str!("../manual/reference.md").split_once("\n| mode | paths |\n|---|---|\n").unwrap();
        let rows = section.lines().map_while(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "));
        let mut shown: Vec<String> = rows.flat_map(|(mode, paths)| paths.split(", ").map(move |path| format!("{mode}:{path}"))).collect();
        let mut known: Vec<String> = DEFAULTS.iter().map(|(mode, path)| format!("{mode}:{path}")).collect();
        shown.sort_unstable();
        known.sort_unstable();
        assert_eq!(shown, known);
    }

    #[test]
    fn devices_are_the_usual_ones() {
        let mut names: Vec<&str> = nodes().map(|(_, path)| *path).collect();
        names.sort_unstable();
        assert_eq!(names, ["/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"]);
    }

    #[test]
    fn none_reaches_what_stays_hidden() {
        let hidden = [
            "/boot",
            "/dev",
            "/dev/mem",
            "/dev/pts",
            "/dev/sda",
            "/etc",
            "/etc/gitconfig",
            "/etc/group",
            "/etc/passwd",
            "/etc/pip.conf",
            "/etc/pki/tls/private",
            "/etc/shadow",
            "/etc/ssl/private",
            "/etc/wgetrc",
            "/home",
            "/opt",
            "/proc",
            "/root",
            "/run",
            "/sys",
            "/sys/fs/cgroup",
            "/sys/fs/cgroup/cgroup.procs",
            "/tmp",
            "/usr",
            "/var",
        ];
        for hidden in hidden {
            for (_, path) in DEFAULTS {
                assert!(!Path::new(hidden).starts_with(path), "{path} reaches {hidden}");
            }
        }
    }

    #[test]
    fn only_devices_and_the_log_socket_are_written() {
        let written = DEFAULTS.iter().filter(|(mode, _)| mode.contains(Mode::W));
        let paths: Vec<_> = written.map(|(_, path)| *path).collect();
        assert_eq!(paths, ["/dev/null", "/dev/full", "/dev/tty", "/dev/log"]);
        assert!(DEFAULTS.iter().all(|(mode, _)| !mode.contains(Mode::C)));
    }
}
