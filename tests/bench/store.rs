//! What the store costs on the disk, in CPU time and in memory, and how soon it answers; beside VictoriaMetrics and
//! Prometheus in the same run.
//!
//! ```text
//!  size   copies of a recorded trace, as fast as they are taken ─► one receiver after the other ─► sealed ─► kill -9
//!  ask    the trace repeated over a month ─► one receiver after the other ─► questions
//! ```
//!
//! Started by `tests/bench/store`, with the names of parts or none for all; prints figures, judges nothing.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up should stop")]

#[path = "stores/ask.rs"]
mod ask;
#[path = "stores/sealing.rs"]
mod sealing;
#[path = "stores/size.rs"]
mod size;
#[path = "stores/trace.rs"]
mod trace;

use bartizan_tests::{Setup, measured::Receiver};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let parts = std::env::var("BARTIZAN_STORE").unwrap_or_default();
    let wanted = |part| parts.is_empty() || parts.split(' ').any(|named| named == part);
    if wanted("size") {
        size::run().await;
    }
    if wanted("ask") {
        ask::run().await;
    }
}

/// The receivers of this number, each in the folder of `setup`: ours, VictoriaMetrics, Prometheus.
async fn receiver(which: usize, setup: &Setup) -> Option<Receiver> {
    match which {
        0 => Some(Receiver::ours(setup).await),
        1 => Receiver::victoria(setup.folder()).await,
        _ => Receiver::prometheus(setup.folder()).await,
    }
}

/// A number from the environment, or the usual one.
fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
