//! The calls about one task, as calls to the task room and back.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::policy::exit::ExitResult;
use crate::policy::signal::Signal;
use crate::task::{Ended, Start, Started, Status, TaskError};

use super::methods::*;
use super::reply::{Answer, Reply};
use super::services::Services;
use super::state::Plugin;
use super::wire::driver::*;
use super::wire::task::{TaskConfig, TaskDriverStatus, TaskHandle, TaskState, TaskStatus};
use super::{clock, decode, exit, status};

/// Of the handle that Nomad stores; 0 would mean none.
const HANDLE_VERSION: i32 = 1;
/// Of what the handle's driver_state holds.
const DRIVER_STATE_VERSION: u32 = 1;

pub fn register(services: Services) -> Services {
    services
        .reply(&START_TASK, start)
        .reply(&RECOVER_TASK, recover)
        .reply(&WAIT_TASK, wait)
        .reply(&STOP_TASK, stop)
        .reply(&DESTROY_TASK, destroy)
        .reply(&SIGNAL_TASK, signal)
        .answer(&INSPECT_TASK, inspect)
}

fn failure(error: TaskError) -> grpcio::RpcStatus {
    match error.is_transient() {
        true => status::recoverable(error.to_string()),
        false => status::unknown(error.to_string()),
    }
}

fn start(plugin: &Plugin, mut request: StartTaskRequest, reply: Reply<StartTaskResponse>) {
    let Some(config) = request.task.take() else {
        return reply.send(Err(status::unknown("StartTask: the request has no task")));
    };
    let settings = plugin.settings();
    let start = match decode::request(&config) {
        Ok(request) => Start::Request { request: Box::new(request), options: settings.options.clone(), compute: settings.compute },
        Err(reason) if config.id.is_empty() => return reply.send(Err(status::unknown(reason))),
        Err(reason) => {
            let [id, alloc_dir, stdout, stderr] =
                [&config.id, &config.alloc_dir, &config.stdout_path, &config.stderr_path].map(String::clone);
            Start::Malformed { id, alloc_dir, logs: [stdout, stderr], reason }
        }
    };
    plugin.tasks.start(start, move |result| reply.send(result.map(|task| started(config, &task)).map_err(failure)));
}

/// The handle needs `config` even though the client knows it: without one it has "nothing to recover".
fn started(config: TaskConfig, task: &Started) -> StartTaskResponse {
    let handle = TaskHandle {
        version: HANDLE_VERSION,
        config: Some(config).into(),
        state: TaskState::RUNNING.into(),
        driver_state: driver_state(task),
        ..Default::default()
    };
    StartTaskResponse { handle: Some(handle).into(), ..Default::default() }
}

/// What finds the task again after a restart of the plugin; the rest is in the task's record. The client stores it unchanged, whereas it
/// stores the handle's configuration without the job's `config` block.
#[derive(Serialize, Deserialize)]
struct DriverState {
    version: u32,
    record: PathBuf,
}

fn driver_state(task: &Started) -> Vec<u8> {
    let state = DriverState { version: DRIVER_STATE_VERSION, record: task.record.clone() };
    // Nomad would keep an empty state, and recovery refuse it.
    serde_json::to_vec(&state).unwrap_or_default()
}

