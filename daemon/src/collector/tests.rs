//! Drives a collector with a scripted source and paused time.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{collections::VecDeque, time::Duration};

use ractor::Actor;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{CollectorActor, CollectorArguments, Outcome, Report, ReportPort, Source};
use crate::{
    plugin::{CollectError, InstanceState, Reading},
    series::{Sample, SeriesId},
    supervision::{ActorState, Tree},
};

#[tokio::test(start_paused = true)]
async fn a_slot_brings_its_samples_at_its_own_time() {
    let mut collector = collect([Step::Read(0.5), Step::Read(0.6)]).await;

    assert_eq!(collector.next().await, (1_000, samples(0.5)));
    assert_eq!(collector.next().await, (2_000, samples(0.6)));
}

#[tokio::test(start_paused = true)]
async fn a_failed_reading_is_reported_and_the_next_slot_tries_again() {
    let mut collector = collect([Step::Fail("no such device"), Step::Read(0.5)]).await;

    let reason = "plugin failed to read: no such device";
    assert_eq!(collector.next().await, (1_000, missed(reason)));
    assert_eq!(collector.state(), ActorState::Down);
    assert_eq!(collector.next().await, (2_000, samples(0.5)));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reading_skips_the_slots_it_covers_and_says_so() {
    let mut collector = collect([Step::Take(2_500), Step::Read(0.5)]).await;

    let reason = "plugin is still busy with an earlier slot";
    assert_eq!(collector.next().await, (2_000, missed(reason)));
    assert_eq!(collector.next().await, (3_000, missed(reason)), "one reason: one gap, one line");
    assert_eq!(collector.next().await, (1_000, samples(0.0)), "what was read has its own time");
    assert_eq!(collector.next().await, (4_000, samples(0.5)));
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_goes_down_is_reported_at_once_and_read_again_when_it_is_back() {
    let reason = "plugin host was killed by SIGKILL";
    let mut collector = collect([Step::Read(0.5), Step::Read(0.6)]).await;
    assert_eq!(collector.next().await, (1_000, samples(0.5)));

    collector.becomes(InstanceState::Down { reason: reason.into() });
    assert_eq!(collector.next().await, (1_001, missed(reason)), "between two slots");
    assert_eq!(collector.next().await, (2_000, missed(reason)));
    collector.becomes(InstanceState::Ready);
    assert_eq!(collector.next().await, (3_000, samples(0.6)));
    assert_eq!(collector.state(), ActorState::Up);
}

#[tokio::test(start_paused = true)]
async fn a_thing_this_machine_does_not_have_is_parked_and_not_missed() {
    let mut collector = collect([]).await;
    collector.becomes(InstanceState::Absent { reason: "no battery here".into() });

    let (_, outcome) = collector.next().await;
    assert_eq!(outcome, Outcome::Absent);
    assert_eq!(collector.state(), ActorState::Parked);
}

#[tokio::test(start_paused = true)]
async fn a_full_port_drops_and_counts_instead_of_waiting() {
    let (port, mut received) = ReportPort::new(1);
    for at_ms in [1, 2] {
        port.send(Report { collector: "load".into(), at_ms, outcome: samples(0.0) });
    }
    assert_eq!(port.dropped(), 1);
    assert_eq!(received.recv().await.unwrap().at_ms, 1);
}

/// One slot of the scripted source. An exhausted script hangs.
#[derive(Debug)]
enum Step {
    Read(f64),
    Fail(&'static str),
    Take(u64),
}

struct Script {
    steps: VecDeque<Step>,
    states: watch::Receiver<InstanceState>,
}

impl Source for Script {
    fn states(&self) -> watch::Receiver<InstanceState> {
        self.states.clone()
    }

    async fn collect(&mut self, _: i64) -> Result<Reading, CollectError> {
        let read = |value| Reading { samples: vec![sample(value)], ..Reading::default() };
        match self.steps.pop_front() {
            Some(Step::Read(value)) => Ok(read(value)),
            Some(Step::Fail(why)) => Err(CollectError::Retry(why.into())),
            Some(Step::Take(ms)) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(read(0.0))
            }
            None => std::future::pending().await,
        }
    }
}

fn sample(value: f64) -> Sample {
    Sample { series: SeriesId(0), value }
}

fn samples(value: f64) -> Outcome {
    Outcome::Samples(vec![sample(value)])
}

fn missed(reason: &str) -> Outcome {
    Outcome::Missed(reason.into())
}

/// A collector at work, seen from outside.
struct Collector {
    reports: mpsc::Receiver<Report>,
    tree: Tree,
    plugin: watch::Sender<InstanceState>,
}

impl Collector {
    fn becomes(&self, state: InstanceState) {
        self.plugin.send(state).unwrap();
    }

    async fn next(&mut self) -> (i64, Outcome) {
        let report = self.reports.recv().await.unwrap();
        // Paused time: the collector has done all it can do before the clock moves on.
        tokio::time::sleep(Duration::from_millis(1)).await;
        (report.at_ms, report.outcome)
    }

    fn state(&self) -> ActorState {
        self.tree.root().view().children[0].state
    }
}

/// Runs a collector over `script`, once a second from second 1 on.
async fn collect(script: impl Into<VecDeque<Step>>) -> Collector {
    paused_clock();
    let (reports, received) = ReportPort::new(16);
    let (plugin, states) = watch::channel(InstanceState::Ready);
    let tree = Tree::default();
    let node = tree.root().child("load", "collector");
    let arguments = CollectorArguments {
        name: "load".into(),
        server: "web-1".into(),
        source: Script { steps: script.into(), states },
        interval: Duration::from_secs(1),
        reports,
        clock: paused_clock,
        node,
    };
    Actor::spawn(None, CollectorActor::default(), arguments).await.unwrap();
    Collector { reports: received, tree, plugin }
}

/// Milliseconds of paused time since this test first asked.
fn paused_clock() -> i64 {
    thread_local! { static START: std::cell::OnceCell<Instant> = const { std::cell::OnceCell::new() } }
    let elapsed = START.with(|start| start.get_or_init(Instant::now).elapsed());
    i64::try_from(elapsed.as_millis()).unwrap()
}
