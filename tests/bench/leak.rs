//! T3: what thousands of starts, one after the other, leave behind.

use crate::Bench;
use crate::driver::Driver;
use crate::plugin::Plugin;
use crate::process::{descriptors, number, status};
use crate::progress::Progress;
use crate::sample::Sample;
use crate::table::Report;
use crate::task::Task;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// For what a plugin does after its last task.
const SETTLE: Duration = Duration::from_secs(2);

/// How many starts: the default number of runs makes ten thousand.
const TIMES: usize = 100;

/// After a tenth of them caches are full and pools are as large as they get: from there on nothing may grow.
pub fn measure(bench: &Bench, driver: &Driver, report: &mut Report) -> io::Result<()> {
    let plugin = Plugin::configured(bench, driver)?;
    plugin.fingerprint()?;
    let count = TIMES * bench.arguments.runs;
    let mut rows: Vec<Sample> = Vec::new();
    let mut look = |when: &str| {
        sleep(SETTLE);
        for (what, unit, value) in left(bench, driver, &plugin)? {
            rows.push(Sample::of(&format!("T3 {what}, {when}"), unit, [value]).by(driver));
        }
        Ok::<_, io::Error>(())
    };
    look("before")?;
    let mut progress = Progress::new(&format!("T3{}", driver.suffix()), count);
    for number in 1..=count {
        progress.step()?;
        let mut task = Task::prepare(bench, &plugin, &bench.payload.quiet)?;
        task.start()?;
        task.ends_with_7()?;
        task.destroy()?;
        drop(task);
        if number == count / 10 {
            look(&format!("after {number}"))?;
        }
    }
    look(&format!("after {count}"))?;
    // Each quantity's rows together.
    let quantities = rows.len() / 3;
    let mut rows: Vec<(usize, Sample)> = rows.into_iter().enumerate().map(|(place, row)| (place % quantities, row)).collect();
    rows.sort_by_key(|(quantity, _)| *quantity);
    let rows: Vec<Sample> = rows.into_iter().map(|(_, row)| row).collect();
    report.values(&format!("T3: {count} one-shot tasks, one after the other{}", driver.suffix()), &rows);
    Ok(())
}

fn left(bench: &Bench, driver: &Driver, plugin: &Plugin) -> io::Result<Vec<(&'static str, &'static str, f64)>> {
    let pid = plugin.pid();
    let (namespaces, mounts) = mounts(pid)?;
    let mut left = vec![
        ("plugin's descriptors", "", descriptors(pid)?),
        ("plugin's threads", "", status(pid, "Threads")?),
        ("plugin's resident", "KB", status(pid, "VmRSS")?),
        ("plugin's resident, anonymous", "KB", status(pid, "RssAnon")?),
        ("mount namespaces of its threads", "", namespaces),
        ("mounts in them", "", mounts),
        ("files below state_dir", "", files(&bench.scratch.0.join(&driver.state)) as f64),
        ("cgroups below the allocations'", "", cgroups(bench.slice.path())? as f64),
    ];
    // Those that are removed and that something still refers to.
    if let Some(dying) = dying(bench.slice.path()) {
        left.push(("of them removed but not gone", "", dying));
    }
    left.push(("kernel memory, slab", "KB", number("/proc/meminfo", "Slab")?));
    Ok(left)
}

/// Those of the plugin's threads, and what is mounted in all of them.
fn mounts(pid: u32) -> io::Result<(f64, f64)> {
    let mut tables = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.path();
        // It may have ended meanwhile.
        if let (Ok(namespace), Ok(table)) = (fs::read_link(thread.join("ns/mnt")), fs::read_to_string(thread.join("mountinfo"))) {
            tables.insert(namespace, table.lines().count());
        }
    }
    Ok((tables.len() as f64, tables.values().sum::<usize>() as f64))
}

fn files(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| if entry.file_type().is_ok_and(|kind| kind.is_dir()) { files(&entry.path()) } else { 1 }).sum()
}

/// Directories below it.
fn cgroups(dir: &Path) -> io::Result<usize> {
    let children = fs::read_dir(dir)?.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    children.map(|child| Ok(1 + cgroups(&child.path())?)).sum()
}

fn dying(dir: &Path) -> Option<f64> {
    let text = fs::read_to_string(dir.join("cgroup.stat")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("nr_dying_descendants ")?.parse().ok())
}
