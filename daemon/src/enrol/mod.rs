//! Who may write for which servers: tokens, hashed, and how far each new machine has come with its own.
//!
//! ```text
//!  bartizan server add ─► http ─► add ──────► register ─StateChanges─► store (keys that begin with `t`)
//!  a machine with it ───► http, ingest ─► find, stored, refused ──┘
//! ```
//!
//! # Invariants
//!
//! - A token is seen once, by whoever makes it. What is kept, in memory and on disk, is its SHA-256.
//! - A token that was made, revoked or given another server is so on the disk before anybody hears of it.
//! - How far a machine has come is kept within seconds; a crash may cost these.
//! - Hubs of a group tell each other of their tokens, and all end with the same.
//! - A name has one token that counts. Another one is made only when that is asked for, and revokes the former.
//! - Whatever strangers send changes a counter, and the last error of at most one token: nothing grows by it.
//! - Absent: rights of people, and what servers send.

mod entry;
pub mod messages;
mod name;
mod port;
mod register;
mod secret;
mod sharing;
#[cfg(test)]
mod tests;

pub use entry::Enrolment;
pub use messages::{EnrolError, Grant, TokenFault};
pub use port::{Made, TokenPort};
pub use secret::token_id;
pub use sharing::{SharedToken, Shift};
