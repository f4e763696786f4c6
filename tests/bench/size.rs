//! X1: how large it is: the binary, the crates that are linked into it, and the lines that a reviewer must read.

use crate::Bench;
use crate::sample::Sample;
use crate::table::Report;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// This program is built from them. In a virtual machine they are not there.
const SOURCES: &str = env!("CARGO_MANIFEST_DIR");
const AUDITED: [&str; 3] = ["sys", "launch", "init"];

pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let mut samples: Vec<Sample> =
        bench.drivers.iter().map(|driver| Sample::of("X1 binary", "bytes", [driver.bytes() as f64]).by(driver)).collect();
    match crates() {
        Ok(count) => samples.push(Sample::of("X1 crates that are linked, of this source", "", [count])),
        Err(e) => report.remark(format!("X1 without the number of crates: cargo tree: {e}")),
    }
    for dir in AUDITED {
        match lines(&Path::new(SOURCES).join("src").join(dir)) {
            Ok(count) => samples.push(Sample::of(&format!("X1 lines of src/{dir}, without tests"), "", [count as f64])),
            Err(e) => report.remark(format!("X1 without the lines of {SOURCES}/src/{dir}: {e}")),
        }
    }
    report.values("X1: size", &samples);
    Ok(())
}

/// Without those that only run while it is built.
fn crates() -> io::Result<f64> {
    let mut cargo = Command::new("cargo");
    cargo.args(["tree", "--offline", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe"]);
    let output = cargo.current_dir(SOURCES).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let crates: BTreeSet<&str> = text.lines().collect();
    // The first is this one.
    crates.len().checked_sub(1).map(|count| count as f64).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        io::Error::other(said.lines().next().unwrap_or("it says nothing").to_string())
    })
}

/// Of all Rust files below it. Tests stand at a file's end.
fn lines(dir: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            count += lines(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            count += fs::read_to_string(&path)?.lines().take_while(|line| !line.trim().starts_with("#[cfg(test)]")).count();
        }
    }
    Ok(count)
}
