//! Which Landlock rights the letters of an `unveil` stand for, by kind of path and ABI.

use std::fmt;
use std::ops::{BitAnd, BitOr};

use thiserror::Error;

use super::abi::Abi;

/// A set of file system rights, `LANDLOCK_ACCESS_FS_*` of linux/landlock.h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsAccess(pub u64);

impl FsAccess {
    pub const EXECUTE: FsAccess = FsAccess(1 << 0);
    pub const WRITE_FILE: FsAccess = FsAccess(1 << 1);
    pub const READ_FILE: FsAccess = FsAccess(1 << 2);
    pub const READ_DIR: FsAccess = FsAccess(1 << 3);
    pub const REMOVE_DIR: FsAccess = FsAccess(1 << 4);
    pub const REMOVE_FILE: FsAccess = FsAccess(1 << 5);
    pub const MAKE_CHAR: FsAccess = FsAccess(1 << 6);
    pub const MAKE_DIR: FsAccess = FsAccess(1 << 7);
    pub const MAKE_REG: FsAccess = FsAccess(1 << 8);
    pub const MAKE_SOCK: FsAccess = FsAccess(1 << 9);
    pub const MAKE_FIFO: FsAccess = FsAccess(1 << 10);
    pub const MAKE_BLOCK: FsAccess = FsAccess(1 << 11);
    pub const MAKE_SYM: FsAccess = FsAccess(1 << 12);
    pub const REFER: FsAccess = FsAccess(1 << 13);
    pub const TRUNCATE: FsAccess = FsAccess(1 << 14);
    pub const IOCTL_DEV: FsAccess = FsAccess(1 << 15);
    pub const RESOLVE_UNIX: FsAccess = FsAccess(1 << 16);

    /// Names by bit number.
    const NAMES: [&str; 17] = [
        "execute",
        "write_file",
        "read_file",
        "read_dir",
        "remove_dir",
        "remove_file",
        "make_char",
        "make_dir",
        "make_reg",
        "make_sock",
        "make_fifo",
        "make_block",
        "make_sym",
        "refer",
        "truncate",
        "ioctl_dev",
        "resolve_unix",
    ];

    const fn union(rights: &[FsAccess]) -> FsAccess {
        let (mut bits, mut i) = (0, 0);
        while i < rights.len() {
            bits |= rights[i].0;
            i += 1;
        }
        FsAccess(bits)
    }

    pub const fn contains(self, other: FsAccess) -> bool {
        self.0 & other.0 == other.0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Names of the rights, as in linux/landlock.h but in lower case, in order of their bits.
    pub fn names(self) -> Vec<&'static str> {
        let names = Self::NAMES.iter().enumerate();
        names.filter(|(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| *name).collect()
    }
}

impl BitOr for FsAccess {
    type Output = FsAccess;
    fn bitor(self, other: FsAccess) -> FsAccess {
        FsAccess(self.0 | other.0)
    }
}

impl BitAnd for FsAccess {
    type Output = FsAccess;
    fn bitand(self, other: FsAccess) -> FsAccess {
        FsAccess(self.0 & other.0)
    }
}

/// A set of the letters `r`, `w`, `x`, `c` of an `unveil`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode(u8);

/// Why a mode is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ModeError {
    #[error("the mode is empty; it takes letters of r, w, x, c")]
    Empty,
    #[error("unknown letter {letter:?} in mode {mode:?}; the letters are r, w, x, c")]
    Unknown { mode: String, letter: char },
    #[error("letter {letter:?} is repeated in mode {mode:?}")]
    Repeated { mode: String, letter: char },
}

impl Mode {
    pub const R: Mode = Mode(1);
    pub const W: Mode = Mode(2);
    pub const X: Mode = Mode(4);
    pub const C: Mode = Mode(8);
    pub const RX: Mode = Mode(1 | 4);
    pub const RW: Mode = Mode(1 | 2);
    pub const RWC: Mode = Mode(1 | 2 | 8);
    pub const RWXC: Mode = Mode(1 | 2 | 4 | 8);

