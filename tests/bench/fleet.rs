//! Many servers on one hub, as fast as it goes, and past one hub; beside VictoriaMetrics and Prometheus in the same run.
//!
//! ```text
//!  many   10,000 simulated servers × 50 series at 10 s ─► each receiver; then 1,000 servers die at once
//!  rate   100,000 series as fast as it goes ─► one receiver after the other
//!  hubs   agents ─► three hubs, one of which is killed ─► one VictoriaMetrics, which has everything in the end
//! ```
//!
//! Started by `tests/bench/fleet`, with the names of parts or none for all; prints figures, judges nothing.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up should stop")]

#[path = "hub/hubs.rs"]
mod hubs;
#[path = "hub/many.rs"]
mod many;
#[path = "hub/rate.rs"]
mod rate;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let parts = std::env::var("BARTIZAN_FLEET").unwrap_or_default();
    let wanted = |part| parts.is_empty() || parts.split(' ').any(|named| named == part);
    if wanted("many") {
        many::run().await;
    }
    if wanted("rate") {
        rate::run().await;
    }
    if wanted("hubs") {
        hubs::run().await;
    }
}

/// A number from the environment, or the usual one.
fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
