//! Messages generated from proto/ by proto/build.rs.

#![allow(warnings, clippy::all, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/wire/mod.rs"));
