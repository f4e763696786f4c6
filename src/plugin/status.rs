//! Errors as gRPC statuses, in the forms that Nomad's client understands.
//!
//! UNAVAILABLE and CANCELLED are never used: the client takes them for the plugin's death.

use grpcio::{RpcStatus, RpcStatusCode};
use protobuf::Message;
use protobuf::well_known_types::any::Any;

use super::wire::status::Status;
use super::wire::structs::RecoverableError;

const RECOVERABLE: &str = "type.googleapis.com/hashicorp.nomad.plugins.shared.structs.RecoverableError";

/// A failure that trying again would not mend; Nomad fails the task without a local restart.
pub fn unknown(message: impl Into<String>) -> RpcStatus {
    RpcStatus::with_message(RpcStatusCode::UNKNOWN, message.into())
}

/// A method, or a part of one, that this version does not have.
pub fn unimplemented(method: &str) -> RpcStatus {
    RpcStatus::with_message(RpcStatusCode::UNIMPLEMENTED, format!("{method} is not supported by this version of the exec2 driver"))
}

/// A passing failure: Nomad applies the task's restart policy.
pub fn recoverable(message: impl Into<String>) -> RpcStatus {
    let code = RpcStatusCode::FAILED_PRECONDITION;
    let message = message.into();
    let detail = RecoverableError { recoverable: true, ..Default::default() };
    let details = detail.write_to_bytes().and_then(|value| {
        let status = Status {
            code: code.into(),
            message: message.clone(),
            details: vec![Any { type_url: RECOVERABLE.to_owned(), value, ..Default::default() }],
            ..Default::default()
        };
        status.write_to_bytes()
    });
    // Without details the client still gets the text, only as an unrecoverable failure.
    RpcStatus::with_details(code, message, details.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recoverable_status_carries_the_detail_nomad_looks_for() {
        let status = recoverable("clone3: EAGAIN");
        assert_eq!(status.code(), RpcStatusCode::FAILED_PRECONDITION);
        let rich = Status::parse_from_bytes(status.details()).unwrap();
        assert_eq!((rich.code, rich.message.as_str()), (9, "clone3: EAGAIN"));
        assert_eq!(rich.details[0].type_url, RECOVERABLE);
        assert_eq!(rich.details[0].value, [0x08, 0x01]);
    }

    #[test]
    fn a_plain_failure_has_no_detail() {
        let status = unknown("no such user");
        assert_eq!(status.code(), RpcStatusCode::UNKNOWN);
        assert!(status.details().is_empty());
    }
}
