//! The fleet: who is monitored, each as a server actor.
//!
//! # Invariants
//!
//! - The fleet is what the configuration says, and after a reload what the new
//!   one says: who is no longer named is stopped, who is new is started, who is
//!   unchanged is not touched.
//! - A server actor that keeps falling is quarantined and never takes the fleet along.
//! - Sees no sample.

mod actor;
mod membership;
mod messages;

pub use actor::{FleetActor, FleetArguments, Ports};
pub use messages::FleetMessage;
