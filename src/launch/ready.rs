//! A ruleset with the plugin's own rules, made before the task comes that takes it. A ruleset can't be copied, so that each start takes one; the
//! thread that has started a task makes the next.
//!
//! It holds no file open: what that is on could not be unmounted. Who takes it looks at each name again that led to what is granted, and does
//! without it where one differs.

use super::error::LaunchError;
use super::rules::{Granted, Ruleset};
use crate::error::At;
use crate::lock::lock;
use crate::policy::abi::Abi;
use crate::policy::allocation::Allocation;
use crate::policy::grant::Grant;
use crate::policy::namespace::NamespaceMode;
use crate::policy::port::Ports;
use crate::policy::spec::TaskSpec;
use crate::sys::landlock;
use crate::sys::path::{Mark, Untrusted};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What such a ruleset depends on, beside the host's files.
#[derive(Clone, PartialEq)]
pub(super) struct Wanted {
    pub abi: Abi,
    pub ports: Ports,
    pub own_proc: bool,
    pub grants: Vec<Grant>,
}

impl Wanted {
    fn is_of(&self, spec: &TaskSpec) -> bool {
        let rules = &spec.rules;
        (self.abi, &self.ports, self.own_proc) == (rules.abi, &rules.ports, own_proc(spec)) && self.grants == rules.of_plugin()
    }
}

pub(super) fn own_proc(spec: &TaskSpec) -> bool {
    spec.namespaces.pid == NamespaceMode::Private
}

struct Ready {
    kernel: landlock::Ruleset,
    granted: Vec<Granted>,
    /// Each name on the way to what is granted, symlinks and where they lead.
    names: BTreeMap<PathBuf, Mark>,
    /// What is granted and is not there.
    absent: Vec<PathBuf>,
}

/// At most one is ready: for what the last start wanted.
#[derive(Default)]
pub(super) struct Slot(Mutex<(Option<Wanted>, Option<Ready>)>);

impl Slot {
    /// The one that is ready, if it is what a task with these can have, on the host as it is now.
    pub fn take(
        &self,
        spec: &TaskSpec,
        untrusted: &Untrusted,
        allocation: Option<&Allocation>,
    ) -> Option<(landlock::Ruleset, Vec<Granted>)> {
        let ready = {
            let mut slot = lock(&self.0);
            let (wanted, ready) = &mut *slot;
            if !wanted.as_ref().is_some_and(|wanted| wanted.is_of(spec)) {
                let (rules, grants) = (&spec.rules, spec.rules.of_plugin().to_vec());
                *wanted = Some(Wanted { abi: rules.abi, ports: rules.ports.clone(), own_proc: own_proc(spec), grants });
                *ready = None;
            }
            ready.take()?
        };
        let is_hidden = |grant: &Grant| allocation.is_some_and(|allocation| allocation.hides(&grant.path));
        let is_fit = ready.is_trusted(untrusted) && !spec.rules.of_plugin().iter().any(is_hidden) && ready.is_current();
        is_fit.then_some((ready.kernel, ready.granted))
    }

    /// Makes one as the last start wanted it, unless there is one.
    pub fn fill(&self) {
        let wanted = match &*lock(&self.0) {
            (Some(wanted), None) => wanted.clone(),
            _ => return,
        };
        match Ready::new(&wanted) {
            Ok(made) => {
                let mut slot = lock(&self.0);
                if slot.0.as_ref() == Some(&wanted) {
                    slot.1 = Some(made);
                }
            }
            Err(e) => log::debug!("no ruleset is ready for the next task: {e}"),
        }
    }
}

impl Ready {
    fn new(wanted: &Wanted) -> Result<Ready, LaunchError> {
        // Whether a task may follow what was followed is known once there is one.
        let mut ruleset = Ruleset::empty(wanted.abi, &wanted.ports, wanted.own_proc, Untrusted::default())?;
        let mut absent = Vec::new();
        for grant in &wanted.grants {
            let known = ruleset.granted.len();
            ruleset.grant(std::slice::from_ref(grant), None)?;
            if ruleset.granted.len() == known {
                absent.push(grant.path.clone());
            }
        }
        let (kernel, mut granted) = ruleset.into_parts();
        let mut names = BTreeMap::new();
        for one in &mut granted {
            let ways = one.found.links.iter().map(|(at, _)| at).chain([&one.found.path]);
            for name in ways.flat_map(|way| way.ancestors()) {
                if !names.contains_key(name) {
                    names.insert(name.to_path_buf(), Mark::of(name).at_path("stat", name)?);
                }
            }
            // Somebody was faster.
            let is_same = names.get(&one.found.path).is_some_and(|mark| mark.identity == one.identity);
            let leads_there = one.found.links.iter().all(|(at, text)| std::fs::read_link(at).is_ok_and(|now| now == *text));
            if !is_same || !leads_there {
                return Ok(Err(Errno::AGAIN).at_path("open", &one.found.path)?);
            }
            one.found.file = None;
        }
        Ok(Ready { kernel, granted, names, absent })
    }

    /// Whether the symlinks that were followed are none that a task with these could have made.
    fn is_trusted(&self, untrusted: &Untrusted) -> bool {
        let links = || self.granted.iter().flat_map(|one| &one.found.links).map(|(at, _)| at.as_path());
        let marks = |path: &Path| path.ancestors().filter_map(|name| self.names.get(name)).collect::<Vec<_>>();
        let is_its = |mark: &Mark| (untrusted.uid != 0 && mark.uid == untrusted.uid) || untrusted.trees.contains(&mark.identity);
        !links().any(|link| marks(link).into_iter().any(is_its))
    }

