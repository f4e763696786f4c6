//! A ruleset with the plugin's own rules, made before the task comes that takes it. A ruleset can't be copied, so that each start takes one; the
//! thread that has started a task makes the next.
//!
//! It holds no file open: what that is on could not be unmounted. Who takes it looks at each name again that led to what is granted, and does
//! without it where one differs.

use super::rules::Ruleset;
use crate::error::At;
use crate::launch_error::LaunchError;
use crate::policy::allocation::Allocation;
use crate::policy::grant::Grant;
use crate::policy::identity::Identity;
use crate::policy::names::{Mark, Names};
use crate::policy::namespace::NamespaceMode;
use crate::policy::rules::{OfPlugin, Rules};
use crate::policy::spec::TaskSpec;
use crate::policy::untrusted::Untrusted;
use crate::sys::path;
use crate::watch::ahead::Ahead;
use rustix::io::Errno;
use std::path::Path;

struct Ready {
    ruleset: Ruleset,
    names: Names,
}

/// For what the last start wanted.
#[derive(Default)]
pub(super) struct Slot(Ahead<OfPlugin, Ready>);

impl Slot {
    /// The ruleset of a task, with all that it is granted.
    pub fn ruleset(&self, spec: &TaskSpec, allocation: Option<&Allocation>) -> Result<Ruleset, LaunchError> {
        let (rules, own_proc) = (&spec.rules, spec.namespaces.pid == NamespaceMode::Private);
        let untrusted = Untrusted { uid: spec.privileges.identity.uid, trees: writable(spec)? };
        let mut ruleset = match self.take(rules, own_proc, &untrusted, allocation) {
            Some(mut ready) => {
                ready.untrusted = untrusted;
                ready
            }
            None => {
                let mut fresh = Ruleset::empty(rules.abi, &rules.ports, own_proc, untrusted)?;
                fresh.grant(rules.of_plugin(), allocation)?;
                fresh
            }
        };
        ruleset.grant(rules.of_task(), allocation)?;
        Ok(ruleset)
    }

    /// The one that is ready, if it is what a task with these can have, on the host as it is now.
    fn take(&self, rules: &Rules, own_proc: bool, untrusted: &Untrusted, allocation: Option<&Allocation>) -> Option<Ruleset> {
        let ready = self.0.take(|wanted| wanted.is_of(rules, own_proc), || OfPlugin::of(rules, own_proc))?;
        let is_hidden = |grant: &Grant| allocation.is_some_and(|allocation| allocation.hides(&grant.path));
        let is_fit = ready.is_trusted(untrusted) && !rules.of_plugin().iter().any(is_hidden) && ready.is_current();
        is_fit.then_some(ready.ruleset)
    }

    /// Makes one as the last start wanted it, unless there is one.
    pub fn fill(&self) {
        self.0.fill(Ready::new).unwrap_or_else(|e| log::debug!("no ruleset is ready for the next task: {e}"));
    }
}

impl Ready {
    fn new(wanted: &OfPlugin) -> Result<Ready, LaunchError> {
        // Whether a task may follow what was followed is known once there is one.
        let mut ruleset = Ruleset::empty(wanted.abi, &wanted.ports, wanted.own_proc, Untrusted::default())?;
        let mut names = Names::default();
        for grant in &wanted.grants {
            let known = ruleset.granted.len();
            ruleset.grant(std::slice::from_ref(grant), None)?;
            let Some(one) = ruleset.granted.get(known) else {
                names.add_absent(&grant.path);
                continue;
            };
            let leads_there = names.add(one, |name| Mark::of(name).at_path("stat", name))?;
            // Somebody was faster.
            if !leads_there || !one.way.links.iter().all(|(at, text)| std::fs::read_link(at).is_ok_and(|now| now == *text)) {
                return Ok(Err(Errno::AGAIN).at_path("open", one.path())?);
            }
        }
        Ok(Ready { ruleset, names })
    }

    /// Whether the symlinks that were followed are none that a task with these could have made.
    fn is_trusted(&self, untrusted: &Untrusted) -> bool {
        self.names.trusts(&self.ruleset.granted, untrusted)
    }

    fn is_current(&self) -> bool {
        let is_absent = |path: &Path| matches!(rustix::fs::stat(path), Err(Errno::NOENT | Errno::NOTDIR));
        self.names.are_current(|name| Mark::of(name).ok(), is_absent)
    }
}

/// The directories in which the task may create files. A path that leads there by a link of the task's own making is found all the same:
/// what this names is only not to be trusted, and opening it for a rule refuses the link.
fn writable(spec: &TaskSpec) -> Result<Vec<Identity>, LaunchError> {
    // What can't be opened is reported, or passed over, where it is granted.
    let there = spec.creates_in().filter_map(|path| Some((path, path::open(path, &Untrusted::default()).ok()?)));
    Ok(there.map(|(path, dir)| Identity::of(&dir).at_path("stat", path)).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::abi::Abi;
    use crate::policy::access::Mode;
    use crate::policy::port::Ports;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

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
            let ready = Ready::new(&OfPlugin { abi, ports: Ports::default(), own_proc: true, grants }).unwrap();
            assert!(ready.is_current());
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
        let (slot, mut rules) = (Slot::default(), Rules { abi: Abi(1), ..Default::default() });
        let take = |slot: &Slot, rules: &Rules| slot.take(rules, true, &Untrusted::default(), None).map(|ready| ready.granted.len());
        let grant = |name: &str, option| Grant { mode: Mode::R, path: files.0.join(name), option, required: true };
        rules.grants = vec![grant("file", "unveil_paths"), grant("dir", "unveil")];
        slot.fill();
        assert_eq!(take(&slot, &rules), None, "nobody has wanted one");
        slot.fill();
        assert_eq!((take(&slot, &rules), take(&slot, &rules)), (Some(1), None), "a second start at the same time");
        slot.fill();
        rules.grants[0] = grant("dir/sub", "unveil_paths");
        assert_eq!(take(&slot, &rules), None, "the plugin's configuration has changed");
        slot.fill();
        rules.grants[1] = grant("file", "unveil");
        assert_eq!(take(&slot, &rules), Some(1), "what a task asks for is its own");
        slot.fill();
        fs::rename(files.0.join("dir/sub"), files.0.join("away")).unwrap();
        assert_eq!(take(&slot, &rules), None);
        slot.fill();
        assert_eq!(take(&slot, &rules), None, "what is required is not there");
    }
}
