//! A task's thread: from its start, or from taking it over, to its destroy. One thread follows another when the command runs.

use super::error::TaskError;
use super::kill::vacate;
use super::life::Life;
use super::order::{Order, Reply};
use super::record::Record;
use super::recover::{Found, Recovered, recover};
use super::register::{Register, Task};
use super::start::{Start, decide};
use super::start_log::StartLog;
use super::status::{Ended, Started};
use crate::launch::Plan;
use crate::lock::lock;
use crate::policy::event::Happening;
use crate::watch::cgroup::oom_kills;
use crate::watch::thread::spawn;
use std::path::Path;
use std::sync::Arc;

/// Name of a task's thread.
pub(super) const THREAD: &str = "task";

/// Runs a task to its destroy. `reply` is called once.
pub(super) fn run(tasks: &Arc<Register>, id: &str, task: &Arc<Task>, start: Start, reply: Reply<Started>) {
    let mut log = StartLog::of(&start);
    match begin(tasks, id, start, &mut log) {
        Ok((record, mut life)) => {
            (life.reply, life.log) = (Some(reply), log);
            live(tasks, task, record, life);
        }
        Err(error) => abandon(tasks, id, task, reply, error, log),
    }
}

/// Takes over the task of a record that another plugin made. `reply` is called once.
pub(super) fn resume(tasks: &Arc<Register>, id: &str, task: &Arc<Task>, record: &Path, reply: Reply<()>) {
    match recover(id, record, &tasks.launcher) {
        Ok(Recovered { record, status, subject, found }) => {
            *lock(&task.status) = Some(status);
            reply(Ok(()));
            match found {
                Found::Running(life) => live(tasks, task, record, *life),
                Found::Ended(left) => {
                    let (ended, oom) = left.end(id, &record);
                    if let Some(oom) = oom {
                        task.tell(&subject, Happening::OomKilled(oom));
                    }
                    if let Some(status) = &mut *lock(&task.status) {
                        status.ended = Some(ended.clone());
                    }
                    until_destroy(tasks, id, task, record, &ended);
                }
            }
        }
        Err(error) => {
            tasks.forget(id, task, &Ended::never());
            log::warn!(task_id = id; "not recovered: {error}");
            reply(Err(error));
        }
    }
}

fn begin(tasks: &Register, id: &str, start: Start, log: &mut Option<StartLog>) -> Result<(Record, Life), TaskError> {
    let launcher = &tasks.launcher;
    let spec = decide(start, launcher)?;
    let (record, exit) = Record::create(&spec.state_dir, id)?;
    let (mut expected, mut unheard) = (None, None);
    let held = log.as_mut().map_or(&mut unheard, |log| &mut log.held);
    let plan = vacate(&spec.cgroup).and_then(|()| Plan::new(launcher, &spec, record.directory(), exit, held));
    let launched = plan.and_then(|plan| {
        let oom_kills = oom_kills(&plan.cgroup);
        expected = spec.rules.denial_events.then(|| tasks.denials.expect(&tasks.ear));
        Ok((plan.launch()?, oom_kills))
    });
    match launched {
        Ok((launched, oom_kills)) => {
            let life = Life::new(spec, launched, oom_kills);
            if expected.is_some() {
                tasks.denials.attend(life.init(), &life.subject);
            }
            Ok((record, life))
        }
        Err(error) => {
            discard(id, record);
            Err(error.into())
        }
    }
}

/// Serves the task, until its command runs on this thread, and then on a new one: what it takes to start a task stays with a thread that
/// ends, in its stack and in its part of the allocator, and not beside every task for its life.
fn live(tasks: &Arc<Register>, task: &Arc<Task>, record: Record, mut life: Life) {
    while !life.runs() {
        if life.step(task, &record) {
            return end(tasks, task, record, life);
        }
    }
    let owned = (tasks.clone(), task.clone(), record, life);
    let launcher = Arc::clone(&tasks.launcher);
    if let Err((owned, _)) = spawn(THREAD, owned, until_end) {
        return until_end(owned);
    }
    launcher.make_ready();
}

/// Serves a task whose command runs to its end.
fn until_end((tasks, task, record, mut life): (Arc<Register>, Arc<Task>, Record, Life)) {
    while !life.step(&task, &record) {}
    end(&tasks, &task, record, life);
}

/// Init has ended. Keeps what there is to say of the task.
fn end(tasks: &Register, task: &Task, record: Record, mut life: Life) {
    let status = life.init_status();
    let ended = life.end(status, task, &record);
    tasks.denials.forget(life.init());
    let id = life.id.clone();
    if let Some(reply) = life.reply.take() {
        let error = life.failure(status);
        if error.is_denied() {
            task.tell(&life.subject, Happening::Denied(error.to_string()));
        }
        life.answer(&ended);
        discard(&id, record);
        return abandon(tasks, &id, task, reply, error, life.log.take());
    }
    if let Some(status) = &mut *lock(&task.status) {
        status.ended = Some(ended.clone());
        status.started.init = None;
    }
    life.answer(&ended);
    drop(life);
    until_destroy(tasks, &id, task, record, &ended);
}

/// Leaves no trace of a task that did not start.
fn abandon(tasks: &Register, id: &str, task: &Task, reply: Reply<Started>, error: TaskError, log: Option<StartLog>) {
    // Before anybody hears of it, who may start the next task with these logs.
    if let Some(log) = log {
        log.say(&error);
    }
    tasks.forget(id, task, &Ended::never());
    log::info!(task_id = id; "not started: {error}");
    reply(Err(error));
}

fn discard(id: &str, record: Record) {
    if let Err(e) = record.remove() {
        log::warn!(task_id = id; "{e}");
    }
}

/// A task that has ended, until it is forgotten.
fn until_destroy(tasks: &Register, id: &str, task: &Task, record: Record, ended: &Ended) {
    loop {
        let mut orders = task.take_orders().into_iter();
        while let Some(order) = orders.next() {
            match order {
                Order::Destroy { reply, .. } => {
                    let removed = record.remove();
                    tasks.forget(id, task, ended);
                    reply(removed.map_err(TaskError::from));
                    return orders.for_each(|order| order.after_end(ended));
                }
                other => other.after_end(ended),
            }
        }
        task.wake.wait();
    }
}
