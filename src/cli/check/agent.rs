//! What of a Nomad agent concerns this plugin: from its command line, its configuration files, or what it says of itself.

use super::hcl;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The plugin as an agent's configuration names it: by its file in plugin_dir.
pub const PLUGIN: &str = "nomad-driver-exec2";

#[derive(Debug, Default, PartialEq)]
pub struct Agent {
    plugin_dir: Option<PathBuf>,
    pub data_dir: Option<PathBuf>,
    alloc_mounts_dir: Option<PathBuf>,
    /// The `config` of each plugin.
    pub plugins: BTreeMap<String, Map<String, Value>>,
}

impl Agent {
    /// Takes in a further file, whose values come before those of earlier ones, or the answer of /v1/agent/self.
    pub fn read(&mut self, text: &str) -> Result<(), String> {
        let file = hcl::parse(text)?;
        let (data_dir, plugin_dir, client, mounts) = match file.get("config").filter(|config| config.get("DataDir").is_some()) {
            Some(of_itself) => {
                for plugin in of_itself.get("Plugins").and_then(Value::as_array).into_iter().flatten() {
                    let name = plugin.get("Name").and_then(Value::as_str).unwrap_or_default();
                    self.plugin(name, blocks(plugin, "Config"));
                }
                let named = |name: &str| of_itself.get(name);
                (named("DataDir"), named("PluginDir"), blocks(of_itself, "Client"), "AllocMountsDir")
            }
            None => {
                for (name, plugin) in blocks(&file, "plugin").filter_map(Value::as_object).flatten() {
                    // Without labels in JSON, a block may be a list of itself.
                    let plugin = each(plugin).flat_map(|plugin| blocks(plugin, "config"));
                    self.plugin(name, plugin);
                }
                (file.get("data_dir"), file.get("plugin_dir"), blocks(&file, "client"), "alloc_mounts_dir")
            }
        };
        let path = |value: &Value| value.as_str().filter(|path| !path.is_empty()).map(PathBuf::from);
        self.data_dir = data_dir.and_then(path).or(self.data_dir.take());
        self.plugin_dir = plugin_dir.and_then(path).or(self.plugin_dir.take());
        self.alloc_mounts_dir = client.filter_map(|client| client.get(mounts)).find_map(path).or(self.alloc_mounts_dir.take());
        Ok(())
    }

    /// A later `config` that is not empty takes the place of an earlier one.
    fn plugin<'a>(&mut self, name: &str, config: impl Iterator<Item = &'a Value>) {
        let config: Map<String, Value> =
            config.filter_map(Value::as_object).flatten().map(|(name, value)| (name.clone(), value.clone())).collect();
        let known = self.plugins.entry(name.to_owned()).or_default();
        if !config.is_empty() {
            *known = config;
        }
    }

    /// What the command line says comes before all files.
    pub fn command(&mut self, line: &CommandLine) {
        self.data_dir = line.data_dir.clone().or(self.data_dir.take());
        self.plugin_dir = line.plugin_dir.clone().or(self.plugin_dir.take());
    }

    pub fn plugin_dir(&self) -> Option<PathBuf> {
        self.plugin_dir.clone().or_else(|| Some(self.data_dir.as_ref()?.join("plugins")))
    }

    /// In which the tasks' directories are.
    pub fn alloc_mounts_dir(&self) -> Option<PathBuf> {
        let beside = || Some(self.data_dir.as_ref()?.parent()?.join("alloc_mounts"));
        self.alloc_mounts_dir.clone().or_else(beside)
    }

    /// The options of this plugin; `None` where the configuration does not name it.
    pub fn options(&self) -> Option<&Map<String, Value>> {
        self.plugins.get(PLUGIN)
    }
}

/// A block once or in a list.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(values) => values.iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

fn blocks<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).into_iter().flat_map(each)
}

/// `nomad agent`, as far as it concerns this plugin.
#[derive(Debug, Default, PartialEq)]
pub struct CommandLine {
    /// Files and directories, in their order.
    pub configs: Vec<PathBuf>,
    data_dir: Option<PathBuf>,
    plugin_dir: Option<PathBuf>,
}

