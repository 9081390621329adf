//! What happens now, for whoever watches.
//!
//! ```text
//!  servers ─LiveUpdate─► bounded channel ─► board ─► one table a topic ─► frames ─► viewers
//! ```
//!
//! The board knows the latest value of every series. Once a second, shortly
//! after the wall clock's second, the actor raises the one sequence number `seq`
//! and brings the table of every followed topic up to date. Each cell remembers
//! the `seq` of its last change, so that a viewer needs no queue: what it lacks
//! is what changed after the `seq` that it has seen, and the latest value wins.
//!
//! # Invariants
//!
//! - Nothing here waits for a viewer, and no viewer for another one. A viewer
//!   costs two numbers a topic, however far it falls behind.
//! - A topic that nobody follows costs nothing, but for the minute after its last
//!   viewer has left, in which that viewer may resume.
//! - The delta from one `seq` to another is encoded once, whoever asks for it.
//! - A value older than three intervals is unknown, whether or not anything
//!   arrives. JSON has no NaN: neither has a cell.
//! - What is known outlives the actor: servers tell their state only when it
//!   changes, so a restarted actor goes on with the same board.
//! - Absent: history (that is the store's), sockets, and every name of HTTP.

mod actor;
mod board;
mod cell;
mod exporters;
pub mod messages;
mod rows;
mod shared;
mod subscription;
mod table;
#[cfg(test)]
mod tests;
mod topic;
mod wall;

pub use actor::{LiveActor, LiveArguments};
pub use shared::{Live, LiveReader, LiveStats, ServerView};
pub use subscription::{Resume, Subscription};
pub use topic::{Topic, TopicError};
