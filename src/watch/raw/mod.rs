//! Raw calls that this process makes for itself, where rustix has none: they look, or set what is its own. Of a task they ask nothing.

pub mod heap;
pub mod pidfd;
mod signal;
pub mod socket;
pub mod statmount;
