//! The root of the supervision tree, and what must be there before it grows.
//!
//! ```text
//!  open: state folder, store, socket      (a failure here is exit 1, with the fix)
//!    └─► root ─► store ─► plugin ─► alert ─► live ─► http ─► fleet ─► forward     stopped in reverse
//! ```
//!
//! # Invariants
//!
//! - Services start in this order, each once the former has started, and stop in
//!   reverse, each within its own limit; the whole takes five seconds at most.
//! - A service that falls more than three times in a minute ends the daemon with
//!   exit 70, and whoever started it (systemd) starts it again: nothing here
//!   pretends to work without a service.
//! - systemd hears READY once a sample is stored, and WATCHDOG only while every
//!   supervised actor meets its deadline.

mod actor;
mod adapters;
mod messages;
mod opened;
mod readiness;
mod run;
mod services;

pub use opened::StartError;
pub use run::{judge, run};
