//! Nomad task driver `exec2`: confined processes through direct Linux syscalls.

#![deny(unsafe_code)]

pub mod policy;
