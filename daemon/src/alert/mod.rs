//! From a level to a person: incidents, routes, notices, and the ways by which they leave.
//!
//! ```text
//!  servers ─Transition─► engine ─► ledger: book ─► routes ─► outbox
//!                          │  ▲                                │ kept, then given
//!                          │  └──────────── verdict ──── courier (an actor per way) ─► e-mail, SMS, webhook
//!                          └─► live
//! ```
//!
//! # Invariants
//!
//! - A notice is kept before it is sent: the incident's change and its notices are one change of the state. A
//!   `kill -9` loses no notice; at worst one that was being sent is sent twice, under the same name.
//! - A notice is tried until it is taken, refused for good, or a day old; every attempt is in its ledger.
//! - Each way has an actor of its own: a dead mail server delays no SMS, and nobody's samples.
//! - Nothing is sent because the daemon stopped or started. What began or ended while it was not running is told
//!   once, and marked so.
//! - Incidents and notices outlive the actor, and what they are is decided without it: [`ledger`] and what is
//!   below it wait for nothing.

mod actor;
mod archive;
mod book;
pub mod channels;
mod courier;
mod desk;
mod engine;
mod failure;
mod flapping;
mod incident;
mod keeping;
mod ledger;
pub mod messages;
mod notice;
mod outbox;
mod pending;
mod progress;
mod retry;
mod routes;
mod rows;
mod shared;
#[cfg(test)]
mod tests;
pub mod text;
mod trial;

pub use actor::{AlertActor, AlertArguments};
pub use shared::Alert;

use incident::{Event, Incident, IncidentId, IncidentState};
use notice::{Attempt, News, Notice, NoticeId, NoticeState, Outcome, Way, What};
