//! The services that go-plugin expects of every plugin process, and the standard health service.

use grpcio::{RpcStatus, RpcStatusCode};

use super::methods::{BROKER_START_STREAM, CONTROLLER_SHUTDOWN, HEALTH_CHECK, STDIO_STREAM};
use super::reply::Answer;
use super::server::Event;
use super::service::{Plugin, Services};
use super::wire::goplugin::Empty;
use super::wire::health::health_check_response::ServingStatus;
use super::wire::health::{HealthCheckRequest, HealthCheckResponse};

pub fn register(services: Services) -> Services {
    services
        // Ends this process, not the tasks.
        .answer_then(&CONTROLLER_SHUTDOWN, |_, _| Ok(Empty::default()), || Event::Shutdown)
        // Standard output and error stay with the agent, so there is nothing to stream, and no driver asks the broker for more
        // connections. Ended, both would be opened again at once.
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
