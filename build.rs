#[path = "proto/build.rs"]
mod proto;

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    init();
    proto::generate();
    // The stripped binary has no symbols; its linker map does. tests/child reads it.
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let profile = Path::new(&out).ancestors().nth(3).expect("OUT_DIR lies below the profile's folder");
    // Relocations take a bit each instead of 24 bytes, in the file and at every start.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    println!("cargo::rustc-link-arg-bins=-Wl,-Map={}", profile.join("nomad-driver-exec2.map").display());
}

/// Builds src/init as a program of its own, without any library, into OUT_DIR/init: by the compiler that cargo uses, for the target that
/// cargo builds for. Panics with the reason, as build scripts do.
fn init() {
    for source in [
        "src/init/main.rs",
        "src/init/start.rs",
        "src/policy/linux.rs",
        "src/policy/message.rs",
        "src/policy/sessions.rs",
        "src/policy/unsaid.rs",
        "src/sys/syscall.rs",
        "src/init/init.ld",
    ] {
        println!("cargo::rerun-if-changed={source}");
    }
    let variable = |name| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let output = Path::new(&variable("OUT_DIR")).join("init");
    let mut rustc = Command::new(variable("RUSTC"));
    rustc
        .args(["--edition", "2024", "--crate-type", "bin", "--crate-name", "init", "src/init/main.rs"])
        .args(["--target", &variable("TARGET"), "-o"])
        .arg(&output)
        .args(["-C", "opt-level=s", "-C", "lto=fat", "-C", "codegen-units=1", "-C", "panic=abort", "-C", "strip=symbols"])
        .args(["-C", "relocation-model=static", "-C", "target-feature=+crt-static", "-C", "force-unwind-tables=no"])
        .args(["-C", "link-args=-nostartfiles -nostdlib -static -no-pie -Wl,-z,norelro,--build-id=none,--gc-sections,-z,noexecstack"])
        .args(["-C", "link-args=-Wl,-T,src/init/init.ld"]);
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    let status = rustc.status().expect("the Rust compiler starts");
    assert!(status.success(), "src/init does not build: {status}");
}
