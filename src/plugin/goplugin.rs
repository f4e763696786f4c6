//! The services that go-plugin expects of every plugin process, and the standard health service.

use grpcio::{RpcStatus, RpcStatusCode};

use super::event::Event;
use super::methods::{BROKER_START_STREAM, CONTROLLER_SHUTDOWN, HEALTH_CHECK, STDIO_STREAM};
use super::reply::Answer;
use super::services::Services;
use super::state::Plugin;
use super::wire::goplugin::Empty;
use super::wire::health::health_check_response::ServingStatus;
use super::wire::health::{HealthCheckRequest, HealthCheckResponse};

pub fn register(services: Services) -> Services {
    services
        // Ends this process, not the tasks.
        .answer_then(&CONTROLLER_SHUTDOWN, |_, _| Ok(Empty::default()), || Event::Shutdown)
        // Both are held open in silence: the agent reads standard output and error itself, and no driver asks the broker for more
        // connections.
        .hold(&STDIO_STREAM, Event::Stdio)
        .hold_duplex(&BROKER_START_STREAM, Event::Broker)
        .answer(&HEALTH_CHECK, check)
}

fn check(_: &Plugin, request: HealthCheckRequest) -> Answer<HealthCheckResponse> {
    match request.service.as_str() {
        "" | "plugin" => Ok(HealthCheckResponse { status: ServingStatus::SERVING.into(), ..Default::default() }),
        other => Err(RpcStatus::with_message(RpcStatusCode::NOT_FOUND, format!("unknown service {other:?}"))),
    }
}
