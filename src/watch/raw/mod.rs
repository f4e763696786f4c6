//! What this process does for itself and the compiler can't check: raw calls that rustix has not, and what grpcio asks its caller to vouch for.
//! They look, or set what is its own; of a task they ask nothing.

pub mod grpc;
pub mod heap;
pub mod pidfd;
mod signal;
pub mod socket;
pub mod statmount;
