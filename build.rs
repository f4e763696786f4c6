#[path = "src/init/build.rs"]
mod init;
#[path = "proto/build.rs"]
mod proto;

use std::env;
use std::path::Path;

fn main() {
    init::build();
    proto::generate();
    // The stripped binary has no symbols; its linker map does. tests/child reads it.
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let profile = Path::new(&out).ancestors().nth(3).expect("OUT_DIR lies below the profile's folder");
    // Relocations take a bit each instead of 24 bytes, in the file and at every start.
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    println!("cargo::rustc-link-arg-bins=-Wl,-Map={}", profile.join("nomad-driver-exec2.map").display());
}
