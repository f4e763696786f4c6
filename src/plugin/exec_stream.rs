//! ExecTaskStreaming: a command with its streams at the client. One thread a session, which waits in one poll(2) for the client as
//! well as for the command, so that neither can hold it up: what one side does not take is not read from the other.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_executor::block_on;
use futures_util::{SinkExt, Stream};
use grpcio::Error;

use crate::policy::exit::ExitResult;
use crate::task::Tasks;
use crate::watch::wake::Wake;

use super::exec_command::{Command, Next, Stdio};
use super::exit;
use super::services::Conversation;
use super::sink::{Line, put, ready};
use super::status;
use super::wire::driver::{ExecTaskStreamingIOOperation as Operation, ExecTaskStreamingRequest, ExecTaskStreamingResponse};

pub type Call = Conversation<ExecTaskStreamingRequest, ExecTaskStreamingResponse>;

/// The exit code of a command whose status nobody knows, because its task ended first.
const UNKNOWN: i32 = -1;

/// Bytes of a reason that reach the person at the CLI. The agent puts it, behind gRPC's own words, into the close frame of a websocket,
/// which has room for 123; a longer one it can't send, and the CLI says "unexpected EOF".
const BRIEF: usize = 123 - "rpc error: code = Unknown desc = ".len();

/// How a session ends other than by the end of its command.
enum Broken {
    /// For this reason, which the client is told.
    Refused(String),
    /// The client has gone away. Its sink must not be asked again.
    Gone,
}

/// Serves one session to its end.
pub fn serve(tasks: &Tasks, call: Call) {
    let wake = match Wake::new().map(Arc::new) {
        Ok(wake) => wake,
        Err(e) => return refuse(call, e.to_string()),
    };
    let mut client = Client { call, waker: Waker::from(wake.clone()), listens: true };
    match session(tasks, &mut client, &wake) {
        // Fails when the client has gone away: nobody is left to be told. The requests are dropped after that, or they would cancel it.
        Ok(()) => drop(block_on(client.call.sink.close())),
        Err(Broken::Refused(reason)) => refuse(client.call, reason),
        Err(Broken::Gone) => {}
    }
}

fn refuse(call: Call, reason: String) {
    if reason.len() > BRIEF {
        log::info!("alloc exec: {reason}");
    }
    let _ = block_on(call.sink.fail(status::unknown(brief(reason))));
    drop(call.requests);
}

/// A long reason without the errno before its words, and of that the beginning and the end.
fn brief(mut reason: String) -> String {
    const GAP: &str = " ... ";
    const END: usize = (BRIEF - GAP.len()) / 2;
    if reason.len() > BRIEF
        && let Some((what, (_, why))) = reason.split_once(": ").and_then(|(what, rest)| Some((what, rest.split_once("): ")?)))
    {
        reason = format!("{what}: {why}");
    }
    match reason.len() {
        ..=BRIEF => reason,
        all => {
            [&reason[..reason.floor_char_boundary(BRIEF - GAP.len() - END)], GAP, &reason[reason.ceil_char_boundary(all - END)..]].concat()
        }
    }
}

fn session(tasks: &Tasks, client: &mut Client, wake: &Arc<Wake>) -> Result<(), Broken> {
    let mut first = client.first(wake)?;
    let Some(setup) = first.setup.take() else {
        return Err(Broken::Refused("first message should always be setup".to_owned()));
    };
    let stdio = if setup.tty { Stdio::Terminal } else { Stdio::Pipes };
    let task = tasks.inspect(&setup.task_id).map_err(|e| Broken::Refused(e.to_string()))?;
    let mut command = Command::open(tasks, stdio, &task.started, wake).map_err(|e| Broken::Refused(e.to_string()))?;
    // A size that has come already is there when the command starts.
    client.requests(&mut command)?;
    client.is_free()?;
    command.start(tasks, &setup.task_id, setup.command).map_err(|e| Broken::Refused(e.to_string()))?;
    let outcome = attend(client, &mut command, wake);
    if outcome.is_err() {
        command.kill();
    }
    outcome
}

/// Copies in both directions until the command has ended and all it said has been sent.
fn attend(client: &mut Client, command: &mut Command, wake: &Wake) -> Result<(), Broken> {
    loop {
        wake.clear();
        let free = client.is_free()?;
        client.requests(command)?;
        // Outputs wait while the client is busy: a slow client slows the command.
        let mut until = None;
        if free {
            match command.next() {
                Next::Output(output, data) => {
                    client.send(said(output, Operation { data, ..Default::default() }))?;
                    continue;
                }
                Next::Closed(output) => {
                    client.send(said(output, Operation { close: true, ..Default::default() }))?;
                    continue;
                }
                Next::Ended(status) => return client.send(exited(status)),
                Next::Failed(reason) => return Err(Broken::Refused(reason)),
                Next::Nothing(time) => until = time,
            }
        }
        command.wait(free, until);
    }
}

