//! What is left to the main thread: by handlers, whatever lives longer than its call; by tasks, what happens to them.

use grpcio::{DuplexSink, RequestStream, ServerStreamingSink};

use crate::task::TaskEvent;

use super::wire::driver::{DriverTaskEvent, FingerprintResponse, TaskStatsRequest, TaskStatsResponse};
use super::wire::goplugin::{ConnInfo, StdioData};

/// One message to the main thread. Those named like a method or a service hand over a stream that a client has opened there, to be held open.
pub enum Event {
    Fingerprint(ServerStreamingSink<FingerprintResponse>),
    TaskEvents(ServerStreamingSink<DriverTaskEvent>),
    TaskStats(TaskStatsRequest, ServerStreamingSink<TaskStatsResponse>),
    Stdio(ServerStreamingSink<StdioData>),
    Broker(RequestStream<ConnInfo>, DuplexSink<ConnInfo>),
    /// SetConfig has changed the settings.
    Configured,
    /// Something happened to a task.
    Task(TaskEvent),
    /// An open stream can be written again, or its client has gone. Which one is not said.
    Stirred,
    /// The same of the TaskStats stream with this key.
    StatsStirred(u64),
    /// The client has asked for the end of this process.
    Shutdown,
}
