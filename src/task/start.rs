//! What to start, and how it is decided.

use super::accounts::Accounts;
use super::error::TaskError;
use super::node::landlock;
use super::remembered;
use crate::launch::Launcher;
use crate::policy::error::SpecError;
use crate::policy::request::{PluginOptions, TaskRequest};
use crate::policy::resources::Compute;
use crate::policy::spec::{Facts, TaskSpec, compile};
use crate::policy::user::User;
use crate::watch::limit;
use std::path::Path;

/// What to start.
pub enum Start {
    /// As Nomad asks for it: decided on the task's thread, which may read the user database.
    Request { request: Box<TaskRequest>, options: PluginOptions, compute: Compute },
    /// What can't be read: refused on the task's thread, which may wait for the reader of the task's log.
    Malformed { id: String, alloc_dir: String, logs: [String; 2], reason: String },
    /// Decided already.
    Spec(Box<TaskSpec>),
}

impl Start {
    pub(super) fn id(&self) -> &str {
        match self {
            Start::Request { request, .. } => &request.id,
            Start::Malformed { id, .. } => id,
            Start::Spec(spec) => &spec.id,
        }
    }

    /// The allocation's directory, and the FIFOs of standard output and error in it.
    pub(super) fn log(&self) -> Option<[&str; 3]> {
        match self {
            Start::Request { request, .. } => Some([&request.alloc_dir, &request.stdout_path, &request.stderr_path]),
            Start::Malformed { alloc_dir, logs: [stdout, stderr], .. } => Some([alloc_dir, stdout, stderr]),
            Start::Spec(_) => None,
        }
    }
}

/// Decides a task; on the task's thread.
pub(super) fn decide(start: Start, launcher: &Launcher) -> Result<TaskSpec, TaskError> {
    let (request, options, compute) = match start {
        Start::Spec(spec) => return Ok(*spec),
        Start::Malformed { reason, .. } => return Err(TaskError::Malformed(reason)),
        Start::Request { request, options, compute } => (request, options, compute),
    };
    let abi = landlock().map_err(TaskError::Node)?;
    let directory = Path::new(&request.alloc_dir).join(&request.name);
    let remembered = remembered::user(&directory)?;
    let user = User::of_task(&request.user, remembered.as_deref()).map_err(SpecError::from)?;
    let task = &request.options;
    let groups: Vec<&str> = task.group.iter().chain(&task.group_add).map(String::as_str).collect();
    let Accounts { passwd, group } = Accounts::of(&user, &groups)?;
    let host_env = |name: &str| std::env::var(name).ok();
    let capabilities = launcher.capabilities();
    let hard_limit = |resource| limit::of(resource).map_or(0, |(_, hard)| hard);
    let facts = Facts {
        abi,
        compute,
        capabilities,
        remembered: remembered.as_deref(),
        passwd: &passwd,
        group: &group,
        host_env: &host_env,
        hard_limits: &hard_limit,
    };
    let spec = compile(&request, &options, &facts)?;
    if let (User::Dynamic(_), None) = (user, &remembered)
        && let Err(e) = remembered::keep(&directory, &spec.privileges.identity.name)
    {
        log::warn!(task_id = request.id.as_str(); "{e}: once the client forgets this task's user, as by its own restart, it can't be started again");
    }
    Ok(spec)
}
