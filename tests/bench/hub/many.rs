//! Ten thousand servers, each with a request of its own every ten seconds, sent to every receiver at the same time; and
//! then a thousand of them die at once.
//!
//! Prometheus is among the receivers in the long run only: with two cores the others would wait for it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bartizan_tests::{
    Daemon, Setup,
    http::{Answer, Failure},
    measured::{Cost, HUB, Receiver, megabytes, missing},
    now_ms, rounds,
    writer::{Template, Writer, of_a_server, value_of},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use super::number;

/// Each server writes so often.
const INTERVAL: Duration = Duration::from_secs(10);

/// Rounds in which every series is new, or nearly: they are told apart from what follows.
const WARM_UP: u32 = 3;

/// One of so many servers dies.
const DYING: usize = 10;

/// Longest that is waited until the dead are known.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one connection to one receiver has seen.
#[derive(Default)]
struct Seen {
    /// From the request to its answer, in microseconds.
    took: Vec<u32>,
    refused: u64,
    failed: u64,
    /// The first that was not answered as it should, in words.
    first: Option<String>,
}

/// What all senders share.
struct Shared {
    stop: AtomicBool,
    dead: AtomicBool,
    /// Milliseconds that the worst sender is behind its plan.
    behind: AtomicU64,
    began: Instant,
    servers: usize,
    series: usize,
    /// Counts towards the figures only once this is set.
    measured: AtomicBool,
}

/// The whole part.
pub(crate) async fn run() {
    let (servers, series) = (number("BARTIZAN_SERVERS", 10_000), number("BARTIZAN_SERIES", 50));
    let seconds = number("BARTIZAN_SECONDS", rounds(120, 600));
    let setup = Setup::new(HUB);
    let mut receivers = vec![Receiver::ours(&setup).await];
    receivers.extend(Receiver::victoria(setup.folder()).await);
    if rounds(0, 1) == 1 {
        receivers.extend(Receiver::prometheus(setup.folder()).await);
    }
    eprintln!(
        "{servers} servers x {series} series at {} s, the same to all at once",
        INTERVAL.as_secs()
    );
    missing(&receivers.iter().map(|receiver| receiver.name).collect::<Vec<_>>());

    let shared = Arc::new(Shared {
        stop: AtomicBool::new(false),
        dead: AtomicBool::new(false),
        behind: AtomicU64::new(0),
        began: Instant::now(),
        servers,
        series,
        measured: AtomicBool::new(false),
    });
    let senders = number("BARTIZAN_CONNECTIONS", files() / receivers.len()).min(servers);
    eprintln!("  {senders} connections to each");
    let sending: Vec<_> = (0..senders)
        .map(|sender| {
            let writers = receivers.iter().map(Receiver::writer).collect();
            tokio::spawn(send(shared.clone(), sender, senders, writers))
        })
        .collect();
    sleep(INTERVAL * WARM_UP).await;
    let warm: Vec<Cost> = receivers.iter().map(Receiver::cost).collect();
    shared.measured.store(true, Ordering::Relaxed);
    let measured = Instant::now();
    let wanted = Duration::from_secs(seconds as u64).saturating_sub(INTERVAL * WARM_UP);
    sleep(wanted.max(INTERVAL)).await;
    shared.measured.store(false, Ordering::Relaxed);
    let took = measured.elapsed().as_secs_f64();
    let costs: Vec<Cost> = receivers.iter().map(Receiver::cost).collect();

    shared.dead.store(true, Ordering::Relaxed);
    let died = now_ms();
    let known = receivers[0].daemon().unwrap();
    deaths(known, &shared, died).await;
    shared.stop.store(true, Ordering::Relaxed);
    let mut seen = gathered(sending, receivers.len()).await;

    eprintln!(
        "  {:<16} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8}",
        "over the steady",
        "% of core",
        "samples/",
        "resident",
        "most",
        "disk",
        "answer",
        "answer",
        "refused"
    );
    eprintln!(
        "  {:<16} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8}",
        format!("{took:.0} s"),
        "",
        "CPU-s",
        "MB",
        "MB",
        "MB",
        "p50 ms",
        "p99 ms",
        "/failed"
    );
    for (at, receiver) in receivers.iter().enumerate() {
        let (warm, cost, seen) = (&warm[at], &costs[at], &mut seen[at]);
        let spent = cost.cpu_seconds - warm.cpu_seconds;
        seen.took.sort_unstable();
        eprintln!(
            "  {:<16} {:>9.1} {:>9.0} {:>9.0} {:>9.0} {:>9.0} {:>9.1} {:>9.1} {:>4}/{}",
            receiver.name,
            100.0 * spent / took,
            (seen.took.len() * series) as f64 / spent,
            megabytes(cost.resident),
            megabytes(cost.peak),
            megabytes(cost.disk),
            seen.milliseconds(0.5),
            seen.milliseconds(0.99),
            seen.refused,
            seen.failed,
        );
        if let Some(first) = &seen.first {
            eprintln!("  {:<16} first fault: {first}", "");
        }
    }
    for (warm, receiver) in warm.iter().zip(&receivers) {
        eprintln!(
            "  {:<16} {:.1} s of CPU for the first {} s, in which all series are new",
            receiver.name,
            warm.cpu_seconds,
            (INTERVAL * WARM_UP).as_secs()
        );
    }
    let behind = shared.behind.load(Ordering::Relaxed);
    eprintln!(
        "  the sender was at most {behind} ms behind its plan (aim of ours: <= 100 % of a core, <= 1000 MB)"
    );
}

