//! Commands that run in a task beside its own: script checks and template scripts (ExecTask), `alloc exec` (ExecTaskStreaming).

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::policy::exit::ExitResult;
use crate::task::Tasks;
use crate::watch::thread::spawn;
use crate::watch::wake::Wake;

use super::exec_command::{Command, Next, Stdio};
use super::exec_stream::{self, Call};
use super::methods::{EXEC_TASK, EXEC_TASK_STREAMING};
use super::reply::Reply;
use super::services::{Services, Taken};
use super::state::Plugin;
use super::wire::driver::{ExecTaskRequest, ExecTaskResponse, ExecTaskStreamingRequest, ExecTaskStreamingResponse};
use super::{clock, exit, status};

/// What ExecTask keeps of the output, from its end: as Nomad's exec driver does.
const TAIL: usize = 4096;
/// How long ExecTask waits for what it has killed.
const DYING: Duration = Duration::from_secs(2);
/// Name of a session's thread.
const THREAD: &str = "exec";

pub fn register(services: Services) -> Services {
    services.reply(&EXEC_TASK, exec).converse(&EXEC_TASK_STREAMING, stream)
}

fn stream(plugin: &Plugin, call: Call) -> Taken<ExecTaskStreamingRequest, ExecTaskStreamingResponse> {
    let tasks = plugin.tasks.clone();
    spawn(THREAD, call, move |call| exec_stream::serve(&tasks, call)).map_err(|(call, e)| Box::new((call, no_thread(&e))))
}

fn exec(plugin: &Plugin, request: ExecTaskRequest, reply: Reply<ExecTaskResponse>) {
    let timeout = clock::duration(request.timeout.as_ref());
    if timeout.is_zero() {
        return reply.send(Err(status::unknown("timeout: must be set and more than zero")));
    }
    let tasks = plugin.tasks.clone();
    let started =
        spawn(THREAD, (request, reply), move |(request, reply)| reply.send(collect(&tasks, request, timeout).map_err(status::unknown)));
    if let Err(((_, reply), e)) = started {
        reply.send(Err(no_thread(&e)));
    }
}

fn no_thread(error: &io::Error) -> grpcio::RpcStatus {
    status::unknown(format!("start the session's thread: {error}"))
}

/// Runs a command to its end, with the last of what it said.
fn collect(tasks: &Tasks, request: ExecTaskRequest, timeout: Duration) -> Result<ExecTaskResponse, String> {
    // A timeout beyond what the clock can count is none.
    let deadline = Instant::now().checked_add(timeout);
    let wake = Arc::new(Wake::new().map_err(|e| e.to_string())?);
    let task = tasks.inspect(&request.task_id).map_err(|e| e.to_string())?;
    let mut command = Command::open(tasks, Stdio::Merged, &task.started, &wake).map_err(|e| e.to_string())?;
    command.start(tasks, &request.task_id, request.command).map_err(|e| e.to_string())?;
    let mut tail = Vec::new();
    loop {
        wake.clear();
        match command.next() {
            Next::Output(_, bytes) => keep_last(&mut tail, &bytes),
            Next::Closed(_) => {}
            Next::Ended(Some(status)) => return Ok(response(tail, status)),
            Next::Ended(None) => return Err("the task ended before the command did".to_owned()),
            Next::Failed(reason) => return Err(reason),
            Next::Nothing(until) => command.wait(true, until.or(deadline)),
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) && command.is_running() {
            if !command.kill() {
                return Err(format!("the task's init did not start the command within its timeout of {timeout:?}"));
            }
            let limit = Instant::now() + DYING;
            loop {
                wake.clear();
                if !command.is_running() || Instant::now() >= limit {
                    break;
                }
                command.wait(false, Some(limit));
            }
            // It may have been killed before it was there, or never have been there.
            if let Next::Failed(reason) = command.next() {
                return Err(reason);
            }
            return Err(format!("the command did not end within its timeout of {timeout:?} and was killed"));
        }
    }
}

fn keep_last(tail: &mut Vec<u8>, bytes: &[u8]) {
    tail.extend_from_slice(bytes);
    tail.drain(..tail.len().saturating_sub(TAIL));
}

fn response(stdout: Vec<u8>, status: i32) -> ExecTaskResponse {
    // Always with a result: the client reads it without a check that it is there.
    let result = exit::message(ExitResult::from_wait_status(status, false));
    ExecTaskResponse { stdout, result: Some(result).into(), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_4096_bytes_are_kept() {
        let mut tail = Vec::new();
        let said: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        said.chunks(999).for_each(|chunk| keep_last(&mut tail, chunk));
        assert_eq!(tail, said[said.len() - TAIL..]);
    }

    #[test]
    fn an_answer_has_its_result() {
        let answer = response(b"x".to_vec(), 9);
        assert_eq!((answer.stdout.as_slice(), answer.stderr.len()), (&b"x"[..], 0));
        assert_eq!((answer.result.exit_code, answer.result.signal), (137, 9));
    }
}
