//! What a task executes: the paths to try, arguments, environment, working directory and limits.

use super::error::SpecError;
use super::ulimit::Ulimit;
use std::ffi::OsString;
use std::path::Path;

/// Where a command is looked for when its environment has no PATH; as execvp's with the administrator's directories.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Bytes of a path without its NUL, and of a name in it (linux/limits.h).
const PATH_MAX: usize = 4095;
const NAME_MAX: usize = 255;
/// Of a PATH, at the most.
const DIRECTORIES: usize = 256;

/// A command, complete but for its standard descriptors. No string of it holds a NUL.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Command {
    /// Paths to try in this order, as execvp does with PATH.
    pub paths: Vec<String>,
    pub argv: Vec<String>,
    /// Bytes, as a command line may hand on.
    pub env: Vec<(OsString, OsString)>,
    /// Absolute, in the task's view.
    pub work_dir: String,
    /// Set by init right before it executes the command.
    pub ulimits: Vec<Ulimit>,
}

impl Command {
    /// `name` is taken as it is when absolute, below `base` with a slash in it, and otherwise looked for in each directory of the
    /// environment's PATH.
    pub fn new(name: &str, args: &[String], env: Vec<(String, String)>, work_dir: String, base: &Path) -> Result<Command, SpecError> {
        let search = env.iter().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, path)| path);
        let paths = candidates(name, search, base)?;
        let bytes = env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Ok(Command { paths, argv: argv(name, args)?, env: bytes, work_dir, ulimits: Vec::new() })
    }

    /// As `new`, of a task: what is relative to its directory `base` is looked for in `local` there first, and a name that is in no directory of
    /// PATH as well, as Nomad's own drivers do.
    pub fn in_task(name: &str, args: &[String], env: Vec<(String, String)>, work_dir: String, base: &Path) -> Result<Command, SpecError> {
        let mut command = Command::new(name, args, env, work_dir, base)?;
        let local = base.join("local").join(name).to_string_lossy().into_owned();
        match (Path::new(name).is_absolute(), name.contains('/')) {
            (true, _) => {}
            (false, true) => command.paths.insert(0, local),
            (false, false) => command.paths.push(local),
        }
        Ok(command)
    }
}

fn candidates(command: &str, search: &str, base: &Path) -> Result<Vec<String>, SpecError> {
    if command.is_empty() {
        return Err(SpecError::NoCommand);
    }
    no_nul("command", command)?;
    // What no path can be; each directory of the PATH is to be joined with it.
    let longest = if command.contains('/') { PATH_MAX } else { NAME_MAX };
    if command.len() > longest {
        let reason = format!("its {} bytes are more than the {longest} that the kernel takes", command.len());
        return Err(SpecError::value("command", reason));
    }
    if command.contains('/') {
        return Ok(vec![base.join(command).to_string_lossy().into_owned()]);
    }
    let directories = search.split(':').count();
    if directories > DIRECTORIES || search.len() > DIRECTORIES * NAME_MAX {
        let reason = format!("its {directories} directories of {} bytes are too many to look for a command in", search.len());
        return Err(SpecError::value("env PATH", reason));
    }
    // An empty entry means the working directory, as in every shell.
    Ok(search.split(':').map(|dir| format!("{}/{command}", if dir.is_empty() { "." } else { dir })).collect())
}

/// The command's name as written, then its arguments.
fn argv(command: &str, args: &[String]) -> Result<Vec<String>, SpecError> {
    for (i, arg) in args.iter().enumerate() {
        no_nul(&format!("args[{i}]"), arg)?;
    }
    Ok(std::iter::once(command.to_string()).chain(args.iter().cloned()).collect())
}

fn no_nul(option: &str, value: &str) -> Result<(), SpecError> {
    match value.contains('\0') {
        true => Err(SpecError::value(option, format!("{value:?} holds a NUL"))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: &str = "/opt/nomad/alloc_mounts/a1-web";

    #[test]
    fn where_a_command_is_looked_for() {
        let base = Path::new(M);
        assert_eq!(candidates("/bin/x", "/a", base).unwrap(), ["/bin/x"]);
        assert_eq!(candidates("local/x", "/a", base).unwrap(), [format!("{M}/local/x")]);
        assert_eq!(candidates("x", "/a::/b", base).unwrap(), ["/a/x", "./x", "/b/x"]);
        assert_eq!(candidates("", "/a", base).unwrap_err(), SpecError::NoCommand);
        let found = |env: &[(&str, &str)]| {
            let env = env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            Command::new("x", &[], env, "/".into(), base).unwrap().paths
        };
        assert_eq!(found(&[("A", "/b"), ("PATH", "/c")]), ["/c/x"]);
        assert_eq!(found(&[]).first().map(String::as_str), Some("/usr/local/sbin/x"));
    }

    #[test]
    fn a_task_has_its_commands_in_local_too() {
        let found = |name: &str| {
            let env = vec![("PATH".to_string(), "/a:/b".to_string())];
            Command::in_task(name, &[], env, "/".into(), Path::new(M)).unwrap().paths
        };
        assert_eq!(found("x"), ["/a/x".into(), "/b/x".into(), format!("{M}/local/x")]);
        assert_eq!(found("bin/x"), [format!("{M}/local/bin/x"), format!("{M}/bin/x")]);
        assert_eq!(found("local/x"), [format!("{M}/local/local/x"), format!("{M}/local/x")]);
        assert_eq!(found("/bin/x"), ["/bin/x"]);
    }

    #[test]
    fn what_no_path_can_be() {
        let base = Path::new(M);
        let refused = |command: &str, path: &str| candidates(command, path, base).unwrap_err().to_string();
        assert_eq!(refused(&"x".repeat(256), "/a"), "command: its 256 bytes are more than the 255 that the kernel takes");
        assert_eq!(refused(&"/x".repeat(2048), "/a"), "command: its 4096 bytes are more than the 4095 that the kernel takes");
        assert_eq!(candidates(&"x".repeat(255), &":".repeat(255), base).unwrap().len(), 256);
        let words = "env PATH: its 257 directories of 256 bytes are too many to look for a command in";
        assert_eq!(refused("x", &":".repeat(256)), words);
        assert!(refused("x", &"/a".repeat(40_000)).starts_with("env PATH: its 1 directories of 80000 bytes"));
    }
}