    const LETTERS: [(char, Mode); 4] = [('r', Mode::R), ('w', Mode::W), ('x', Mode::X), ('c', Mode::C)];

    /// Letters in any order, each at most once, at least one.
    pub fn parse(text: &str) -> Result<Mode, ModeError> {
        let mut mode = Mode(0);
        for letter in text.chars() {
            let Some((_, one)) = Self::LETTERS.iter().find(|(known, _)| *known == letter) else {
                return Err(ModeError::Unknown { mode: text.into(), letter });
            };
            if mode.contains(*one) {
                return Err(ModeError::Repeated { mode: text.into(), letter });
            }
            mode = mode | *one;
        }
        if mode == Mode(0) { Err(ModeError::Empty) } else { Ok(mode) }
    }

    pub const fn contains(self, other: Mode) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Mode {
    type Output = Mode;
    fn bitor(self, other: Mode) -> Mode {
        Mode(self.0 | other.0)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = Self::LETTERS.iter().filter(|(_, one)| self.contains(*one));
        f.write_str(&letters.map(|(letter, _)| letter).collect::<String>())
    }
}

/// What an unveiled path leads to. Sockets and FIFOs are files; a device is a character or block node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    Directory,
    File,
    Device,
}

impl PathKind {
    /// By `st_mode` of stat(2).
    pub fn of(mode: u32) -> PathKind {
        match mode & libc::S_IFMT {
            libc::S_IFDIR => PathKind::Directory,
            libc::S_IFCHR | libc::S_IFBLK => PathKind::Device,
            _ => PathKind::File,
        }
    }
}

/// The rights that each ABI brought; an ABI that is not listed brought none.
const ADDED: [(Abi, FsAccess); 5] = [
    (Abi(1), FsAccess(FsAccess::REFER.0 - 1)),
    (Abi(2), FsAccess::REFER),
    (Abi(3), FsAccess::TRUNCATE),
    (Abi(5), FsAccess::IOCTL_DEV),
    (Abi(9), FsAccess::RESOLVE_UNIX),
];

/// What each letter grants where kind and ABI allow it. `c` makes no device nodes: with one, a task of uid 0 opens the host's disk.
const GRANTED: [(Mode, FsAccess); 4] = [
    (Mode::R, FsAccess::union(&[FsAccess::READ_FILE, FsAccess::READ_DIR])),
    (Mode::W, FsAccess::union(&[FsAccess::WRITE_FILE, FsAccess::TRUNCATE, FsAccess::IOCTL_DEV, FsAccess::RESOLVE_UNIX])),
    (Mode::X, FsAccess::EXECUTE),
    (
        Mode::C,
        FsAccess::union(&[
            FsAccess::MAKE_REG,
            FsAccess::MAKE_SOCK,
            FsAccess::MAKE_FIFO,
            FsAccess::MAKE_SYM,
            FsAccess::MAKE_DIR,
            FsAccess::REMOVE_FILE,
            FsAccess::REMOVE_DIR,
            FsAccess::REFER,
        ]),
    ),
];

/// What a rule for this kind of path may carry. The kernel answers EINVAL to a right that only makes sense on a directory;
/// a device's ioctls are granted on the device itself alone, never on all devices below a directory.
fn allowed_on(kind: PathKind) -> FsAccess {
    let file = FsAccess::EXECUTE | FsAccess::WRITE_FILE | FsAccess::READ_FILE | FsAccess::TRUNCATE;
    match kind {
        PathKind::Directory => FsAccess(!FsAccess::IOCTL_DEV.0),
        PathKind::File => file | FsAccess::RESOLVE_UNIX,
        PathKind::Device => file | FsAccess::IOCTL_DEV,
    }
}

