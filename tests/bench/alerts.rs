//! From a breach to a webhook and to a mailbox, beside Prometheus and Alertmanager in the same run.
//!
//! ```text
//!             ┌─ file ──► dial plugin ─► bartizan ──────────────────► sink /ours, mailbox ours
//!  one flip ──┤
//!             └─ text ──► exporter ◄─ Prometheus ─► Alertmanager ───► sink /theirs, mailbox theirs
//! ```
//!
//! Both read once a second; Prometheus evaluates once a second, Alertmanager waits for no group. Started by
//! `tests/bench/run`; prints figures, judges nothing.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up should stop")]

#[path = "alerts/peers.rs"]
mod peers;

use std::time::Duration;

use bartizan_tests::{
    Daemon, SEED, Setup,
    alerts::{attempts, list, number},
    dial::{self, Dials},
    mail::{DUTY, Mail, OPS},
    now_ms,
    sink::Sink,
};
use fastrand::Rng;
use peers::Peers;
use serde_json::Value;

/// How many breaches are measured; `BARTIZAN_FLIPS` names another number.
const FLIPS: usize = 60;

/// Longest that is waited for one notice, which is then missing from the figures.
const PATIENCE: Duration = Duration::from_secs(30);

/// From the breach to the arrival, in milliseconds, one for each breach.
#[derive(Default)]
struct Times {
    webhook: Vec<i64>,
    mailbox: Vec<i64>,
}

#[tokio::main]
async fn main() {
    let flips = std::env::var("BARTIZAN_FLIPS").ok().and_then(|text| text.parse().ok());
    let flips = flips.unwrap_or(FLIPS);
    let setup = Setup::new("").plugin(&dial::plugin());
    let (mail, sink) = (Mail::start().await, Sink::start().await);
    let mut dials = Dials::new(setup.folder(), "web-1");
    dials.turn("main", 1.0);
    setup.configure(&format!(
        "{}{}{}[contact.ops]\nemail = [\"{OPS}\"]\nwebhook = [\"{}\"]\n\n[[route]]\nnotify = [\"ops\"]\n",
        dials.server("1s"),
        dial::RULE,
        mail.channel(setup.folder()),
        sink.url("/ours"),
    ));
    let daemon = setup.start().await;
    dials.read(&daemon, "main", 1.0, 0).await;
    let mut peers = Peers::start(&setup, &mail, &sink).await;
    if peers.is_none() {
        eprintln!("no peer beside it: install prometheus and prometheus-alertmanager");
    }

    let mut random = Rng::with_seed(SEED);
    let (mut ours, mut theirs) = (Times::default(), Times::default());
    for flip in 0..=flips {
        // Random on purpose: the flip must fall anywhere between two readings.
        tokio::time::sleep(Duration::from_millis(random.u64(0..1_000))).await;
        // A new name each time: what comes and goes often is told in another way.
        let name = format!("d{flip}");
        let flipped = dials.turn(&name, 42.0);
        if let Some(peers) = &mut peers {
            peers.fire(&name);
        }
        ours.wait(&name, "/ours", OPS, flipped, &mail, &sink).await;
        if let Some(peers) = &mut peers {
            theirs.wait(&name, "/theirs", DUTY, flipped, &mail, &sink).await;
            peers.calm();
        }
        dials.turn(&name, 1.0);
        dials.read(&daemon, &name, 1.0, flipped).await;
        dials.take_away(&name);
        if flip == 0 {
            // Whoever starts slowly should not pay for it here.
            (ours, theirs) = (Times::default(), Times::default());
        }
    }
    eprintln!("{flips} breaches, everything at 1 s, nothing waits for a group; in ms");
    show("breach to webhook", &ours.webhook, &theirs.webhook);
    show("breach to mailbox", &ours.mailbox, &theirs.mailbox);
    let handed = handed_over(&daemon).await;
    for (way, times) in ["webhook", "email"].iter().zip(&handed) {
        let [median, p99] = [0.5, 0.99].map(|part| quantile(times, part));
        let count = times.len();
        eprintln!(
            "  sample to the channel, {way:<8}: median {median}, p99 {p99} of {count} (aim: p99 <= 50)"
        );
    }
}

impl Times {
    /// Waits for both arrivals that name this dial.
    async fn wait(
        &mut self,
        name: &str,
        path: &str,
        address: &str,
        flipped: i64,
        mail: &Mail,
        sink: &Sink,
    ) {
        let quoted = format!("\"{name}\"");
        let (mut hooked, mut mailed) = (None, None);
        let until = now_ms() + i64::try_from(PATIENCE.as_millis()).unwrap();
        while now_ms() < until && (hooked.is_none() || mailed.is_none()) {
            hooked = hooked.or_else(|| {
                let received = sink.received().into_iter().filter(|request| request.path == path);
                let mut named =
                    received.filter(|r| String::from_utf8_lossy(&r.body).contains(&quoted));
                named.next().map(|request| request.at_ms - flipped)
            });
            mailed = mailed.or_else(|| {
                let mut letters = mail.letters(address).into_iter();
                let named = letters.find(|letter| names(&letter.text, name));
                named.map(|letter| letter.arrived_ms - flipped)
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.webhook.extend(hooked);
        self.mailbox.extend(mailed);
    }
}

/// Whether a mail's text names this dial, and not only one whose name begins so.
fn names(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| word == name)
}

/// From the sample to the begin of the first attempt, by the API: webhook, then e-mail. A sample's time is that of its
/// turn, so that reading it counts too.
async fn handed_over(daemon: &Daemon) -> [Vec<i64>; 2] {
    let mut times = [Vec::new(), Vec::new()];
    let mut ids: Vec<_> =
        daemon.incidents("all").await.iter().map(|incident| number(&incident["id"])).collect();
    ids.sort_unstable();
    // The first one is left out, as it is above.
    for id in ids.into_iter().skip(1) {
        let incident = daemon.incident(id).await;
        let opened = incident["opened_ms"].as_i64().unwrap();
        for notice in list(&incident["notices"]).iter().filter(|notice| notice["what"] == "fired") {
            let way = usize::from(notice["way"] == "email");
            let first =
                attempts(notice).first().and_then(|attempt: &Value| attempt["at_ms"].as_i64());
            times[way].extend(first.map(|at| at - opened));
        }
    }
    times
}

fn show(what: &str, ours: &[i64], theirs: &[i64]) {
    for (name, times) in [("bartizan", ours), ("Prometheus + Alertmanager", theirs)] {
        let [median, p99] = [0.5, 0.99].map(|part| quantile(times, part));
        let count = times.len();
        eprintln!("  {what}, {name:<25}: median {median:>5}, p99 {p99:>5}, {count} arrived");
    }
    if !theirs.is_empty() && !ours.is_empty() {
        let ratio = |part| quantile(ours, part) as f64 / quantile(theirs, part) as f64;
        eprintln!("  {what}, ratio: median {:.2}, p99 {:.2}", ratio(0.5), ratio(0.99));
    }
}

/// The value that this part of all stays at or below; 0 of none.
fn quantile(times: &[i64], part: f64) -> i64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}