/// The record that a stored driver_state names.
fn record_of(state: &[u8]) -> Result<PathBuf, String> {
    match serde_json::from_slice::<DriverState>(state) {
        Ok(DriverState { version: DRIVER_STATE_VERSION, record }) => Ok(record),
        Ok(other) => Err(format!("driver_state is of version {}; this driver reads {DRIVER_STATE_VERSION}", other.version)),
        // The Go driver's is msgpack of a map with these names.
        Err(_) if contains(state, b"TaskConfig") && contains(state, b"StartedAt") => {
            Err("it was started by HashiCorp's Go exec2 driver, which this one can't take over: drain the node before changing drivers"
                .into())
        }
        Err(e) => Err(format!("driver_state is not this driver's: {e}")),
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The client leaves task_id empty here; the handle's configuration has the id.
fn recover(plugin: &Plugin, mut request: RecoverTaskRequest, reply: Reply<RecoverTaskResponse>) {
    let handle = request.handle.take().unwrap_or_default();
    let Some(config) = handle.config.as_ref().filter(|config| !config.id.is_empty()) else {
        return reply.send(Err(status::unknown("RecoverTask: the handle has no task")));
    };
    match record_of(&handle.driver_state) {
        Ok(record) => plugin.tasks.recover(&config.id, record, done(&reply)),
        Err(reason) => reply.send(Err(status::unknown(format!("task {}: {reason}", config.id)))),
    }
}

fn wait(plugin: &Plugin, request: WaitTaskRequest, reply: Reply<WaitTaskResponse>) {
    let later = reply.clone();
    let known = plugin.tasks.wait(&request.task_id, move |ended| {
        later.send(Ok(WaitTaskResponse {
            result: Some(exit::message(ended.result)).into(),
            err: ended.error.unwrap_or_default(),
            ..Default::default()
        }));
    });
    if known.is_err() {
        reply.send(Err(status::unknown(format!("task does not exist: {}", request.task_id))));
    }
}

/// A task that is not known is stopped: an error would make the client try five more times.
fn stop(plugin: &Plugin, request: StopTaskRequest, reply: Reply<StopTaskResponse>) {
    let signal = match request.signal.as_str() {
        "" => Signal::INT,
        // A task must be stoppable whatever its job says; at worst it takes the timeout.
        name => Signal::parse(name).unwrap_or_else(|error| {
            log::warn!(task_id = request.task_id.as_str(); "kill_signal: {error}; SIGINT is sent instead");
            Signal::INT
        }),
    };
    let timeout = clock::duration(request.timeout.as_ref());
    let later = done(&reply);
    if plugin.tasks.stop(&request.task_id, signal, timeout, later).is_err() {
        reply.send(Ok(StopTaskResponse::default()));
    }
}

fn destroy(plugin: &Plugin, request: DestroyTaskRequest, reply: Reply<DestroyTaskResponse>) {
    let later = done(&reply);
    if plugin.tasks.destroy(&request.task_id, request.force, later).is_err() {
        reply.send(Ok(DestroyTaskResponse::default()));
    }
}

fn signal(plugin: &Plugin, request: SignalTaskRequest, reply: Reply<SignalTaskResponse>) {
    let signal = match Signal::parse(&request.signal) {
        Ok(signal) => signal,
        Err(error) => return reply.send(Err(status::unknown(error.to_string()))),
    };
    let later = done(&reply);
    if plugin.tasks.signal(&request.task_id, signal, later).is_err() {
        reply.send(Ok(SignalTaskResponse::default()));
    }
}

/// Answers a call that has nothing to tell but success or failure.
fn done<R: Default + Send + 'static>(reply: &Reply<R>) -> impl FnOnce(Result<(), TaskError>) + Send + 'static {
    let reply = reply.clone();
    move |result| reply.send(result.map(|()| R::default()).map_err(failure))
}

fn inspect(plugin: &Plugin, request: InspectTaskRequest) -> Answer<InspectTaskResponse> {
    match plugin.tasks.inspect(&request.task_id) {
        Ok(status) => Ok(inspected(request.task_id, status)),
        // The words of Nomad's ErrTaskNotFound.
        Err(_) => Err(status::unknown("task not found for given id")),
    }
}

/// Result and times are always there: the client reads them without a check that they are.
fn inspected(id: String, status: Status) -> InspectTaskResponse {
    let (state, result, ended_at) = match status.ended {
        None => (TaskState::RUNNING, ExitResult::default(), None),
        Some(Ended { result, ended_at, .. }) => (TaskState::EXITED, result, Some(ended_at)),
    };
    let task = TaskStatus {
        id,
        name: status.name,
        state: state.into(),
        started_at: Some(clock::timestamp(Some(status.started.started_at))).into(),
        completed_at: Some(clock::timestamp(ended_at)).into(),
        result: Some(exit::message(result)).into(),
        ..Default::default()
    };
    let attributes = [("pid", status.started.pid), ("landlock.abi", status.started.landlock_abi)];
    let driver =
        TaskDriverStatus { attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_string())).into(), ..Default::default() };
    InspectTaskResponse { task: Some(task).into(), driver: Some(driver).into(), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn task() -> Started {
        Started { pid: 7, started_at: UNIX_EPOCH, landlock_abi: 6, record: "/run/x/a".into(), init: None }
    }

    fn inspect(ended: Option<Ended>) -> InspectTaskResponse {
        inspected(
            "a/t/1".to_owned(),
            Status { name: "t".to_owned(), alloc_id: "a".to_owned(), cgroup: "/c".into(), started: task(), ended },
        )
    }

    #[test]
    fn a_handle_holds_all_that_recovery_will_need() {
        let config = TaskConfig { id: "a/t/1".to_owned(), ..Default::default() };
        let handle = started(config.clone(), &task()).handle;
        assert_eq!((handle.version, handle.config.as_ref()), (1, Some(&config)));
        assert_eq!(record_of(&handle.driver_state), Ok("/run/x/a".into()));
    }

    #[test]
    fn a_state_that_is_not_ours_is_refused_in_words() {
        let go = b"\x84\xaaTaskConfig\xc0\xa9StartedAt\xc0\xa3PID\x07\xa6Cancel\xc0";
        for (state, want) in [
            (&go[..], "drain the node"),
            (b"", "driver_state is not this driver's"),
            (b"{\"version\":9,\"record\":\"/x\"}", "driver_state is of version 9"),
        ] {
            let error = record_of(state).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_running_task_has_a_result_and_both_times() {
        let answer = inspect(None);
        assert_eq!(answer.task.state, TaskState::RUNNING.into());
        assert!(answer.task.result.is_some() && answer.task.started_at.is_some());
        assert_eq!(answer.task.completed_at.seconds, -62_135_596_800);
        assert_eq!(answer.driver.attributes["pid"], "7");
    }

    #[test]
    fn an_ended_task_tells_how() {
        let result = ExitResult { exit_code: 137, signal: 9, oom_killed: true };
        let task = inspect(Some(Ended { result, ended_at: UNIX_EPOCH, error: None })).task;
        assert_eq!((task.result.exit_code, task.result.signal, task.result.oom_killed), (137, 9, true));
        assert_eq!((task.state, task.completed_at.seconds), (TaskState::EXITED.into(), 0));
    }
}
