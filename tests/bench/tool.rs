//! S3: a whole command, by this driver's `run` and by other tools that confine one.

use crate::Bench;
use crate::latency::{FLOOR, WARM_UP};
use crate::progress::Progress;
use crate::sample::Sample;
use crate::table::Report;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What all of them run.
const PROGRAM: &str = "/bin/true";

/// Those that are installed are measured, by their cheapest way to what is named. `{bundle}` is a directory of [`bundle`].
const OTHERS: [(&str, &str); 9] = [
    ("the command alone", ""),
    ("unshare, pid, ipc and mount namespaces", "unshare --ipc --pid --mount-proc --fork"),
    ("bwrap, read-only root, pid and ipc", "bwrap --ro-bind / / --proc /proc --unshare-pid --unshare-ipc"),
    ("crun, pid, ipc and mount, no cgroup", "crun --cgroup-manager=disabled run --bundle {bundle} exec2-bench"),
    ("firejail, no profile", "firejail --quiet --noprofile"),
    ("systemd-run --scope", "systemd-run --quiet --scope"),
    ("setpriv, Landlock", "setpriv --no-new-privs --landlock-access fs --landlock-rule path-beneath:execute,read-file,read-dir:/"),
    ("landrun, Landlock", "landrun --rox /"),
    ("sandlock, Landlock and seccomp", "sandlock run -r / --"),
];

struct Tool {
    command: Vec<OsString>,
    sample: Sample,
}

impl Tool {
    fn run(&self) -> io::Result<Duration> {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn()?;
        let status = child.wait()?;
        let took = begun.elapsed();
        if status.success() { Ok(took) } else { Err(io::Error::other(format!("{:?}: {}", self.command, said(child.wait_with_output()?)))) }
    }

    /// Why it can't be measured here; its own words, if it has any.
    fn fault(&self) -> Option<String> {
        let output = Command::new(&self.command[0]).args(&self.command[1..]).stdin(Stdio::null()).output();
        match output {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Some("not installed".to_string()),
            Err(e) => Some(e.to_string()),
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(said(output)),
        }
    }
}

/// How it ended, and the first line of what it said.
fn said(output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    format!("{}: {}", output.status, text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default())
}

/// With the limit of descriptors that they have at a shell: some tools close every number below it.
pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let raised = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, bench.given_descriptors)?;
    let done = commands(bench, report);
    setrlimit(Resource::Nofile, raised)?;
    done
}

fn commands(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let how = "S3: whole commands, /bin/true; not pinned";
    let bundle = bench.scratch.0.join("bundle");
    write_bundle(&bundle)?;
    let mut all = Vec::new();
    for driver in &bench.drivers {
        let command = vec![driver.path.clone().into(), "run".into(), "--".into(), PROGRAM.into()];
        all.push((
            Tool { command, sample: Sample::times("S3 the driver's run", WARM_UP).by(driver) },
            "run".to_string() + &driver.suffix(),
        ));
    }
    for (name, words) in OTHERS {
        let words = words.replace("{bundle}", &bundle.to_string_lossy());
        let mut command: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
        // The bundle names the program itself.
        if !words.starts_with("crun") {
            command.push(PROGRAM.into());
        }
        all.push((Tool { command, sample: Sample::times(&format!("S3 {name}"), WARM_UP) }, name.to_string()));
    }
    let mut tools = Vec::new();
    for (tool, name) in all {
        match tool.fault() {
            None => tools.push(tool),
            Some(fault) => report.remark(format!("S3 without {name}: {fault}")),
        }
    }
    let mut floors = Sample::times(FLOOR, WARM_UP);
    let rounds = WARM_UP + bench.arguments.runs;
    let mut progress = Progress::new("S3", rounds);
    for _ in 0..rounds {
        progress.step()?;
        floors.push(bench.floor()?);
        for tool in &mut tools {
            let took = tool.run()?;
            tool.sample.push(took);
        }
    }
    report.against(how, &floors, tools.iter().map(|tool| &tool.sample));
    Ok(())
}

/// An OCI bundle with the host's programs, read-only, and the namespaces that the others have.
fn write_bundle(bundle: &Path) -> io::Result<()> {
    let root = bundle.join("rootfs");
    fs::create_dir_all(root.join("proc"))?;
    fs::create_dir(root.join("dev"))?;
    let mut mounts = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc" }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs" }),
    ];
    for name in ["usr", "bin", "lib", "lib64"] {
        let (host, inside) = (Path::new("/").join(name), root.join(name));
        if let Ok(target) = fs::read_link(&host) {
            std::os::unix::fs::symlink(target, inside)?;
        } else if host.is_dir() {
            fs::create_dir(inside)?;
            mounts.push(json!({ "destination": host, "source": host, "options": ["bind", "ro"] }));
        }
    }
    let namespaces = ["pid", "ipc", "mount"].map(|kind| json!({ "type": kind }));
    let config = json!({
        "ociVersion": "1.0.0",
        "process": { "user": { "uid": 0, "gid": 0 }, "args": [PROGRAM], "cwd": "/", "noNewPrivileges": true },
        "root": { "path": "rootfs", "readonly": true },
        "mounts": mounts,
        "linux": { "namespaces": namespaces },
    });
    fs::write(bundle.join("config.json"), config.to_string())
}
