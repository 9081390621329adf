//! Drives a server's intake and actor without plugins and without a disk, in paused time.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    ACK_LIMIT, ArrivalPort, Heard, HeardOf, ServerActor, ServerArguments, ServerMessage,
    elsewhere::Elsewhere, intake::Intake, watch::Watch,
};
use crate::{
    alert::Alert,
    collector::{Outcome, Report, ReportPort},
    config::{CollectorConfig, RuleConfig},
    detect::{Recall, Sentinel},
    live::messages::{LivePort, LiveUpdate, Origin, ServerState},
    plugin::PluginPort,
    series::{Catalog, Sample, SeriesId},
    store::{StorePort, StoreReader},
    supervision::Tree,
};

#[tokio::test(start_paused = true)]
async fn viewers_wait_for_the_store_but_not_for_long() {
    let mut intake = take_in().await;
    intake.report(1_000, Outcome::Samples(vec![sample(0.5)]));

    let soon = timeout(ACK_LIMIT / 2, intake.shown.recv()).await;
    assert!(soon.is_err(), "shown before the store had its time: {soon:?}");
    let shown = timeout(ACK_LIMIT, intake.shown.recv()).await.unwrap().unwrap();
    let LiveUpdate::Frame(frame) = shown else { panic!("{shown:?}") };
    assert_eq!((frame.at_ms, &frame.samples[..]), (1_000, &[sample(0.5)][..]));
    let heard = Heard { collector: "load".into(), of: HeardOf::Samples };
    assert_eq!(intake.heard.recv().await.unwrap(), [heard]);
}

#[tokio::test(start_paused = true)]
async fn what_a_round_brings_is_one_batch() {
    let mut intake = take_in().await;
    for at_ms in [1_000, 2_000, 3_000] {
        intake.report(at_ms, Outcome::Samples(vec![sample(0.5)]));
    }
    assert_eq!(intake.heard.recv().await.unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_silence_is_shown_with_its_reason_until_it_ends() {
    let mut intake = take_in().await;
    intake.report(1_000, Outcome::Missed("plugin panicked".into()));
    intake.report(2_000, Outcome::Missed("plugin panicked".into()));
    intake.report(3_000, Outcome::Samples(vec![sample(0.5)]));

    let mut gaps = Vec::new();
    while gaps.len() < 2 {
        if let LiveUpdate::Gap(gap) = intake.shown.recv().await.unwrap() {
            gaps.push((gap.from_ms, gap.to_ms, gap.reason.to_string()));
        }
    }
    let reason = "plugin panicked".to_owned();
    assert_eq!(gaps, [(1_000, None, reason.clone()), (1_000, Some(3_000), reason)]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_brings_nothing_is_unknown_and_then_offline_by_its_own_timer() {
    let (live, mut shown) = LivePort::new(64);
    let tree = Tree::default();
    let collector = CollectorConfig {
        name: "load".into(),
        plugin: "org.bartizan.load".into(),
        interval: None,
        config: serde_json::Map::new(),
    };
    let catalog = Arc::new(Catalog::default());
    let (store, intake) = StorePort::new(1 << 20);
    let arguments = ServerArguments {
        name: "web-1".into(),
        tags: Arc::default(),
        origin: Origin::Local,
        collectors: vec![collector],
        scrapes: Vec::new(),
        arrivals: ArrivalPort::default(),
        interval: Duration::from_secs(1),
        awaited: true,
        rules: Vec::new(),
        catalog: catalog.clone(),
        history: StoreReader::new(catalog, intake),
        alerts: Alert::restored(Default::default(), Arc::default(), "hub".into()).port(),
        // Nobody serves these ports: no plugin ever starts.
        plugins: PluginPort::default(),
        store,
        live,
        node: tree.root().child("srv:web-1", "server"),
    };
    let (server, ended) = Actor::spawn(None, ServerActor, arguments).await.unwrap();

    let mut states = Vec::new();
    while states.last() != Some(&ServerState::Offline) {
        if let LiveUpdate::Server(status) = shown.recv().await.unwrap() {
            states.push(status.state);
        }
    }
    states.dedup();
    assert_eq!(states, [ServerState::Unknown, ServerState::Offline]);
    server.stop(None);
    ended.await.unwrap();
    assert_eq!(tree.root().view().children, [], "nobody is left behind");
}

fn sample(value: f64) -> Sample {
    Sample { series: SeriesId(0), value }
}

/// An intake at work, seen from outside. Its store never answers.
struct Taking {
    reports: ReportPort,
    shown: mpsc::Receiver<LiveUpdate>,
    heard: mpsc::UnboundedReceiver<Vec<Heard>>,
}

impl Taking {
    fn report(&self, at_ms: i64, outcome: Outcome) {
        self.reports.send(Report { collector: "load".into(), at_ms, outcome });
    }
}

async fn take_in() -> Taking {
    let (reports, received) = ReportPort::new(16);
    let (live, shown) = LivePort::new(16);
    let (tell, heard) = mpsc::unbounded_channel();
    let (actor, _) = Actor::spawn(None, Ear, tell).await.unwrap();
    let store = StorePort::new(1 << 20).0;
    let stop = CancellationToken::new();
    let sentinel = Sentinel::new(
        "web-1".into(),
        [("load".into(), 1000)],
        Vec::<RuleConfig>::new(),
        Arc::default(),
        Recall::default(),
        0,
    );
    let alerts = Alert::restored(Default::default(), Arc::default(), "hub".into()).port();
    let (_, rules) = watch::channel(Vec::new());
    let (_, findings) = mpsc::channel(1);
    let intake = Intake {
        server: "web-1".into(),
        reports: received,
        arrivals: ArrivalPort::default(),
        elsewhere: Elsewhere::new(Arc::default(), &[]),
        store,
        live,
        watch: Watch::new(sentinel, alerts, Arc::default(), actor.clone()),
        rules,
        findings,
        actor,
        stop,
    };
    tokio::spawn(intake.run());
    Taking { reports, shown, heard }
}

/// Stands in for the server actor: repeats what it hears.
struct Ear;

impl Actor for Ear {
    type Msg = ServerMessage;
    type State = mpsc::UnboundedSender<Vec<Heard>>;
    type Arguments = mpsc::UnboundedSender<Vec<Heard>>;

    async fn pre_start(
        &self,
        _: ActorRef<ServerMessage>,
        tell: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(tell)
    }

    async fn handle(
        &self,
        _: ActorRef<ServerMessage>,
        message: ServerMessage,
        tell: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let ServerMessage::Heard(heard) = message else { return Ok(()) };
        Ok(tell.send(heard)?)
    }
}