/// Rights that `abi` can enforce for `mode` on a path of this kind. Bits as in linux/landlock.h.
///
/// Empty for a mode that means nothing there (`c` on a file): such a rule must be left out, the kernel refuses it with ENOMSG.
pub fn rights(mode: Mode, kind: PathKind, abi: Abi) -> FsAccess {
    let letters = GRANTED.iter().filter(|(letter, _)| mode.contains(*letter));
    let granted = letters.fold(FsAccess::default(), |sum, (_, rights)| sum | *rights);
    granted & allowed_on(kind) & handled_fs(abi)
}

/// All file system rights of `abi`, for `landlock_ruleset_attr.handled_access_fs`.
pub fn handled_fs(abi: Abi) -> FsAccess {
    let known = ADDED.iter().filter(|(since, _)| *since <= abi);
    known.fold(FsAccess::default(), |sum, (_, rights)| sum | *rights)
}

/// The words of `struct landlock_ruleset_attr`: all file system rights of `abi` are handled, these network rights, and all scopes, which are
/// abstract unix sockets (bit 0) and signals (bit 1). A kernel refuses more words than its ABI knows with E2BIG, and takes fewer.
pub fn ruleset_attr(abi: Abi, handled_net: u64) -> Vec<u64> {
    let mut words = vec![handled_fs(abi).0, handled_net, 0b11];
    words.truncate(match abi.0 {
        0..=3 => 1,
        4..=5 => 2,
        _ => 3,
    });
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [PathKind; 3] = [PathKind::Directory, PathKind::File, PathKind::Device];

    fn abis() -> impl Iterator<Item = Abi> {
        (1..=Abi::MAX.0).map(Abi)
    }

    fn modes() -> impl Iterator<Item = Mode> {
        (1..=Mode::RWXC.0).map(Mode)
    }

    #[test]
    fn kinds() {
        let kinds = [libc::S_IFDIR, libc::S_IFCHR, libc::S_IFBLK, libc::S_IFREG, libc::S_IFIFO, libc::S_IFSOCK]
            .map(|kind| PathKind::of(kind | 0o644));
        let [device, file] = [PathKind::Device, PathKind::File];
        assert_eq!(kinds, [PathKind::Directory, device, device, file, file, file]);
    }

    #[test]
    fn each_right_belongs_to_exactly_one_abi() {
        for bit in 0..64 {
            let owners = ADDED.iter().filter(|(_, rights)| rights.contains(FsAccess(1 << bit)));
            assert_eq!(owners.count(), usize::from(bit < 17), "bit {bit}");
        }
        assert!(ADDED.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn handled_rights_of_every_abi() {
        let bits = [0, 13, 14, 15, 15, 16, 16, 16, 16, 17, 17, 17];
        for (version, bits) in (0..).zip(bits) {
            assert_eq!(handled_fs(Abi(version)).0, (1 << bits) - 1, "ABI {version}");
        }
        assert_eq!(handled_fs(Abi(99)), handled_fs(Abi::MAX));
    }

    #[test]
    fn scopes_and_size_of_every_abi() {
        let sizes = [1, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3];
        for (abi, size) in abis().zip(sizes) {
            let words = ruleset_attr(abi, 2);
            assert_eq!((words.len(), words[0]), (size, handled_fs(abi).0), "{abi:?}");
            assert!(words.get(1).is_none_or(|net| *net == 2) && words.get(2).is_none_or(|scopes| *scopes == 3), "{abi:?}");
            assert_eq!(abi.features().contains(&"scopes"), size == 3, "{abi:?}");
        }
    }

    #[test]
    fn features_name_what_is_handled() {
        let named = [
            ("refer", FsAccess::REFER),
            ("truncate", FsAccess::TRUNCATE),
            ("ioctl_dev", FsAccess::IOCTL_DEV),
            ("resolve_unix", FsAccess::RESOLVE_UNIX),
        ];
        for abi in abis() {
            for (name, right) in named {
                let listed = abi.features().contains(&name);
                assert_eq!(listed, handled_fs(abi).contains(right), "{name} {abi:?}");
            }
        }
    }

    #[test]
    fn meaning_of_each_letter_at_every_abi() {
        const C: &str = "remove_dir remove_file make_dir make_reg make_sock make_fifo make_sym";
        use PathKind::*;
        type Later = &'static [(u32, &'static str)];
        let table: [(Mode, PathKind, &str, Later); 12] = [
            (Mode::R, Directory, "read_file read_dir", &[]),
            (Mode::R, File, "read_file", &[]),
            (Mode::R, Device, "read_file", &[]),
            (Mode::W, Directory, "write_file", &[(3, "truncate"), (9, "resolve_unix")]),
            (Mode::W, File, "write_file", &[(3, "truncate"), (9, "resolve_unix")]),
            (Mode::W, Device, "write_file", &[(3, "truncate"), (5, "ioctl_dev")]),
            (Mode::X, Directory, "execute", &[]),
            (Mode::X, File, "execute", &[]),
            (Mode::X, Device, "execute", &[]),
            (Mode::C, Directory, C, &[(2, "refer")]),
            (Mode::C, File, "", &[]),
            (Mode::C, Device, "", &[]),
        ];
        for abi in abis() {
            for (mode, kind, always, later) in table {
                let later = later.iter().filter(|(since, _)| abi.0 >= *since);
                let later = later.map(|(_, name)| *name);
                let expected: Vec<_> = always.split_whitespace().chain(later).collect();
                let names = rights(mode, kind, abi).names();
                assert_eq!(names, expected, "{mode} {kind:?} {abi:?}");
            }
        }
    }

    #[test]
    fn a_combination_grants_the_sum_of_its_letters() {
        for abi in abis() {
            for kind in KINDS {
                for mode in modes() {
                    let letters = Mode::LETTERS.iter().filter(|(_, one)| mode.contains(*one));
                    let sum = letters.fold(FsAccess::default(), |sum, (_, one)| sum | rights(*one, kind, abi));
                    assert_eq!(rights(mode, kind, abi), sum, "{mode} {kind:?} {abi:?}");
                }
            }
        }
    }

    #[test]
    fn what_no_mode_ever_grants() {
        for abi in abis() {
            for mode in modes() {
                for kind in KINDS {
                    let rights = rights(mode, kind, abi);
                    assert!(handled_fs(abi).contains(rights));
                    assert!((rights & FsAccess::MAKE_BLOCK).is_empty());
                    assert!((rights & FsAccess::MAKE_CHAR).is_empty());
                    let ioctl = kind == PathKind::Device && mode.contains(Mode::W) && abi.0 >= 5;
                    assert_eq!(rights.contains(FsAccess::IOCTL_DEV), ioctl);
                    if kind != PathKind::Directory {
                        // ACCESS_FILE of the kernel's security/landlock/fs.c.
                        assert_eq!(rights.0 & !0b1_1100_0000_0000_0111, 0);
                    }
                }
            }
        }
    }

    #[test]
    fn modes_read_back_in_order() {
        for mode in modes() {
            assert_eq!(Mode::parse(&mode.to_string()), Ok(mode));
        }
        for (text, shown) in [("r", "r"), ("xr", "rx"), ("cxwr", "rwxc"), ("wr", "rw")] {
            assert_eq!(Mode::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn bad_modes() {
        assert_eq!(Mode::parse(""), Err(ModeError::Empty));
        for (text, letter) in [("rq", 'q'), ("R", 'R'), ("r x", ' '), ("é", 'é')] {
            assert_eq!(Mode::parse(text), Err(ModeError::Unknown { mode: text.into(), letter }));
        }
        let repeated = Mode::parse("rwr").unwrap_err();
        assert_eq!(repeated.to_string(), r#"letter 'r' is repeated in mode "rwr""#);
    }
}