/// The client looks at one kind of content per message only.
fn said(output: usize, operation: Operation) -> ExecTaskStreamingResponse {
    let operation = Some(operation).into();
    match output {
        0 => ExecTaskStreamingResponse { stdout: operation, ..Default::default() },
        _ => ExecTaskStreamingResponse { stderr: operation, ..Default::default() },
    }
}

fn exited(status: Option<i32>) -> ExecTaskStreamingResponse {
    let result = match status {
        Some(status) => ExitResult::from_wait_status(status, false),
        None => ExitResult { exit_code: UNKNOWN, ..ExitResult::default() },
    };
    ExecTaskStreamingResponse { exited: true, result: Some(exit::message(result)).into(), ..Default::default() }
}

/// The other side of a call.
struct Client {
    call: Call,
    /// The one waker of all that is asked of the call: grpcio keeps only the last for the call's end.
    waker: Waker,
    /// More requests may come.
    listens: bool,
}

impl Client {
    /// Whether it takes another message at the moment.
    fn is_free(&mut self) -> Result<bool, Broken> {
        match ready(&mut self.call.sink, &self.waker) {
            Line::Free => Ok(true),
            Line::Busy => Ok(false),
            Line::Dead => Err(Broken::Gone),
        }
    }

    /// To be called only when it is free.
    fn send(&mut self, message: ExecTaskStreamingResponse) -> Result<(), Broken> {
        if put(&mut self.call.sink, message) { Ok(()) } else { Err(Broken::Gone) }
    }

    /// Waits for the request that every session starts with.
    fn first(&mut self, wake: &Wake) -> Result<ExecTaskStreamingRequest, Broken> {
        loop {
            wake.clear();
            self.is_free()?;
            match self.request()? {
                Some(request) => return Ok(request),
                None if self.listens => wake.wait(),
                None => return Ok(ExecTaskStreamingRequest::default()),
            }
        }
    }

    /// The next request, if there is one already.
    fn request(&mut self) -> Result<Option<ExecTaskStreamingRequest>, Broken> {
        if !self.listens {
            return Ok(None);
        }
        match Pin::new(&mut self.call.requests).poll_next(&mut Context::from_waker(&self.waker)) {
            Poll::Pending => Ok(None),
            Poll::Ready(Some(Ok(request))) => Ok(Some(request)),
            Poll::Ready(Some(Err(Error::Codec(e)))) => Err(Broken::Refused(format!("a request is malformed: {e}"))),
            // Nomad's client never ends its requests; whether it has gone away is told by the sink.
            Poll::Ready(_) => {
                self.listens = false;
                Ok(None)
            }
        }
    }

    /// Does what has been requested, one piece of input at a time.
    fn requests(&mut self, command: &mut Command) -> Result<(), Broken> {
        command.input.write();
        while !command.input.is_pending() {
            let Some(request) = self.request()? else { break };
            take(request, command);
            command.input.write();
        }
        if !self.listens && !command.input.is_pending() {
            command.input.end();
        }
        Ok(())
    }
}

/// A request with nothing in it is a heartbeat.
fn take(mut request: ExecTaskStreamingRequest, command: &mut Command) {
    if let Some(size) = request.tty_size.as_ref() {
        let cells = |count: i32| u16::try_from(count.max(0)).unwrap_or(u16::MAX);
        command.resize(cells(size.height), cells(size.width));
    }
    if let Some(stdin) = request.stdin.take() {
        command.input.put(stdin.data);
        if stdin.close {
            command.input.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_message_always_has_a_result() {
        for (status, code, signal) in [(Some(43 << 8), 43, 0), (Some(9), 137, 9), (None, UNKNOWN, 0)] {
            let message = exited(status);
            assert!(message.exited && message.stdout.is_none() && message.stderr.is_none());
            assert_eq!((message.result.exit_code, message.result.signal), (code, signal));
        }
    }

    #[test]
    fn a_reason_fits_into_the_agents_close_frame() {
        assert_eq!(brief("x".repeat(90)), "x".repeat(90));
        let errno = "No such file or directory (ENOENT)";
        let why = brief(format!("command /srv/tools/bin/tool: {errno}: it needs its interpreter: /no/such is not there"));
        assert_eq!(why, "command /srv/tools/bin/tool: it needs its interpreter: /no/such is not there");
        let long = brief(format!("command tool: {errno}: not found in PATH ({}/last)", "/usr/local/bin, ".repeat(9)));
        assert!(
            long.starts_with("command tool: not found in PATH (/usr") && long.contains(" ... ") && long.ends_with(", /last)"),
            "{long}"
        );
        assert_eq!(long.len(), 90);
        let wide = brief("é".repeat(99));
        assert!(wide.len() <= 90 && wide.starts_with('é') && wide.ends_with('é'), "{wide}");
    }

    #[test]
    fn a_message_is_of_one_kind() {
        let close = || Operation { close: true, ..Default::default() };
        let (out, err) = (said(0, close()), said(1, close()));
        assert!(out.stdout.close && out.stderr.is_none() && !out.exited);
        assert!(err.stderr.close && err.stdout.is_none() && !err.exited);
    }
}
