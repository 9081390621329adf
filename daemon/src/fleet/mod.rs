//! The fleet: who is watched, each as a server actor.
//!
//! ```text
//!  configuration ──────────┐
//!  tokens ──describe──► FleetPort ──looked at each second──► FleetActor ──► a ServerActor each
//!  ingest ──arrived───► FleetPort ──one bounded channel each──────────────► its intake
//! ```
//!
//! # Invariants
//!
//! - The fleet is what the configuration says, and who has been enrolled or has written here, and after a change of
//!   either what the new one says: who is no longer named is stopped, who is new is started, who is unchanged is not
//!   touched.
//! - Who has written here once is known after a restart, so that its silence is noticed.
//! - What arrives waits for nobody, and nobody for it: what a server cannot take is dropped and counted. It is stored
//!   already.
//! - At most [`SERVERS_MAX`] servers are watched; what comes of more is counted, and named once.
//! - A server actor that keeps falling is quarantined and never takes the fleet along.
//! - Of servers that fall silent other hubs are asked, if the configuration names any, before they are offline. A hub
//!   that does not answer has no say, and is waited for by nobody.
//! - Hubs of a group know each other's tokens within seconds, so that an agent is let in by each.
//! - The actor sees no sample.

mod actor;
mod asking;
mod farewell;
mod inquiry;
mod keeping;
mod known;
mod membership;
mod messages;
mod peers;
mod port;
mod sharing;
#[cfg(test)]
mod tests;

pub use actor::{FleetActor, FleetArguments, Ports};
pub use messages::FleetMessage;
pub use port::{FleetPort, FleetStats, SERVERS_MAX};
