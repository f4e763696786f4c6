//! Where commands start by default.

/// Where a command starts whose job says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultWorkDir {
    /// The directory `local` of the task's.
    #[default]
    Local,
    /// The task's own, of which `local` is one: as for released versions of the Go driver, exec and raw_exec.
    Task,
}

impl DefaultWorkDir {
    pub fn parse(word: &str) -> Option<DefaultWorkDir> {
        match word {
            "local" => Some(DefaultWorkDir::Local),
            "task" => Some(DefaultWorkDir::Task),
            _ => None,
        }
    }
}
