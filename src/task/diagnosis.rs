//! Why a command was not executed, found out once it was not: a start that succeeds pays nothing for it.

use super::failure::Tried;
use super::sight::{Points, head, look};
use crate::policy::access::Mode;
use crate::policy::allocation::Allocation;
use crate::policy::directories::Directories;
use crate::policy::identity::Identity;
use crate::policy::obstacle::{Asker, Obstacle, Seen, Sight, Task, Told};
use crate::policy::program::{Program, has_carriage_return};
use crate::policy::spec::TaskSpec;
use crate::policy::standing::Extent;
use crate::policy::untrusted::Untrusted;
use crate::policy::view_mode::ViewMode;
use crate::sys::path;
use crate::watch::{pidfd, process};
use rustix::io::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Scripts whose interpreters are scripts: what the kernel follows of them.
const NESTED: usize = 5;

/// Looks at what a task was to execute, as far as whoever is told may know of it.
pub(super) struct Diagnosis<'a> {
    root: OwnedFd,
    points: Points,
    task: Task<'a>,
    work_dir: &'a Path,
    /// By which links are followed where something is unveiled; `None`: what is looked at is a task's own view.
    untrusted: Option<Untrusted>,
}

/// In words, if they can be found: why what a task was to start was not executed.
pub(super) fn of_task(spec: &TaskSpec, tried: &Tried, errno: Errno) -> Option<String> {
    let identity = &spec.privileges.identity;
    let untrusted = Untrusted { uid: identity.uid, trees: Vec::new() };
    let directories = spec.view.directories.as_ref();
    let allocation = directories.and_then(|named| Allocation::new([&named.alloc_dir, &named.task_dir]).ok());
    let hidden = |path: &Path| path.starts_with(&spec.state_dir) || allocation.as_ref().is_some_and(|allocation| allocation.hides(path));
    let extent = if spec.view.mode == ViewMode::Host { Extent::System } else { Extent::Nothing };
    let stands = |path: &Path| extent.stands().iter().any(|standing| path.starts_with(standing.path));
    let veils = veils(spec, &untrusted);
    let veiled = |sight: &Sight| {
        let (veil, _) =
            veils.iter().find(|(_, place)| sight.path.starts_with(place) || sight.way.iter().any(|dir| dir.path.starts_with(place)))?;
        Some(if spec.asker == Asker::Root { format!("--veil {}", veil.display()) } else { format!("veil {veil:?}") })
    };
    let task = Task {
        identity,
        capabilities: spec.privileges.capabilities,
        granted: Some(granted(spec, &untrusted)),
        is_denied: errno == Errno::ACCESS,
        stands: &stands,
        hidden: &hidden,
        veiled: &veiled,
        asker: spec.asker,
    };
    let root = path::directory("/").ok()?;
    Diagnosis { root, points: points(spec), task, work_dir: Path::new(&tried.work_dir), untrusted: Some(untrusted) }.words(tried)
}

/// The same of a command beside the task's own, in the view of the task's init. `record` is the task's.
pub(super) fn of_session(init: u32, pidfd: BorrowedFd<'_>, record: &Path, tried: &Tried, errno: Errno) -> Option<String> {
    let (identity, capabilities) = process::privileges(init).ok()?;
    let root = path::directory(format!("/proc/{init}/root")).ok()?;
    if !pidfd::lives(pidfd) {
        return None;
    }
    // What is mounted over what they hide.
    let veils = ["veil", "veil-file"].map(|name| Identity::at(&record.join(name)));
    let veiled = |sight: &Sight| {
        let is_veil = |seen: &Seen| veils.contains(&Some(seen.file));
        sight.way.iter().chain(&sight.file).find(|seen| is_veil(seen)).map(|seen| format!("a veil at {}", seen.path.display()))
    };
    let task = Task {
        identity: &identity,
        capabilities,
        granted: None,
        is_denied: errno == Errno::ACCESS,
        stands: &|_| true,
        hidden: &|_| false,
        veiled: &veiled,
        asker: Asker::Job,
    };
    Diagnosis { root, points: Points::new(), task, work_dir: Path::new(&tried.work_dir), untrusted: None }.words(tried)
}

/// What is hidden from the task: how that is written, and where it is, by each name that it has.
fn veils(spec: &TaskSpec, untrusted: &Untrusted) -> Vec<(PathBuf, PathBuf)> {
    let mut all = Vec::new();
    for veil in &spec.view.veils {
        let found = path::find(&veil.path, untrusted).map_or(veil.path.clone(), |(_, way)| way.path);
        let moved = own_names(spec).filter_map(|(at, source)| Some(at.join(veil.path.strip_prefix(source).ok()?)));
        all.extend([veil.path.clone(), found].into_iter().chain(moved).map(|place| (veil.path.clone(), place)));
    }
    all
}

