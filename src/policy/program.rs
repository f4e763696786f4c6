//! What a file that is to be executed is, by its first bytes: as the kernel reads them (fs/binfmt_script.c, fs/binfmt_elf.c).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// As many bytes as are looked at. Of a script the kernel takes the first 256 (`BINPRM_BUF_SIZE`); linkers put an ELF file's program
/// headers, and the name of its loader, into the first page.
pub const HEAD: usize = 4096;
const SCRIPT_LINE: usize = 256;

/// Of linux/elf.h and linux/elf-em.h.
const PT_INTERP: u32 = 3;
const EM_386: u16 = 3;
const EM_X86_64: u16 = 62;
const MACHINES: [(u16, &str); 13] = [
    (2, "SPARC"),
    (EM_386, "32-bit x86"),
    (8, "MIPS"),
    (20, "32-bit PowerPC"),
    (21, "64-bit PowerPC"),
    (22, "S/390"),
    (40, "32-bit ARM"),
    (43, "64-bit SPARC"),
    (EM_X86_64, "x86-64"),
    (183, "aarch64"),
    (243, "RISC-V"),
    (247, "BPF"),
    (258, "LoongArch"),
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// For this machine. `None`: it needs no loader, or names none in its first page.
    Elf { loader: Option<PathBuf> },
    /// The interpreter of its `#!` line.
    Script { interpreter: PathBuf },
    /// Nothing that the kernel executes; why, as a part of a sentence whose subject it is.
    None(String),
}

impl Program {
    /// By the first `HEAD` bytes of the file, or all that it has.
    pub fn of(head: &[u8]) -> Program {
        let none = |reason: &str| Program::None(reason.to_owned());
        match head {
            [] => none("is empty"),
            [b'#', b'!', line @ ..] => script(&line[..line.len().min(SCRIPT_LINE - 2)]),
            [0x7f, b'E', b'L', b'F', ..] => elf(head).unwrap_or_else(|| none("is an ELF file that is cut off or damaged")),
            [0xef, 0xbb, 0xbf, b'#', b'!', ..] => none("begins with a byte order mark, so that the kernel does not see its #! line"),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => none("is text in UTF-16, of which the kernel does not see a #! line"),
            [b'M', b'Z', ..] => none("is a program for Windows"),
            [0xca, 0xfe, 0xba, 0xbe, ..] => none("is a Java class or a program for macOS"),
            [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] => none("is a program for macOS"),
            _ if head.contains(&0) => none("is neither an ELF file nor a script"),
            _ => none("is text without a #! line, which only a shell would run"),
        }
    }
}

fn script(line: &[u8]) -> Program {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let end = line.iter().position(|byte| *byte == b'\n');
    let text = &line[..end.unwrap_or(line.len())];
    let start = text.iter().position(|byte| !is_blank(byte)).unwrap_or(text.len());
    let name = text[start..].split(|byte| is_blank(byte) || *byte == 0).next().unwrap_or_default();
    if name.is_empty() {
        return Program::None("has a #! line without an interpreter".to_owned());
    }
    // A name that goes on behind what the kernel reads could be another's.
    if end.is_none() && line.len() == SCRIPT_LINE - 2 && start + name.len() == line.len() {
        return Program::None(format!("has a #! line whose interpreter goes beyond the {SCRIPT_LINE} bytes that the kernel reads"));
    }
    Program::Script { interpreter: PathBuf::from(OsStr::from_bytes(name)) }
}

