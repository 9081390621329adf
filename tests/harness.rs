//! What every scenario needs to treat the daemon as its users do: from outside.
//!
//! ```text
//!  Setup ─start─► Daemon ◄─HTTP── http, alerts
//!    │ folder       │    ◄─WebSocket── stream
//!    │              │    ◄─remote write── writer, in the words of wire; proxy and namespaces are bad lines
//!    │              ├─► /proc: process
//!    │              └─► people: mail and letter, smtp, kannel, sink; programs of others: peer
//!    ├ plugins: hostile, dial
//!    └ its disk: disk
//! ```
//!
//! # Invariants
//!
//! - Nothing here imports the daemon: what is tested is the program that was built.
//! - A scenario has a folder, a port and processes of its own; it ends no others.
//! - Waiting means looking for a condition until a deadline (see [`wait_for`]), never sleeping for luck.
//! - In one test program, one scenario runs at a time, since several promises are about time; but those that mostly
//!   wait share the machine ([`Setup::in_company`]).

#![expect(clippy::unwrap_used, reason = "a scenario that cannot be set up should stop")]

#[path = "harness/alerts.rs"]
pub mod alerts;
#[path = "harness/certificate.rs"]
pub mod certificate;
#[path = "harness/contents.rs"]
pub mod contents;
#[path = "harness/daemon.rs"]
mod daemon;
#[path = "harness/dial.rs"]
pub mod dial;
#[path = "harness/disk.rs"]
pub mod disk;
#[path = "harness/enrolment.rs"]
pub mod enrolment;
#[path = "harness/hostile.rs"]
pub mod hostile;
#[path = "harness/http.rs"]
pub mod http;
#[path = "harness/kannel.rs"]
pub mod kannel;
#[path = "harness/lane.rs"]
pub mod lane;
#[path = "harness/letter.rs"]
pub mod letter;
#[path = "harness/mail.rs"]
pub mod mail;
#[path = "harness/measured.rs"]
pub mod measured;
#[path = "harness/memory.rs"]
pub mod memory;
#[path = "harness/namespaces.rs"]
pub mod namespaces;
#[path = "harness/peer.rs"]
pub mod peer;
#[path = "harness/process.rs"]
pub mod process;
#[path = "harness/proxy.rs"]
pub mod proxy;
#[path = "harness/receivers.rs"]
pub mod receivers;
#[path = "harness/series.rs"]
mod series;
#[path = "harness/sink.rs"]
pub mod sink;
#[path = "harness/smtp.rs"]
pub mod smtp;
#[path = "harness/stream.rs"]
pub mod stream;
#[path = "harness/wire.rs"]
pub mod wire;
#[path = "harness/writer.rs"]
pub mod writer;

pub use certificate::Certificate;
pub use daemon::{Daemon, Finished, Setup, repository};
pub use series::{History, Point, longest_step_ms};

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longer than anything takes on a busy machine; what waits this long has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Seed of everything random in the scenarios, so that a failure comes again.
pub const SEED: u64 = 0xBA57_12A9;

/// Looks until there is something to see, and returns it with the time it took.
///
/// # Panics
///
/// When nothing came before `deadline`; the text names `what` was waited for.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> (T, Duration) {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return (seen, began.elapsed());
        }
        assert!(began.elapsed() < deadline, "waited {deadline:?} for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// How many rounds a long loop runs: `full` under `tests/run --long`, else `usual`.
pub fn rounds(usual: usize, full: usize) -> usize {
    if std::env::var_os("BARTIZAN_LONG").is_some() { full } else { usual }
}