/// Reads /proc/PID/cmdline; paths are relative to `cwd`. `None`: it is no agent of Nomad's.
pub fn command_line(text: &str, cwd: &Path) -> Option<CommandLine> {
    let mut words = text.split('\0');
    let program = Path::new(words.next()?).file_name()?;
    if program != "nomad" || words.next()? != "agent" {
        return None;
    }
    let mut line = CommandLine::default();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--").or(word.strip_prefix('-')) else { continue };
        let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
        let mut path = || value.or_else(|| words.next()).map(|path| cwd.join(path));
        match name {
            "config" => line.configs.extend(path()),
            "data-dir" => line.data_dir = path(),
            "plugin-dir" => line.plugin_dir = path(),
            _ => {}
        }
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(texts: &[&str]) -> Agent {
        let mut agent = Agent::default();
        texts.iter().for_each(|text| agent.read(text).unwrap());
        agent
    }

    #[test]
    fn the_same_in_hcl_in_json_and_of_itself() {
        let hcl = "data_dir = \"/d\"\nclient { alloc_mounts_dir = \"/m\" }\nplugin \"nomad-driver-exec2\" { config { max_pids = 9 } }";
        let json =
            r#"{"data_dir": "/d", "client": {"alloc_mounts_dir": "/m"}, "plugin": {"nomad-driver-exec2": {"config": {"max_pids": 9}}}}"#;
        let lists = r#"{"data_dir": "/d", "client": [{"alloc_mounts_dir": "/m"}], "plugin": [{"nomad-driver-exec2": [{"config": [{"max_pids": 9}]}]}]}"#;
        let of_itself = r#"{"config": {"DataDir": "/d", "PluginDir": "", "Client": {"AllocMountsDir": "/m"},
                            "Plugins": [{"Name": "nomad-driver-exec2", "Args": null, "Config": {"max_pids": 9}}]}, "member": {}}"#;
        for text in [hcl, json, lists, of_itself] {
            let agent = read(&[text]);
            assert_eq!(agent.options(), json!({"max_pids": 9}).as_object(), "{text}");
            assert_eq!((agent.plugin_dir(), agent.alloc_mounts_dir()), (Some("/d/plugins".into()), Some("/m".into())), "{text}");
        }
    }

    #[test]
    fn later_files_come_before_earlier_ones() {
        let first = "data_dir = \"/d\"\nplugin \"nomad-driver-exec2\" { config { max_pids = 9 seccomp = \"off\" } }";
        let second = "plugin_dir = \"/p\"\nplugin \"nomad-driver-exec2\" { config { max_pids = 8 } }\nplugin \"other\" { }";
        let agent = read(&[first, second, "plugin \"nomad-driver-exec2\" { args = [] }"]);
        assert_eq!(agent.options(), json!({"max_pids": 8}).as_object());
        assert_eq!(agent.plugins.keys().collect::<Vec<_>>(), ["nomad-driver-exec2", "other"]);
        assert_eq!((agent.plugin_dir(), agent.alloc_mounts_dir()), (Some("/p".into()), Some("/alloc_mounts".into())));
        assert_eq!(Agent::default().plugin_dir(), None);
        assert!(Agent::default().read("a = ").is_err());
    }

    #[test]
    fn command_lines_of_agents() {
        let cwd = Path::new("/c");
        let text = "/usr/bin/nomad\0agent\0-dev\0-config\0a.hcl\0--config=/b\0-data-dir=/d\0-plugin-dir\0p\0";
        let line = command_line(text, cwd).unwrap();
        assert_eq!(line.configs, [Path::new("/c/a.hcl"), Path::new("/b")]);
        let mut agent = read(&["data_dir = \"/e\"\nplugin_dir = \"/f\""]);
        agent.command(&line);
        assert_eq!((agent.data_dir.clone(), agent.plugin_dir()), (Some("/d".into()), Some("/c/p".into())));
        for other in ["nomad\0job\0run\0", "/bin/sh\0agent\0", "", "nomad"] {
            assert_eq!(command_line(other, cwd), None, "{other:?}");
        }
    }
}
