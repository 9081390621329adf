//! Ingest takes in what others have measured: remote writes, JSON pushes, OTLP.
//!
//! ```text
//!  body ─► unpack ─► decoder ─► intake: identity, limits ─► frames, gaps ─► StorePort::arrive ─► FleetPort::arrived
//!                    write_v1, write_v2, push, otlp                            (durable)            (judged, shown)
//! ```
//!
//! # Invariants
//!
//! - Nothing is acknowledged before the store said that it survives a power cut.
//! - Nothing is written for a server that the writer may not write.
//! - Of a request with faults, what is fine is stored; what is not is counted by its reason, and the answer names it.
//! - Lengths that a body claims are checked before memory is taken for them, and a body that cannot be read to its
//!   end is refused as a whole.
//! - One token's requests are decoded one after another; those of another wait for nothing of theirs.
//! - A steady stream interns nothing: its series are known by a fingerprint of their labels.
//! - No stale marker becomes a value.
//! - Absent: HTTP. Ingest is given bodies and says what became of them.

mod account;
mod accounts;
mod allowance;
mod assembly;
mod fingerprint;
mod identity;
mod intake;
mod known;
pub mod messages;
mod metadata;
mod naming;
pub mod otlp;
mod pace;
mod port;
mod protobuf;
mod push;
mod refusal;
mod signals;
mod space;
pub mod summary;
#[cfg(test)]
mod tests;
mod unpack;
mod write_v1;
mod write_v2;

pub use messages::{Form, Outcome, Writer};
pub use port::Ingest;
pub use refusal::{Reason, Refusal};
pub use space::Room;
