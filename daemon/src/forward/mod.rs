//! Forward: what this node stores goes on to others, by Prometheus remote write, from a durable cursor over the store.
//!
//! ```text
//!  store's log ─tail─► tidings ─► encoder ─► line ──one batch in flight──► hub, VictoriaMetrics, Mimir, Thanos, Prometheus
//!                      (gaps)     (1.0, 2.0)   │ ◄────── verdict ─────────
//!                                              ▼
//!                                    cursor (state, `w…`)
//! ```
//!
//! # Invariants
//!
//! - The store is the send buffer: nothing waits here but the batch in flight, and a target that was away for a day is
//!   filled in the order in which things were stored. What the store had to delete before it was sent is counted, and
//!   leaves a gap with that reason.
//! - The cursor moves only over what was acknowledged, refused for good and counted, or not wanted. After a crash the
//!   last second may be sent twice; a receiver knows series and time.
//! - One batch is in flight to a target at most. Targets know nothing of each other: a slow one holds up nobody.
//! - A 2xx to version 2.0 counts only with the header that proves it understood; else the target is spoken to in 1.0.
//! - What is not a number travels as series: `bartizan_collector_state` and `bartizan_gap`.
//! - Certificates are verified, no redirect is followed, no proxy is asked, and no secret is said or logged.
//! - Here is no knowledge of servers, collectors or alerts beyond their names.

mod actor;
mod cache;
mod caller;
mod cursor;
mod encoder;
mod figures;
mod hubs;
mod labels;
mod line;
mod log;
mod lookout;
pub mod messages;
mod metadata;
mod pace;
mod parcel;
mod post;
mod protobuf;
mod target;
#[cfg(test)]
mod tests;
mod tidings;
mod verdict;
mod version_1;
mod version_2;

pub use actor::{ForwardActor, ForwardArguments};
pub use cursor::Cursors;
pub use figures::ForwardPort;
pub use messages::ForwardMessage;
