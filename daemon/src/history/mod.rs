//! What is older than what is here of a series, as others know it: who keeps what this node forwards answers by the
//! Prometheus query API (Prometheus, VictoriaMetrics, Mimir, Thanos).
//!
//! ```text
//!  question ─► store ─────────────────────────────► answer ─┐
//!                │ older than a series' oldest sample       ├─ join ─► told, with its sources
//!                └► plan ─► PromQL ─► caller ─HTTP─► reply ─┘
//! ```
//!
//! # Invariants
//!
//! - Others are asked only of a time before the oldest sample of a series here; what is here of it is never read
//!   elsewhere.
//! - Every answer says which part of it came from where.
//! - Nobody waits for long: there is a deadline, a limit on an answer's size, and on questions at one time; who has just
//!   failed is not asked again at once, and the answer says so; who finds one question too much is asked the next. What
//!   is here is served in any case, and marked as partial with the reason.
//! - Nothing of it is stored, judged or shown live.

mod caller;
mod join;
mod past;
mod plan;
mod promql;
mod reply;
#[cfg(test)]
mod tests;

pub use past::{Past, PastStats, Source, Stretch, Told};
