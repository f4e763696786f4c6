#[path = "build/init.rs"]
mod init;

use std::env;
use std::path::Path;

fn main() {
    init::build();
    // The stripped binary has no symbols; its linker map does. tests/child reads it.
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let profile = Path::new(&out).ancestors().nth(3).expect("OUT_DIR lies below the profile's folder");
    println!("cargo::rustc-link-arg-bins=-Wl,-Map={}", profile.join("nomad-driver-exec2.map").display());
}
