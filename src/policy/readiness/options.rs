//! What the plugin's options open.

use super::{Line, fail, has, pass, warn};
use crate::policy::grant::{Grant, written};
use crate::policy::request::PluginOptions;
use std::path::Path;

/// The plugins that a configuration names, of which `ours` is this one: it goes by its file, not by the driver that jobs name.
pub fn named<'a>(plugins: impl Iterator<Item = &'a str>, ours: &str) -> Vec<Line> {
    let mistaken = plugins.filter(|name| *name != ours && name.contains("exec2"));
    let line =
        |name| fail("options", format!("plugin {name:?} is not this one, so its options are nobody's")).advise(format!("plugin {ours:?}"));
    mistaken.map(line).collect()
}

/// The options that are set and what they mean, and those that are wrong.
pub fn block(set: &[(String, &'static str)], wrong: &[String]) -> Vec<Line> {
    let wrong = wrong.iter().map(|wrong| fail("options", wrong).advise("Nomad or this plugin refuses the whole block for it"));
    let set = set.iter().map(|(option, doc)| pass("options", format!("{option}: {}", doc.replace('`', ""))));
    let lines: Vec<Line> = wrong.chain(set).collect();
    if lines.is_empty() { vec![pass("options", "none is set: all have their defaults")] } else { lines }
}

/// Capabilities with which a task comes out of its confinement.
const ROOTS: [&str; 2] = ["sys_admin", "dac_read_search"];

/// What the plugin's options open, and whether what they name is `there`.
pub fn options(options: &PluginOptions, there: impl Fn(&Path) -> bool) -> Vec<Line> {
    let topic = "options";
    let mut lines = Vec::new();
    let roots: Vec<&str> = ROOTS.into_iter().filter(|name| has(options.allow_caps, name)).collect();
    if !roots.is_empty() {
        lines.push(
            warn(topic, format!("allow_caps holds {}, with which a job has the node", roots.join(" and ")))
                .advise("take it out of allow_caps"),
        );
    }
    if !options.seccomp {
        lines.push(warn(topic, "seccomp = \"off\": no task has a system call filter").advise("seccomp = \"default\""));
    }
    for Grant { mode, path, required, .. } in written(&options.unveil_paths, "unveil_paths").unwrap_or_default() {
        let shown = path.display();
        if path == Path::new("/") {
            lines.push(warn(topic, format!("unveil_paths: {mode}:/ opens all of the host to every task")).advise("name what tasks need"));
        } else if required && !there(&path) {
            lines.push(
                fail(topic, format!("unveil_paths: {shown} is not there, and no task starts without it"))
                    .advise(format!("make it, or write \"?{mode}:{shown}\"")),
            );
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::capability::Capabilities;
    use crate::policy::readiness::Verdict;
    use crate::policy::readiness::testing::{is, odd};

    #[test]
    fn blocks_and_their_names() {
        let names = ["docker", "exec2", "nomad-driver-exec2"].into_iter();
        is(&odd(named(names, "nomad-driver-exec2")), Verdict::Fail, "options", "plugin \"exec2\" is not");
        is(&odd(block(&[("max_pids = 9".into(), "a `b`")], &["seccomp: no".into()])), Verdict::Fail, "options", "seccomp: no");
        assert_eq!(block(&[("max_pids = 9".into(), "a `b`")], &[])[0].found, "max_pids = 9: a b");
        assert_eq!(block(&[], &[]).len(), 1);
    }

    #[test]
    fn options_that_open_the_host() {
        let judge = |options: PluginOptions| odd(super::options(&options, |path| path == Path::new("/there")));
        let caps = Capabilities::parse(&["all"]).unwrap();
        let paths = |path: &str| PluginOptions {
            unveil_paths: vec![path.into(), "r:/there".into(), "?r:/gone".into()],
            ..PluginOptions::default()
        };
        for (options, verdict, found) in [
            (PluginOptions { allow_caps: caps, ..PluginOptions::default() }, Verdict::Warn, "sys_admin and dac_read_search"),
            (PluginOptions { seccomp: false, ..PluginOptions::default() }, Verdict::Warn, "seccomp"),
            (paths("r:/"), Verdict::Warn, "r:/ opens all"),
            (paths("r:/gone"), Verdict::Fail, "/gone is not there"),
        ] {
            is(&judge(options), verdict, "options", found);
        }
    }
}
