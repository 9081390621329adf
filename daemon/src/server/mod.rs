//! One monitored machine: its collectors, its health, and the way of its samples.
//!
//! ```text
//!  collectors ──reports──► intake ──batch──► store
//!                            │  ◄──── ack ──────┘
//!  what came from elsewhere ─►
//!   and is stored already    │
//!                            ├──judged by the sentinel──► alert
//!                            ├──samples, gaps──► live
//!                            └──who was heard──► ServerActor ──state──► live
//! ```
//!
//! # Invariants
//!
//! - What a viewer is shown has been acknowledged by the store, or the store has
//!   had its time ([`ACK_LIMIT`]): a slow disk holds up nobody.
//! - A collector's silence begins a gap with its first missed slot, and ends it
//!   with its next samples; the reason travels with it.
//! - What comes in is judged before it is stored: no alarm waits for a disk. Only what has changed leaves for the
//!   alert actor, and nothing of it is dropped while that one is busy.
//! - Samples never pass the actor's mailbox; it hears only who was heard.
//! - What comes from elsewhere is judged and shown while it is of the present, not older than three intervals by the
//!   clock of whoever read it, as far as that is known. What is older has been stored, and cries no wolf.
//! - Nobody is offline for not writing before it has been measured how often he writes: until then who is silent is
//!   unknown, and it is said why.
//! - One that another hub hears of is not offline here, and nothing of it is: it writes to that hub now.
//! - The state (`up`, `degraded`, `unknown`, `offline`) is judged by the actor's
//!   own timer, so that silence is noticed though nothing arrives.

mod actor;
mod arrivals;
mod collector_health;
mod elsewhere;
mod health;
mod intake;
mod messages;
mod readers;
mod silence;
mod skew;
#[cfg(test)]
mod tests;
mod watch;

pub use actor::{ServerActor, ServerArguments};
pub use arrivals::{ArrivalPort, Sighting};
pub use intake::ACK_LIMIT;
pub use messages::{Arrived, Heard, HeardOf, ServerMessage};