/// How many connections this process may have: an agent has one of its own, so it is better to have many.
fn files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    // What cannot be raised is as it was.
    let files = setrlimit(Resource::Nofile, raised).map_or(limit.current, |()| limit.maximum);
    usize::try_from(files.unwrap_or(u64::MAX)).unwrap_or(usize::MAX).saturating_sub(500)
}

/// Sends for every `senders`th server, each at its own moment of the interval; the same body to every receiver.
async fn send(
    shared: Arc<Shared>,
    sender: usize,
    senders: usize,
    mut writers: Vec<Writer>,
) -> Vec<Seen> {
    let own = (sender..shared.servers).step_by(senders);
    let mut templates: Vec<_> = own
        .map(|server| (server, Template::new(&of_a_server(&name(server), shared.series))))
        .collect();
    let mut seen: Vec<Seen> = writers.iter().map(|_| Seen::default()).collect();
    for round in 0_u32.. {
        for (server, template) in &mut templates {
            let part = *server as f64 / shared.servers as f64;
            let due = shared.began + INTERVAL * round + INTERVAL.mul_f64(part);
            sleep_until(due).await;
            if shared.stop.load(Ordering::Relaxed) {
                return seen;
            }
            if shared.dead.load(Ordering::Relaxed) && server.is_multiple_of(DYING) {
                continue;
            }
            let behind = u64::try_from(due.elapsed().as_millis()).unwrap();
            shared.behind.fetch_max(behind, Ordering::Relaxed);
            let body = template.at(now_ms(), |number| value_of(number, u64::from(round)));
            let measured = shared.measured.load(Ordering::Relaxed);
            let sent = writers.iter_mut().zip(&mut seen).map(|(writer, seen)| {
                let body = body.clone();
                async move {
                    let began = Instant::now();
                    let answer = writer.send(body).await;
                    seen.note(answer, began.elapsed(), measured);
                }
            });
            futures_util::future::join_all(sent).await;
        }
    }
    seen
}

/// Waits until every dead server is known to be offline, and says how long that took since its last sample.
async fn deaths(hub: &Daemon, shared: &Shared, died: i64) {
    let dead: BTreeSet<String> = (0..shared.servers).step_by(DYING).map(name).collect();
    let mut after: Vec<f64> = Vec::new();
    let mut known = BTreeSet::new();
    let until = Instant::now() + PATIENCE;
    while known.len() < dead.len() && Instant::now() < until {
        sleep(Duration::from_millis(500)).await;
        let answer = hub.get("/servers?state=offline").await;
        let now = now_ms();
        for server in answer["servers"].as_array().unwrap() {
            let name = server["name"].as_str().unwrap();
            if dead.contains(name) && known.insert(name.to_owned()) {
                let last = server["last_seen_ms"].as_i64().unwrap_or(died);
                after.push((now - last) as f64 / 1e3);
            }
        }
    }
    after.sort_by(f64::total_cmp);
    let (median, most) = (after.get(after.len() / 2), after.last());
    eprintln!(
        "  {} of {} servers that died at once are known to be offline, {:.1} s after their last sample (median), {:.1} s \
         at most (aim: all, <= 35 s); all were known {:.1} s after the death",
        known.len(),
        dead.len(),
        median.unwrap_or(&f64::NAN),
        most.unwrap_or(&f64::NAN),
        (now_ms() - died) as f64 / 1e3,
    );
}

/// What all senders have seen, for each receiver.
async fn gathered(sending: Vec<JoinHandle<Vec<Seen>>>, receivers: usize) -> Vec<Seen> {
    let mut all: Vec<Seen> = (0..receivers).map(|_| Seen::default()).collect();
    for sender in sending {
        for (all, seen) in all.iter_mut().zip(sender.await.unwrap()) {
            all.took.extend(seen.took);
            all.refused += seen.refused;
            all.failed += seen.failed;
            all.first = all.first.take().or(seen.first);
        }
    }
    all
}

impl Seen {
    fn note(&mut self, answer: Result<Answer, Failure>, took: Duration, measured: bool) {
        let fault = match answer {
            Ok(answer) if answer.status < 300 => {
                if measured {
                    self.took.push(u32::try_from(took.as_micros()).unwrap());
                }
                return;
            }
            Ok(answer) => {
                self.refused += 1;
                format!("{} {}", answer.status, answer.text())
            }
            Err(error) => {
                self.failed += 1;
                error.to_string()
            }
        };
        self.first.get_or_insert(fault);
    }

    /// What this part of all answers came within; they are sorted.
    fn milliseconds(&self, part: f64) -> f64 {
        let rank = (self.took.len() as f64 * part).ceil() as usize;
        self.took.get(rank.saturating_sub(1)).map_or(f64::NAN, |&took| f64::from(took) / 1e3)
    }
}

fn name(server: usize) -> String {
    format!("sim-{server:05}")
}
