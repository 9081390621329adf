//! The store: a log, sealed segments, and sled as their catalogue.
//!
//! ```text
//!                      ┌─► log ──────┬─► LogTail, what was appended, for whoever sends it on
//!                      │             │ full blocks
//!  StorePort ─► writer ┤             ▼
//!                      └─► heads ─► keeper ─► segments ─► sled
//!                            │                 │  ▲
//!                            │                 │  └ settler: small ones into large ones, and by the minute into by the hour
//!                            └──► StoreReader ◄┘
//! ```
//!
//! # Invariants
//!
//! - An acknowledged sample is in the log: it survives `kill -9`. A power cut
//!   costs at most a second, or the longest sync more where the disk stalls.
//! - What comes from elsewhere is acknowledged when it survives a power cut, and
//!   each sample of it is kept once, however often it is sent.
//! - Whoever reads along is given everything that was appended, once and in order,
//!   or is told that something is gone.
//! - Values come back bit for bit, and nothing is believed that has not passed
//!   its checksum.
//! - A number means the same series for as long as the folder lives.
//! - Whoever appends never waits, and whoever reads never makes a writer wait:
//!   the lock between them is held for as long as it takes to copy what a
//!   collector wrote within its last 64 frames.
//! - The folder stays under `store.max_bytes`: room is made before it is taken,
//!   and the oldest samples go first, then what they came to.
//! - What samples come to by the minute is kept from the moment they are sealed; whatever is cut, merged or killed,
//!   each sample counts once in every tier.
//! - A full disk takes the reserve first, then the oldest segments, then the oldest samples that wait.
//! - Everything but the sled folder explains itself; that folder is small, and
//!   can be rebuilt.
//! - The store knows no collector, server, viewer or alert.

mod absence;
mod access;
mod actor;
mod adopt;
mod arrival;
mod asked;
mod bucket;
mod checkpoint;
mod codec;
mod coder;
mod decimal;
mod delta;
mod disk;
#[cfg(test)]
mod disk_faults;
mod errands;
mod error;
mod few;
mod folder;
#[cfg(fuzzing)]
pub mod fuzz;
#[cfg(fuzzing)]
pub mod fuzz_seeds;
mod gaps;
mod groups;
mod heads;
mod held;
mod index;
mod index_page;
mod intake;
mod keeper;
mod kept_rows;
mod lanes;
mod latest;
mod log;
mod log_cursor;
mod merge;
pub mod messages;
mod numbers;
mod open;
mod pieces;
mod point;
mod points;
mod query;
mod reader;
mod recall;
mod record;
mod replay;
mod reserve;
mod retention;
mod rollup;
mod rollup_codec;
mod room;
mod rows;
mod runs;
mod sealed;
mod sealing;
mod segment;
mod segment_read;
mod settler;
mod settling;
mod shared;
mod sizes;
mod sled_state;
mod sources;
mod state;
mod state_port;
mod state_thread;
mod syncing;
mod table;
mod tail;
#[cfg(test)]
mod tests;
mod threads;
mod tier;
mod trouble;
pub mod upkeep;
mod wire;
mod writer;

pub use actor::{OpenedStore, StoreActor, StoreArguments, StoreState};
pub use error::StoreError;
pub use intake::{StoreIntake, StorePort};
pub use open::Store;
pub use reader::StoreReader;
pub use state_port::{StateChanges, StatePort};
pub use tail::{Appended, LogPlace, LogTail, Passage};
pub use tier::Tier;
