//! Why a command was not executed, found out once it was not: a start that succeeds pays nothing for it.

use super::sight::{Points, head, look};
use crate::policy::access::Mode;
use crate::policy::allocation::Allocation;
use crate::policy::directories::Directories;
use crate::policy::obstacle::{Obstacle, Task, Told, not_found};
use crate::policy::program::{Program, has_carriage_return};
use crate::policy::spec::TaskSpec;
use crate::policy::standing::Extent;
use crate::policy::untrusted::Untrusted;
use crate::policy::view_mode::ViewMode;
use crate::sys::path;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Scripts whose interpreters are scripts: what the kernel follows of them.
const NESTED: usize = 5;

/// Looks at what a task was to execute, as far as whoever is told may know of it.
pub(super) struct Diagnosis<'a> {
    root: OwnedFd,
    points: Points,
    task: Task<'a>,
    work_dir: &'a Path,
    untrusted: Untrusted,
}

/// In words, if they can be found: why none of `paths` was executed. `by_name`: they are directories' of a PATH.
pub(super) fn of_task(spec: &TaskSpec, by_name: bool) -> Option<String> {
    let identity = &spec.privileges.identity;
    let untrusted = Untrusted { uid: identity.uid, trees: Vec::new() };
    let directories = spec.view.directories.as_ref();
    let allocation = directories.and_then(|named| Allocation::new([&named.alloc_dir, &named.task_dir]).ok());
    let hidden = |path: &Path| path.starts_with(&spec.state_dir) || allocation.as_ref().is_some_and(|allocation| allocation.hides(path));
    let extent = if spec.view.mode == ViewMode::Host { Extent::System } else { Extent::Nothing };
    let stands = |path: &Path| extent.stands().iter().any(|standing| path.starts_with(standing.path));
    let task = Task {
        identity,
        capabilities: spec.privileges.capabilities,
        granted: Some(granted(spec, &untrusted)),
        stands: &stands,
        hidden: &hidden,
        asker: spec.asker,
    };
    let root = path::directory("/").ok()?;
    let diagnosis = Diagnosis { root, points: points(spec), task, work_dir: Path::new(&spec.command.work_dir), untrusted };
    diagnosis.words(&spec.command.paths, by_name)
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
    fn words(&self, paths: &[String], by_name: bool) -> Option<String> {
        let mut all: Vec<Told> = Vec::with_capacity(paths.len());
        for path in paths {
            // Where one can't be told of, none is.
            all.push(self.told(&self.work_dir.join(path), 0)?);
        }
        let there: Vec<&Told> = all.iter().filter(|told| !told.is_absent()).collect();
        // One that was tried comes before one that was not to be seen.
        let tried = there.iter().copied().find(|told| !matches!(told.obstacle, Obstacle::Veiled { .. })).or(there.first().copied());
        match (tried, &all[..]) {
            (Some(told), _) | (None, [told]) => Some(told.words(&self.task.identity.name, self.task.asker)),
            _ => {
                let mut parents: Vec<&str> = Vec::new();
                for parent in all.iter().filter_map(|told| told.asked.parent()?.to_str()) {
                    if !parents.contains(&parent) {
                        parents.push(parent);
                    }
                }
                Some(not_found(&parents, by_name))
            }
        }
    }

    /// What keeps `path` from being executed; `None`: nothing that could be seen from here.
    fn told(&self, path: &Path, depth: usize) -> Option<Told> {
        let (sight, file) = look(&self.root, path, &self.points).ok()?;
        let unveil = || match path::find(path, &self.untrusted) {
            // With the links that lead there.
            Ok(_) => format!("rx:{}", path.display()),
            Err(_) => format!("rx:{}", sight.path.display()),
        };
        if let Some(obstacle) = self.task.obstacle(&sight) {
            let unveil = if matches!(obstacle, Obstacle::Veiled { .. }) { unveil() } else { String::new() };
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