/// All that the task was granted, where it really is, or where its view has it.
fn granted(spec: &TaskSpec, untrusted: &Untrusted) -> Vec<(PathBuf, Mode)> {
    let found = |path: &Path| path::find(path, untrusted).ok().map(|(_, way)| way.path);
    let named = spec.rules.grants.iter().filter_map(|grant| Some((found(&grant.path)?, grant.mode)));
    let own = spec.view.directories.iter().flat_map(|directories| {
        let Directories { alloc_dir, task_dir } = directories;
        let below = Directories::GRANTS.map(|(mode, below)| (task_dir.join(below), mode));
        below.into_iter().chain([(alloc_dir.join("alloc"), Mode::RWXC)])
    });
    let own = own.map(|(path, mode)| (std::fs::canonicalize(&path).unwrap_or(path), mode));
    let names = own_names(spec).map(|(at, _)| (at, Mode::RWXC));
    let volumes = spec.view.volumes.iter();
    let volumes = volumes.map(|volume| (volume.target.clone(), if volume.read_only { Mode::RX } else { Mode::RWXC }));
    named.chain(own).chain(names).chain(volumes).collect()
}

/// What the task's view has elsewhere than the node.
fn points(spec: &TaskSpec) -> Points {
    let volumes = spec.view.volumes.iter().map(|volume| (volume.target.clone(), volume.source.clone()));
    volumes.chain(own_names(spec)).collect()
}

/// The task's own directories at the top of a private view, and where they are.
fn own_names(spec: &TaskSpec) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    let directories = spec.view.directories.iter().filter(|_| spec.view.mode == ViewMode::Private);
    directories.flat_map(|directories| {
        ["local", "alloc", "secrets", "tmp"].map(|name| (Path::new("/").join(name), directories.task_dir.join(name)))
    })
}

impl Diagnosis<'_> {
    fn words(&self, tried: &Tried) -> Option<String> {
        let mut all: Vec<Told> = Vec::with_capacity(tried.paths.len());
        for path in &tried.paths {
            // Where one can't be told of, none is.
            all.push(self.told(&self.work_dir.join(path).components().collect::<PathBuf>(), 0)?);
        }
        let there: Vec<&Told> = all.iter().filter(|told| !told.is_absent()).collect();
        // One that was tried comes before one that was not to be seen.
        let first = there.iter().copied().find(|told| !told.is_out_of_sight()).or(there.first().copied());
        let one = || all.first().filter(|_| all.len() == 1 && !tried.by_name);
        match first.or_else(one) {
            Some(told) => Some(told.words(&self.task.identity.name, self.task.asker)),
            None => Some(format!("not found in {}", tried.looked_in())),
        }
    }

    /// What keeps `path` from being executed; `None`: nothing that could be seen from here.
    fn told(&self, path: &Path, depth: usize) -> Option<Told> {
        let (sight, file) = look(&self.root, path, &self.points).ok()?;
        let unveil = || match &self.untrusted {
            Some(untrusted) if path::find(path, untrusted).is_err() => format!("rx:{}", sight.path.display()),
            // With the links that lead there.
            _ => format!("rx:{}", path.display()),
        };
        if let Some(obstacle) = self.task.obstacle(&sight) {
            let unveil = if matches!(obstacle, Obstacle::Veiled { .. } | Obstacle::Denied) { unveil() } else { String::new() };
            return Some(sight.told(obstacle, unveil));
        }
        if depth > NESTED || !self.task.reads(&sight) {
            return None;
        }
        let obstacle = match Program::of(&head(&file?).ok()?) {
            Program::None(reason) => Obstacle::Format(reason),
            Program::Elf { loader } => {
                let mut why = self.told(&self.work_dir.join(loader?), depth + 1)?;
                // A loader without the libraries would not be enough.
                if matches!(why.obstacle, Obstacle::Veiled { .. }) {
                    why.unveil = "@shared".to_owned();
                }
                Obstacle::Needs { what: "ELF loader", why: Box::new(why) }
            }
            Program::Script { interpreter } => {
                let why = self.told(&self.work_dir.join(&interpreter), depth + 1)?;
                match has_carriage_return(&interpreter) && why.is_absent() {
                    true => Obstacle::LineEnds { interpreter },
                    false => Obstacle::Needs { what: "interpreter", why: Box::new(why) },
                }
            }
        };
        Some(sight.told(obstacle, String::new()))
    }
}
