//! A collector reads one plugin instance on a schedule and reports every slot.
//!
//! ```text
//!  schedule ──Tick──► CollectorActor ──why there is nothing──► ReportPort ──► server
//!                       │      ▲                                   ▲
//!                source │      │ Finished: the source comes home   │ samples
//!                       ▼      │                                   │
//!                  a task that waits for the plugin ───────────────┘
//! ```
//!
//! # Invariants
//!
//! - One slot, one report: samples, or the reason why there are none.
//! - One reading at a time. The source itself travels with the reading, so a
//!   second call cannot start before the first one has brought it home.
//! - A slot that passes while a reading is under way is skipped and reported;
//!   slots never pile up.
//! - Samples leave by the bounded [`ReportPort`], never by a mailbox.
//! - A collector names no server, store, alert or web type.

mod actor;
mod messages;
mod schedule;
#[cfg(test)]
mod tests;

pub use actor::{CollectorActor, CollectorArguments};
pub use messages::{CollectorMessage, Outcome, Report, ReportPort, Source};
pub use schedule::{Due, Schedule};