/// Whether an interpreter's name ends in the carriage return of a line end of Windows.
pub fn has_carriage_return(interpreter: &Path) -> bool {
    interpreter.as_os_str().as_bytes().ends_with(b"\r")
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// `None`: it is shorter than its headers say. Its data is little-endian where the machine is this one.
fn elf(head: &[u8]) -> Option<Program> {
    let [class, data] = number::<2>(head, 4)?;
    let half = |at| number(head, at).map(if data == 2 { u16::from_be_bytes } else { u16::from_le_bytes });
    let (kind, machine) = (half(16)?, half(18)?);
    let is_wide = match (machine, class, data) {
        (EM_X86_64, 2, 1) => true,
        // x32 has the wide machine with narrow headers.
        (EM_386 | EM_X86_64, 1, 1) => false,
        _ => {
            let known = MACHINES.iter().find(|(number, _)| *number == machine);
            let name = known.map_or(String::new(), |(_, name)| format!("{name}, "));
            return Some(Program::None(format!("is for another machine ({name}ELF machine {machine}); this one is x86-64")));
        }
    };
    match kind {
        1 => return Some(Program::None("is an object file, not linked yet".to_owned())),
        4 => return Some(Program::None("is a core dump".to_owned())),
        _ => {}
    }
    let word = |at| number(head, at).map(|bytes| u32::from_le_bytes(bytes) as usize);
    let address = |at| if is_wide { number(head, at).map(|bytes| u64::from_le_bytes(bytes) as usize) } else { word(at) };
    // e_phoff, e_phentsize and e_phnum; of each header p_offset and p_filesz.
    let (table, sizes, offset, length) = if is_wide { (address(32)?, 54, 8, 32) } else { (address(28)?, 42, 4, 16) };
    let (size, count) = (half(sizes)? as usize, half(sizes + 2)? as usize);
    let headers = (0..count).map_while(|index| table.checked_add(index * size)).take_while(|at| at.saturating_add(size) <= head.len());
    let loader = headers.filter(|at| word(*at) == Some(PT_INTERP as usize)).find_map(|at| {
        let (from, length) = (address(at + offset)?, address(at + length)?);
        let name = head.get(from..from.checked_add(length)?)?.split(|byte| *byte == 0).next()?;
        Some(PathBuf::from(OsStr::from_bytes(name)))
    });
    Some(Program::Elf { loader })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(head: &[u8]) -> String {
        match Program::of(head) {
            Program::None(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn interpreters_as_the_kernel_reads_them() {
        for (head, want) in [
            ("#!/bin/sh\necho", "/bin/sh"),
            ("#! \t/usr/bin/env python3\n", "/usr/bin/env"),
            ("#!/bin/sh", "/bin/sh"),
            ("#!/bin/sh\t-e\n", "/bin/sh"),
            ("#!bin/x\n", "bin/x"),
            ("#!/bin/sh\r\necho", "/bin/sh\r"),
            ("#!/bin/sh -e\r\n", "/bin/sh"),
        ] {
            assert_eq!(Program::of(head.as_bytes()), Program::Script { interpreter: want.into() }, "{head:?}");
        }
        assert!(has_carriage_return(Path::new("/bin/sh\r")) && !has_carriage_return(Path::new("/bin/sh")));
        for head in ["#!", "#!\n/bin/sh", "#!  \n"] {
            assert_eq!(none(head.as_bytes()), "has a #! line without an interpreter", "{head:?}");
        }
        let long = |length: usize| format!("#!/{}\n", "x".repeat(length));
        assert!(none(long(300).as_bytes()).contains("beyond the 256 bytes"));
        assert_eq!(Program::of(long(252).as_bytes()), Program::Script { interpreter: format!("/{}", "x".repeat(252)).into() });
        let argument = format!("#!/bin/sh {}", "x".repeat(300));
        assert_eq!(Program::of(argument.as_bytes()), Program::Script { interpreter: "/bin/sh".into() });
    }

    /// Headers of an ELF file whose second program header names `loader`.
    fn file(class: u8, data: u8, machine: u16, kind: u16, loader: &str) -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, data]);
        let half = |value: u16| if data == 2 { value.to_be_bytes() } else { value.to_le_bytes() };
        bytes[16..18].copy_from_slice(&half(kind));
        bytes[18..20].copy_from_slice(&half(machine));
        let (table, sizes, size, offset, length) = if class == 2 { (32, 54, 56u8, 8, 32) } else { (28, 42, 32u8, 4, 16) };
        (bytes[table], bytes[sizes], bytes[sizes + 2]) = (64, size, 2);
        let second = 64 + size as usize;
        bytes[second] = PT_INTERP as u8;
        (bytes[second + offset], bytes[second + offset + 1]) = (0, 1);
        bytes[second + length] = loader.len() as u8 + 1;
        bytes[256..256 + loader.len()].copy_from_slice(loader.as_bytes());
        bytes
    }

    #[test]
    fn loaders_and_machines_of_elf_files() {
        let loader = |path: &str| Program::Elf { loader: Some(path.into()) };
        assert_eq!(Program::of(&file(2, 1, EM_X86_64, 3, "/lib64/ld.so")), loader("/lib64/ld.so"));
        assert_eq!(Program::of(&file(1, 1, EM_386, 2, "/lib/ld.so")), loader("/lib/ld.so"));
        let mut still = file(2, 1, EM_X86_64, 2, "");
        still[64 + 56] = 1;
        assert_eq!(Program::of(&still), Program::Elf { loader: None });
        assert_eq!(none(&file(2, 1, 183, 3, "")), "is for another machine (aarch64, ELF machine 183); this one is x86-64");
        assert_eq!(none(&file(2, 2, 22, 3, "")), "is for another machine (S/390, ELF machine 22); this one is x86-64");
        assert_eq!(none(&file(2, 1, 999, 3, "")), "is for another machine (ELF machine 999); this one is x86-64");
        assert_eq!(none(&file(2, 1, EM_X86_64, 1, "")), "is an object file, not linked yet");
    }

    #[test]
    fn nothing_that_is_executed() {
        for (head, want) in [
            (&b""[..], "is empty"),
            (b"echo hello\n", "is text without a #! line, which only a shell would run"),
            (b"\xef\xbb\xbf#!/bin/sh\n", "begins with a byte order mark"),
            (b"\xff\xfe#\0!\0", "is text in UTF-16"),
            (b"MZ\x90\0", "is a program for Windows"),
            (b"PK\x03\x04\0", "is neither an ELF file nor a script"),
            (b"\x7fELF", "is an ELF file that is cut off or damaged"),
            (b"\x7fELF\x02\x01\x01", "is an ELF file that is cut off or damaged"),
        ] {
            assert!(none(head).starts_with(want), "{head:?}");
        }
    }

    #[test]
    fn no_header_makes_it_fail() {
        for at in 0..512 {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = file(2, 1, EM_X86_64, 3, "/lib64/ld.so");
                bytes[at] = byte;
                Program::of(&bytes);
                Program::of(&bytes[..at]);
            }
        }
    }
}
