//! The page, the API and the stream, for those who may see them.
//!
//! ```text
//!  TCP ─► handshake (TLS) ─┐
//!                          ├─► accept: limits ─► access: Host, Origin, right ─► routes ─► live, history, tree
//!  control.sock ───────────┘                                                      └─► stream ─► viewers
//! ```
//!
//! # Invariants
//!
//! - Nothing is answered before the request was judged by [`access`]: what it is
//!   called by, where it comes from, and which right it has.
//! - Every error is JSON with a code and a sentence that says what to do. The only
//!   exceptions are requests that are not HTTP, or whose head is over 64 KiB:
//!   they get a bare status and are cut off.
//! - Whoever has shown no right takes places from nobody who has, as long as these
//!   come from elsewhere ([`strangers`]).
//! - Every connection, head, frame, answer and wait has a limit; what is refused
//!   because of one is counted.
//! - No viewer is waited for, but by its own task, and by that for 10 s.
//! - No other module names warp, and `views` holds the only shapes of answers.
//! - Absent: HTTP/2, and any certificate but those of the files that are named.

mod accept;
mod access;
mod actor;
mod alert_views;
mod alerts;
mod answers;
mod assets;
mod complaints;
mod context;
mod enrol;
mod enrol_views;
mod handshake;
mod history_view;
mod ingest;
mod ingest_views;
mod listener;
pub mod messages;
mod metrics;
mod query;
mod removal;
mod reply;
mod routes;
mod seen;
mod servers;
mod sharing;
mod strangers;
mod stream;
mod targets;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod upkeep;
mod views;
mod watch;

pub use access::Names;
pub use actor::{HttpActor, HttpArguments};
pub use assets::Assets;
pub use listener::{HttpError, Listener, bind, bind_control};
pub use tls::Tls;
pub use token::Token;
