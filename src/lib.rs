
#![deny(unsafe_code)]

pub mod init;
pub mod policy;
#[allow(unsafe_code)]
pub mod sys;