    fn is_current(&self) -> bool {
        let is_absent = |path: &PathBuf| matches!(rustix::fs::stat(path), Err(Errno::NOENT | Errno::NOTDIR));
        self.names.iter().all(|(name, mark)| Mark::of(name).is_ok_and(|now| now == *mark)) && self.absent.iter().all(is_absent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::access::Mode;
    use crate::sys::path::Identity;
    use std::fs;
    use std::os::unix::fs::symlink;

    struct Files(PathBuf);

    impl Files {
        /// `file`, `dir/link` to it, and `dir/sub/other`.
        fn new(name: &str) -> Files {
            let files = Files(std::env::temp_dir().canonicalize().unwrap().join(format!("exec2-ready-{name}-{}", std::process::id())));
            fs::create_dir_all(files.0.join("dir/sub")).unwrap();
            fs::write(files.0.join("file"), "").unwrap();
            fs::write(files.0.join("dir/sub/other"), "").unwrap();
            symlink("../file", files.0.join("dir/link")).unwrap();
            files
        }

        /// `None`: this kernel has no Landlock.
        fn ready(&self) -> Option<Ready> {
            let abi = Abi(crate::sys::landlock::abi().ok()?);
            let grant = |name| Grant { mode: Mode::R, path: self.0.join(name), option: "unveil_paths", required: false };
            let grants = ["dir/link", "dir/sub/other", "dir/none", "none/x"].map(grant).into();
            let ready = Ready::new(&Wanted { abi, ports: Ports::default(), own_proc: true, grants }).unwrap();
            assert!(ready.is_current() && ready.granted.iter().all(|one| one.found.file.is_none()));
            Some(ready)
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_has_changed_since_is_seen() {
        let changes: [fn(&Path); 7] = [
            |dir| fs::write(dir.join("new"), "").and_then(|()| fs::rename(dir.join("new"), dir.join("file"))).unwrap(),
            |dir| fs::remove_file(dir.join("dir/link")).and_then(|()| symlink("../file", dir.join("dir/link"))).unwrap(),
            |dir| fs::remove_file(dir.join("dir/sub/other")).unwrap(),
            |dir| fs::write(dir.join("dir/none"), "").unwrap(),
            |dir| fs::create_dir(dir.join("none")).and_then(|()| fs::write(dir.join("none/x"), "")).unwrap(),
            // The same file by another way.
            |dir| fs::rename(dir.join("dir/sub"), dir.join("moved")).and_then(|()| symlink("../moved", dir.join("dir/sub"))).unwrap(),
            |dir| fs::remove_file(dir.join("dir/link")).and_then(|()| fs::hard_link(dir.join("file"), dir.join("dir/link"))).unwrap(),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let files = Files::new(&index.to_string());
            let Some(ready) = files.ready() else { return };
            fs::write(files.0.join("dir/sub/more"), "").unwrap();
            fs::write(files.0.join("file"), "more").unwrap();
            assert!(ready.is_current(), "{index}: what is in a file or directory may change");
            // Longer than the clock's step.
            std::thread::sleep(std::time::Duration::from_millis(20));
            change(&files.0);
            assert!(!ready.is_current(), "{index}");
        }
    }

    #[test]
    fn links_that_a_task_could_have_made() {
        let files = Files::new("trust");
        let Some(ready) = files.ready() else { return };
        let identity = |name: &str| Identity::at(&files.0.join(name)).unwrap();
        let me = rustix::process::getuid().as_raw();
        let trusts = |uid, trees| ready.is_trusted(&Untrusted { uid, trees });
        assert!(trusts(me + 1, vec![]) && trusts(me + 1, vec![identity("dir/sub"), identity("file")]));
        assert!(!trusts(me + 1, vec![identity("dir")]) && !trusts(me + 1, vec![identity("")]));
        assert_eq!(trusts(me, vec![]), me == 0);
    }

    #[test]
    fn one_for_the_last_start() {
        let files = Files::new("slot");
        if files.ready().is_none() {
            return;
        }
        let (slot, mut spec) =
            (Slot::default(), TaskSpec { rules: crate::policy::rules::Rules { abi: Abi(1), ..Default::default() }, ..TaskSpec::default() });
        let take = |slot: &Slot, spec: &TaskSpec| slot.take(spec, &Untrusted::default(), None).map(|(_, granted)| granted.len());
        let grant = |name: &str, option| Grant { mode: Mode::R, path: files.0.join(name), option, required: true };
        spec.rules.grants = vec![grant("file", "unveil_paths"), grant("dir", "unveil")];
        slot.fill();
        assert_eq!(take(&slot, &spec), None, "nobody has wanted one");
        slot.fill();
        assert_eq!((take(&slot, &spec), take(&slot, &spec)), (Some(1), None), "a second start at the same time");
        slot.fill();
        spec.rules.grants[0] = grant("dir/sub", "unveil_paths");
        assert_eq!(take(&slot, &spec), None, "the plugin's configuration has changed");
        slot.fill();
        spec.rules.grants[1] = grant("file", "unveil");
        assert_eq!(take(&slot, &spec), Some(1), "what a task asks for is its own");
        slot.fill();
        fs::rename(files.0.join("dir/sub"), files.0.join("away")).unwrap();
        assert_eq!(take(&slot, &spec), None);
        slot.fill();
        assert_eq!(take(&slot, &spec), None, "what is required is not there");
    }
}
