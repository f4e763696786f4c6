//! What is told about tasks to whoever listens: the plugin hands it on to Nomad.

use crate::lock::lock;
use crate::policy::event::{Happening, Oom};
use crate::sys::cgroup::Cgroup;
use crate::watch::cgroup::oom_kills;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

/// Something that happened to a task.
#[derive(Clone, Debug)]
pub struct TaskEvent {
    pub task_id: String,
    pub alloc_id: String,
    pub task_name: String,
    pub at: SystemTime,
    pub what: Happening,
}

pub(super) type Listener = Arc<dyn Fn(TaskEvent) + Send + Sync>;

/// Who listens to the tasks of one register, if anybody.
#[derive(Default)]
pub(super) struct Ear(Mutex<Option<Listener>>);

impl Ear {
    pub fn listen(&self, listener: Listener) {
        *lock(&self.0) = Some(listener);
    }

    pub fn tell(&self, subject: &Subject, what: Happening) {
        let listener = lock(&self.0).clone();
        if let Some(listener) = listener {
            let Subject { task_id, alloc_id, task_name } = subject.clone();
            listener(TaskEvent { task_id, alloc_id, task_name, at: SystemTime::now(), what });
        }
    }
}

/// Whose events these are, in Nomad's terms.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub task_id: String,
    pub alloc_id: String,
    pub task_name: String,
}

/// Whether the OOM killer took anything of a task; `before` is what the cgroup had counted when the task started.
pub(super) fn oom(cgroup: &Cgroup, before: u64) -> Option<Oom> {
    let processes = oom_kills(cgroup).checked_sub(before).filter(|kills| *kills > 0)?;
    // memory.max is a word where there is no limit.
    let number = |file| cgroup.read(file).ok().and_then(|text| text.trim().parse().ok());
    Some(Oom { processes, limit: number("memory.max"), peak: number("memory.peak") })
}
