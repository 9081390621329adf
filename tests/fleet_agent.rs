//! An agent and its hub: whatever happens to either and to the line between them, in the end the hub has exactly what
//! the agent has.
//!
//! ```text
//!  dial ─► agent's store ─► forward ─► bad line ─► hub's store
//!              ▲ kill -9                  ▲           ▲ kill -9
//! ```
//!
//! Both are asked for every sample of every series and for every gap, and the two answers are compared.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::time::{Duration, Instant};

use bartizan_tests::{
    DEADLINE, Daemon, SEED, Setup,
    contents::{Contents, agree},
    dial::{self, Dials, METRIC},
    enrolment, now_ms,
    proxy::{Line, Proxy},
    rounds, wait_for,
};
use fastrand::Rng;

/// How many readings the hub is away for, and how many of them in the long run.
const ROUNDS: (usize, usize) = (150, 3_600);

/// One reading.
const ROUND: Duration = Duration::from_millis(100);

/// After the last fault all is there by then: as long as the longest pause between two attempts, and a busy machine.
const CALM: Duration = Duration::from_secs(90);

const SERVER: &str = "edge-1";

/// What the hub watches itself: little, so that what it costs is what it receives.
const HUB: &str =
    "[[server]]\nname = \"hub\"\n\n[[server.collector]]\nplugin = \"load\"\ninterval = \"10s\"\n\n";

/// An agent, a hub, and the line between them.
struct Pair {
    hub: Daemon,
    agent: Daemon,
    line: Proxy,
    dials: Dials,
    stamp: f64,
    began_ms: i64,
    hub_setup: Setup,
    agent_setup: Setup,
}

impl Pair {
    /// Both are up, and the hub has the first samples.
    async fn start() -> Self {
        // Made first and so dropped last: it has the turn for both.
        let agent_setup = Setup::in_company("").plugin(&dial::plugin());
        let hub_setup = agent_setup.beside("");
        let line = Proxy::start(hub_setup.address).await;
        // The hub is known by the line's address too.
        let public = format!("[http]\npublic_url = \"http://{}\"\n\n", line.address);
        hub_setup.configure(&format!("{public}{HUB}"));
        let hub = hub_setup.start().await;
        let token = enrolment::add(&hub_setup, SERVER).await;
        let mut dials = Dials::new(agent_setup.folder(), SERVER);
        dials.turn("stamp", 0.0);
        let forward = enrolment::forward(&agent_setup, &token, &[line.address]);
        agent_setup.configure(&format!("{}{forward}", dials.server("100ms")));
        let began_ms = now_ms();
        let agent = agent_setup.start().await;
        hub.samples(SERVER, METRIC, began_ms, 3).await;
        Self { hub, agent, line, dials, stamp: 0.0, began_ms, hub_setup, agent_setup }
    }

    /// One reading's time, with a value of its own.
    async fn round(&mut self) {
        self.stamp += 1.0;
        self.dials.turn("stamp", self.stamp);
        tokio::time::sleep(ROUND).await;
    }

    async fn kill_agent(&mut self, away: Duration) {
        self.agent.kill();
        tokio::time::sleep(away).await;
        self.agent = self.agent_setup.start().await;
    }

    /// Waits until both have the same of all that was until now, and says how much that is.
    async fn agree(&self) -> Contents {
        let until = now_ms();
        // The reading of this moment has been stored.
        self.agent.samples(SERVER, METRIC, until, 2).await;
        let time = (self.began_ms, until);
        let (contents, took) = agree(&self.agent, &self.hub, SERVER, time, CALM).await;
        eprintln!(
            "{} samples and {} gaps are the same on both sides, {took:.1?} after the last fault",
            contents.samples.len(),
            contents.gaps.len()
        );
        contents
    }

    /// The hub has what the agent reads now, and says that it is up.
    async fn is_fresh(&self) {
        wait_for("fresh samples at the hub", DEADLINE, async || {
            let now = now_ms();
            let fresh = !self.hub.raw(SERVER, METRIC, now - 3_000).await.is_empty();
            let answer = self.hub.get("/servers").await;
            let servers = answer["servers"].as_array().unwrap();
            let state = servers.iter().find(|server| server["name"] == SERVER);
            (fresh && state.is_some_and(|server| server["state"] == "up")).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_was_away_gets_every_sample_once() {
    let mut pair = Pair::start().await;
    let mut random = Rng::with_seed(SEED);
    let rounds = rounds(ROUNDS.0, ROUNDS.1);

    // The hub is away all the time; the agent falls now and then.
    pair.hub.kill();
    let mut kills = [0, 1];
    for round in 0..rounds {
        pair.round().await;
        if random.usize(..60) == 0 || round == rounds / 2 {
            pair.kill_agent(Duration::from_millis(random.u64(0..500))).await;
            kills[0] += 1;
        }
    }
    // The hub comes and goes while it is being filled, and so does the agent.
    pair.hub = pair.hub_setup.start().await;
    let end = Instant::now() + ROUND * u32::try_from(rounds / 2).unwrap();
    while Instant::now() < end {
        for _ in 0..random.u32(3..15) {
            pair.round().await;
        }
        if random.bool() {
            pair.kill_agent(Duration::ZERO).await;
            kills[0] += 1;
        } else {
            pair.hub.kill();
            pair.round().await;
            pair.hub = pair.hub_setup.start().await;
            kills[1] += 1;
        }
    }
    let contents = pair.agree().await;
    pair.is_fresh().await;
    let stamps = stamps(&contents);
    let (seen, all) = (stamps.len(), pair.stamp as usize + 1);
    eprintln!(
        "{} kills of the agent, {} of the hub; {seen} of {all} stamps were read",
        kills[0], kills[1]
    );
    // While the agent is down nobody reads; most of the time it is up.
    assert!(seen > all / 3, "{seen} of {all} stamps");
    assert!(!contents.gaps.is_empty(), "a fallen agent leaves gaps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_line_loses_nothing_and_doubles_nothing() {
    let mut pair = Pair::start().await;
    let mut random = Rng::with_seed(SEED);
    let faults = [
        Line::Slow(Duration::from_millis(700)),
        Line::Narrow(400),
        Line::LosesAnswers,
        Line::Cuts(300),
        Line::Stalls,
        Line::Refuses,
        Line::HalfOpen,
    ];
    // Each once, in any order; in the long run again and again.
    for _ in 0..rounds(1, 24) {
        let mut order = faults;
        random.shuffle(&mut order);
        for fault in order {
            pair.line.line(fault);
            for _ in 0..random.u32(15..40) {
                pair.round().await;
            }
            pair.line.line(Line::Good);
            for _ in 0..random.u32(1..10) {
                pair.round().await;
            }
        }
    }
    let connections = pair.line.connections();
    let contents = pair.agree().await;
    pair.is_fresh().await;
    eprintln!("{connections} connections");
    let (seen, all) = (stamps(&contents).len(), pair.stamp as usize + 1);
    // The agent was up all the time, whatever became of the line; a busy machine reads late now and then.
    assert!(seen > all * 2 / 3, "{seen} of {all} stamps were read");
}

/// The stamps that were read, in order: none goes back.
fn stamps(contents: &Contents) -> Vec<u64> {
    let dial = contents.samples.iter().filter(|((name, _), _)| name.starts_with(METRIC));
    let mut stamps: Vec<u64> = dial.map(|(_, bits)| f64::from_bits(*bits) as u64).collect();
    assert!(stamps.is_sorted(), "a stamp came back");
    stamps.dedup();
    stamps
}
