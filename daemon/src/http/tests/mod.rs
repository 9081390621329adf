//! Drives the server over real sockets, with fakes of what stands behind it.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

mod access;
mod alerts;
mod enrol;
mod limits;
mod past;
mod requests;
mod rig;
mod streams;
mod tls;
