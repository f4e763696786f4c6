//! The programs that are started: static ELF files of a few hundred bytes, so that what is measured is the start and not a libc.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Writes one byte to standard output and exits with 7.
#[cfg(target_arch = "x86_64")]
const HELLO: &[u8] = &[
    0xb8, 1, 0, 0, 0, // mov eax, 1 (write)
    0xbf, 1, 0, 0, 0, // mov edi, 1
    0x48, 0x8d, 0x35, 0xef, 0xff, 0xff, 0xff, // lea rsi, [rip - 17]
    0xba, 1, 0, 0, 0, // mov edx, 1
    0x0f, 0x05, // syscall
    0xb8, 60, 0, 0, 0, // mov eax, 60 (exit)
    0xbf, 7, 0, 0, 0, // mov edi, 7
    0x0f, 0x05, // syscall
];

/// Exits with 7.
#[cfg(target_arch = "x86_64")]
const QUIET: &[u8] = &[
    0xb8, 60, 0, 0, 0, // mov eax, 60 (exit)
    0xbf, 7, 0, 0, 0, // mov edi, 7
    0x0f, 0x05, // syscall
];

/// Sleeps until a signal ends it.
#[cfg(target_arch = "x86_64")]
const PARK: &[u8] = &[0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]; // mov eax, 34 (pause); syscall; jmp

#[cfg(target_arch = "aarch64")]
const HELLO: &[u8] = &[
    0x08, 0x08, 0x80, 0xd2, // mov x8, 64 (write)
    0x20, 0x00, 0x80, 0xd2, // mov x0, 1
    0xc1, 0xff, 0xff, 0x10, // adr x1, . - 8
    0x22, 0x00, 0x80, 0xd2, // mov x2, 1
    0x01, 0x00, 0x00, 0xd4, // svc 0
    0xa8, 0x0b, 0x80, 0xd2, // mov x8, 93 (exit)
    0xe0, 0x00, 0x80, 0xd2, // mov x0, 7
    0x01, 0x00, 0x00, 0xd4, // svc 0
];

#[cfg(target_arch = "aarch64")]
const QUIET: &[u8] = &[
    0xa8, 0x0b, 0x80, 0xd2, // mov x8, 93 (exit)
    0xe0, 0x00, 0x80, 0xd2, // mov x0, 7
    0x01, 0x00, 0x00, 0xd4, // svc 0
];

#[cfg(target_arch = "aarch64")]
const PARK: &[u8] = &[
    0x28, 0x09, 0x80, 0xd2, // mov x8, 73 (ppoll)
    0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x80, 0xd2, 0x02, 0x00, 0x80, 0xd2, 0x03, 0x00, 0x80, 0xd2, // mov x0..x3, 0
    0x01, 0x00, 0x00, 0xd4, // svc 0
    0xfa, 0xff, 0xff, 0x17, // b to the start
];

const MACHINE: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
const BASE: u64 = 0x40_0000;
const HEADERS: u64 = 64 + 56;

/// The programs, in a directory that is removed when this is dropped.
pub struct Payload {
    dir: PathBuf,
    pub hello: PathBuf,
    pub quiet: PathBuf,
    pub park: PathBuf,
}

impl Payload {
    pub fn write(dir: &Path) -> std::io::Result<Payload> {
        fs::create_dir_all(dir)?;
        let payload = Payload { dir: dir.to_path_buf(), hello: dir.join("hello"), quiet: dir.join("quiet"), park: dir.join("park") };
        for (path, code) in [(&payload.hello, HELLO), (&payload.quiet, QUIET), (&payload.park, PARK)] {
            fs::write(path, elf(code))?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        Ok(payload)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// ELF header, one program header, code.
fn elf(code: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |file: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|v| file.extend(v.to_le_bytes()));
    let word = |file: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| file.extend(v.to_le_bytes()));
    let long = |file: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|v| file.extend(v.to_le_bytes()));
    half(&mut file, &[2, MACHINE]); // executable
    word(&mut file, &[1]);
    long(&mut file, &[BASE + HEADERS, 64, 0]); // entry, program headers, no sections
    word(&mut file, &[0]);
    half(&mut file, &[64, 56, 1, 0, 0, 0]);
    let size = HEADERS + code.len() as u64;
    word(&mut file, &[1, 5]); // load, read and execute
    long(&mut file, &[0, BASE, BASE, size, size, 0x1000]);
    file.extend_from_slice(code);
    file
}
