//! A fleet without plugins, whose store takes nothing and is asked nothing: who is watched, and in which state, in
//! paused time.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ractor::{Actor, ActorRef};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

mod restart;

use super::{FleetActor, FleetArguments, FleetMessage, FleetPort, Ports, SERVERS_MAX};
use crate::{
    alert::Alert,
    config::Config,
    enrol::TokenPort,
    live::messages::{LivePort, LiveUpdate, Origin, ServerState, ServerStatus},
    plugin::PluginPort,
    series::{Catalog, Frame, Gap, Kind, Labels, PRESUMED_INTERVAL_MS, Sample, Series, now_ms},
    server::Sighting,
    store::{StatePort, StorePort, StoreReader, messages::Batch},
    supervision::Tree,
};

const SECOND: Duration = Duration::from_secs(1);

/// A fleet at work, seen from outside.
struct Rig {
    fleet: FleetPort,
    catalog: Arc<Catalog>,
    actor: ActorRef<FleetMessage>,
    shown: mpsc::Receiver<LiveUpdate>,
    statuses: BTreeMap<Arc<str>, ServerStatus>,
    frames: usize,
    gaps: Vec<Gap>,
    tree: Tree,
}

impl Rig {
    async fn new(config: &str, fleet: FleetPort) -> Self {
        let catalog = Arc::new(Catalog::default());
        let (store, intake) = StorePort::new(1 << 20);
        let history = StoreReader::new(catalog, intake);
        Self::over(config, fleet, store, history, StatePort::default()).await
    }

    /// A fleet over a store.
    async fn over(
        config: &str,
        fleet: FleetPort,
        store: StorePort,
        history: StoreReader,
        states: StatePort,
    ) -> Self {
        let catalog = history.catalog().clone();
        let (live, shown) = LivePort::new(100_000);
        let tree = Tree::default();
        let ports = Ports {
            tokens: TokenPort::default(),
            // Nobody serves these ports: no plugin ever starts.
            plugins: PluginPort::default(),
            store,
            live,
            catalog: catalog.clone(),
            history,
            alerts: Alert::restored(Default::default(), Arc::default(), "hub".into()).port(),
            fleet: fleet.clone(),
            states,
        };
        let config = Config::parse(config, "b.toml").unwrap();
        let arguments = FleetArguments {
            config: Arc::new(ArcSwap::from_pointee(config)),
            this_machine: "hub".into(),
            ports,
            node: tree.root().child("fleet", "fleet"),
        };
        let (actor, _) = Actor::spawn(None, FleetActor, arguments).await.unwrap();
        let (statuses, frames, gaps) = Default::default();
        Self { fleet, catalog, actor, shown, statuses, frames, gaps, tree }
    }

    /// A frame of `server`, read so long ago every ten seconds.
    fn frame(&self, server: &str, ago_ms: i64) -> Frame {
        self.frame_each(server, ago_ms, 10_000)
    }

    /// The same, read every so often.
    fn frame_each(&self, server: &str, ago_ms: i64, interval_ms: u32) -> Frame {
        let (server, collector): (Arc<str>, Arc<str>) = (server.into(), "node".into());
        let series = Series {
            server: server.clone(),
            collector: collector.clone(),
            metric: "load1".into(),
            labels: Labels::default(),
            unit: "".into(),
            kind: Kind::Gauge,
            interval_ms,
        };
        let samples = vec![Sample { series: self.catalog.intern(series).unwrap(), value: 1.0 }];
        Frame { server, collector, at_ms: now_ms() - ago_ms, samples }
    }

    fn arrive(&self, server: &str, ago_ms: i64) {
        let frames = vec![self.frame(server, ago_ms)];
        self.fleet.arrived(Batch { frames, gaps: Vec::new() });
    }

    /// What is shown after so long.
    async fn after(&mut self, time: Duration) -> &mut Self {
        sleep(time).await;
        while let Ok(update) = self.shown.try_recv() {
            match update {
                LiveUpdate::Server(status) => {
                    self.statuses.insert(status.name.clone(), status);
                }
                LiveUpdate::Gone(name) => drop(self.statuses.remove(&name)),
                LiveUpdate::Frame(_) => self.frames += 1,
                LiveUpdate::Gap(gap) => self.gaps.push(gap),
                _ => {}
            }
        }
        self
    }

    fn state(&self, server: &str) -> Option<ServerState> {
        self.statuses.get(server).map(|status| status.state)
    }

    fn names(&self) -> Vec<&str> {
        self.statuses.keys().map(|name| &**name).collect()
    }
}

/// Nothing but what writes here.
const ELSEWHERE: &str = "[[server]]\nname = 'hub'\nremote = true\n";

#[tokio::test(start_paused = true)]
async fn who_writes_is_watched_from_then_on_and_what_came_first_is_not_lost() {
    let mut rig = Rig::new(ELSEWHERE, FleetPort::default()).await;
    rig.arrive("web-1", 0);
    rig.after(3 * SECOND).await;
    assert_eq!((rig.state("web-1"), rig.frames), (Some(ServerState::Up), 1));
    let status = &rig.statuses["web-1"];
    assert_eq!((status.origin, status.interval_ms), (Origin::Remote, 10_000));
    assert_eq!((status.collectors_up, status.collectors_down), (1, 0));
    assert_eq!((rig.fleet.servers(), rig.fleet.knows("web-1")), (2, true));
}

#[tokio::test(start_paused = true)]
async fn silence_is_noticed_by_time_alone_and_what_is_late_neither_shown_nor_a_reason_to_call_it_offline()
 {
    let mut rig = Rig::new(ELSEWHERE, FleetPort::default()).await;
    rig.arrive("web-1", 0);
    assert_eq!(rig.after(29 * SECOND).await.state("web-1"), Some(ServerState::Up));
    assert_eq!(rig.after(3 * SECOND).await.state("web-1"), Some(ServerState::Offline));

    let shown = rig.frames;
    for ago in (0..20).rev() {
        rig.arrive("web-1", 100_000 + ago * 10_000);
        rig.after(2 * SECOND).await;
    }
    assert_eq!(rig.state("web-1"), Some(ServerState::Unknown), "it catches up");
    assert_eq!(rig.frames, shown);
    rig.arrive("web-1", 0);
    assert_eq!(rig.after(SECOND).await.state("web-1"), Some(ServerState::Up));
    assert_eq!(rig.frames, shown + 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_that_die_at_once_are_offline_within_35_seconds() {
    let mut rig = Rig::new(ELSEWHERE, FleetPort::default()).await;
    let name = |n: usize| format!("s-{n}");
    let all = |rig: &Rig, upto: usize| {
        let frames = (0..upto).map(|n| rig.frame(&name(n), 0)).collect();
        rig.fleet.arrived(Batch { frames, gaps: Vec::new() });
    };
    let offline = |rig: &Rig| {
        let states = rig.statuses.values().filter(|status| status.state == ServerState::Offline);
        states.filter(|status| &*status.name != "hub").count()
    };
    for _ in 0..4 {
        all(&rig, 1_500);
        rig.after(10 * SECOND).await;
    }
    all(&rig, 1_500);
    for _ in 0..2 {
        rig.after(10 * SECOND).await;
        all(&rig, 500);
    }
    assert_eq!(offline(&rig), 0);
    rig.after(10 * SECOND).await;
    all(&rig, 500);
    rig.after(5 * SECOND).await;
    assert_eq!(offline(&rig), 1_000);
    assert_eq!(rig.fleet.stats().dropped_samples, 0);
}

#[tokio::test(start_paused = true)]
async fn only_who_has_written_once_or_is_configured_is_missed() {
    let mut rig = Rig::new(ELSEWHERE, FleetPort::default()).await;
    rig.fleet.describe("web-1", BTreeMap::new());
    rig.after(29 * SECOND).await;
    assert_eq!(rig.state("hub"), Some(ServerState::Unknown), "it may have been us who were away");
    rig.after(3600 * SECOND).await;
    assert_eq!(rig.state("hub"), Some(ServerState::Offline));
    assert_eq!(rig.state("web-1"), Some(ServerState::Unknown), "it is not yet set up");
    rig.arrive("web-1", 7_200_000);
    assert_eq!(rig.after(31 * SECOND).await.state("web-1"), Some(ServerState::Offline));
}

#[tokio::test(start_paused = true)]
async fn who_wrote_once_is_unknown_and_says_why_and_offline_only_once_it_is_known_how_often_he_writes()
 {
    let mut rig = Rig::new(ELSEWHERE, FleetPort::default()).await;
    let push = |rig: &Rig, interval_ms| {
        let frames = vec![rig.frame_each("web-1", 0, interval_ms)];
        rig.fleet.arrived(Batch { frames, gaps: Vec::new() });
    };
    push(&rig, PRESUMED_INTERVAL_MS);
    assert_eq!(rig.after(29 * SECOND).await.state("web-1"), Some(ServerState::Up));
    assert_eq!(rig.after(86_400 * SECOND).await.state("web-1"), Some(ServerState::Unknown));
    let status = &rig.statuses["web-1"];
    assert_eq!((status.interval_ms, status.collectors_down), (PRESUMED_INTERVAL_MS, 0));
    let reason = "no sample for 30 s, and not yet known how often one comes";
    assert_eq!(status.state.reason(status.interval_ms), Some(reason));

    push(&rig, 60_000);
    assert_eq!(rig.after(179 * SECOND).await.state("web-1"), Some(ServerState::Up));
    assert_eq!(rig.after(3 * SECOND).await.state("web-1"), Some(ServerState::Offline));
}

#[tokio::test(start_paused = true)]
async fn who_is_turned_away_because_the_hub_is_in_trouble_is_not_called_offline() {
    let mut rig = Rig::new(ELSEWHERE, FleetPort::default()).await;
    rig.arrive("web-1", 0);
    for _ in 0..12 {
        rig.after(10 * SECOND).await;
        rig.fleet.turned_away("web-1");
    }
    assert_eq!(rig.after(2 * SECOND).await.state("web-1"), Some(ServerState::Unknown));
    assert_eq!(rig.after(31 * SECOND).await.state("web-1"), Some(ServerState::Offline));
}

#[tokio::test(start_paused = true)]
async fn limits_of_a_tag_hold_for_who_writes_and_from_when_it_is_described_so() {
    let rule = "[[rule]]\nname = 'busy'\nmetric = 'load1'\nservers = ['tag:env=prod']\nwarning = { above = 0.5 }\n";
    let mut rig = Rig::new(&format!("{rule}{ELSEWHERE}"), FleetPort::default()).await;
    rig.arrive("web-1", 0);
    assert_eq!(rig.after(2 * SECOND).await.statuses["web-1"].normal, None, "no rule holds for it");
    rig.fleet.describe("web-1", [("env".to_owned(), "prod".to_owned())].into());
    rig.after(2 * SECOND).await;
    rig.arrive("web-1", 0);
    assert_eq!(rig.after(2 * SECOND).await.statuses["web-1"].normal, Some(false));
}

#[tokio::test(start_paused = true)]
async fn a_gap_of_elsewhere_is_shown_with_its_reason_and_degrades_its_server() {
    let mut rig = Rig::new(ELSEWHERE, FleetPort::default()).await;
    let gap = Gap {
        server: "web-1".into(),
        collector: "disk".into(),
        from_ms: now_ms(),
        to_ms: None,
        reason: "plugin crashed".into(),
    };
    let frames = vec![rig.frame("web-1", 0)];
    rig.fleet.arrived(Batch { frames, gaps: vec![gap.clone()] });
    rig.after(2 * SECOND).await;
    assert_eq!(rig.gaps, [gap]);
    assert_eq!(rig.state("web-1"), Some(ServerState::Degraded));
    assert_eq!(rig.statuses["web-1"].collectors_down, 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_described_renamed_or_forgotten_is_so_within_a_second() {
    let mut rig = Rig::new(ELSEWHERE, FleetPort::default()).await;
    let tags: BTreeMap<_, _> = [("env".to_owned(), "prod".to_owned())].into();
    rig.fleet.describe("web-1", tags.clone());
    rig.after(2 * SECOND).await;
    assert_eq!(
        (rig.names(), rig.state("web-1")),
        (vec!["hub", "web-1"], Some(ServerState::Unknown))
    );
    assert_eq!(*rig.statuses["web-1"].tags, tags);

    assert!(rig.fleet.rename("web-1", "www") && !rig.fleet.rename("web-1", "www"));
    rig.after(2 * SECOND).await;
    assert_eq!(rig.names(), ["hub", "www"]);
    assert_eq!(*rig.statuses["www"].tags, tags);
    assert!(rig.fleet.forget("www") && !rig.fleet.forget("www"));
    assert_eq!(rig.after(2 * SECOND).await.names(), ["hub"]);
    let nodes = rig.tree.root().view().children[0].children.len();
    assert_eq!((rig.fleet.servers(), nodes), (1, 1), "nobody is left behind");
}

#[tokio::test(start_paused = true)]
async fn who_is_forgotten_before_the_fleet_has_looked_leaves_nothing_behind() {
    let mut rig = Rig::new(ELSEWHERE, FleetPort::default()).await;
    rig.after(2 * SECOND).await;
    rig.arrive("web-1", 0);
    assert!(rig.fleet.forget("web-1"));
    assert_eq!(rig.after(2 * SECOND).await.names(), ["hub"]);
    assert_eq!((rig.fleet.servers(), rig.fleet.knows("web-1")), (1, false));
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_who_writes_and_starts_what_is_new() {
    let mut rig = Rig::new(ELSEWHERE, FleetPort::default()).await;
    rig.arrive("web-1", 0);
    rig.after(2 * SECOND).await;
    let config =
        "[[server]]\nname = 'db-1'\nremote = true\n[[server]]\nname = 'hub'\nremote = true\n";
    let config = Config::parse(config, "b.toml").unwrap();
    rig.actor.cast(FleetMessage::Reload(Arc::new(config))).unwrap();
    assert_eq!(rig.after(2 * SECOND).await.names(), ["db-1", "hub", "web-1"]);
    let is_configured = ["db-1", "hub", "web-1"].map(|name| rig.fleet.is_configured(name));
    assert_eq!(is_configured, [true, true, false]);
    assert_eq!(rig.state("web-1"), Some(ServerState::Up), "not touched");
}

#[test]
fn more_servers_than_allowed_are_counted_and_what_a_server_cannot_take_is_too() {
    let fleet = FleetPort::default();
    let part = |name: String| Batch {
        frames: vec![Frame {
            server: name.into(),
            collector: "node".into(),
            at_ms: 0,
            samples: vec![Sample { series: crate::series::SeriesId(0), value: 1.0 }],
        }],
        gaps: Vec::new(),
    };
    for n in 0..SERVERS_MAX + 3 {
        fleet.arrived(part(n.to_string()));
    }
    assert_eq!((fleet.stats().servers, fleet.stats().refused_samples), (SERVERS_MAX, 3));
    assert!(!fleet.admits("one-more") && fleet.admits("7"));
    for _ in 0..100 {
        fleet.arrived(part("7".into()));
    }
    assert_eq!(fleet.stats().dropped_samples, 37, "64 wait, of which one was there");
}

#[tokio::test(start_paused = true)]
async fn who_falls_silent_is_missed_in_time_and_unknown_while_another_hub_hears_of_it() {
    let mut rig = Rig::new(ELSEWHERE, FleetPort::default()).await;
    let is_missed = |rig: &Rig| rig.fleet.missed().iter().any(|name| &**name == "web-1");
    rig.arrive("web-1", 0);
    rig.after(14 * SECOND).await;
    assert!(!is_missed(&rig));
    // Looks fall on whole seconds of a clock that is not paused.
    rig.after(4 * SECOND).await;
    assert!(is_missed(&rig));

    for _ in 0..20 {
        let sighting = Sighting { hub: "hub-2".into(), at: Instant::now() };
        rig.fleet.seen_elsewhere("web-1", sighting);
        rig.after(5 * SECOND).await;
    }
    assert_eq!(rig.state("web-1"), Some(ServerState::Unknown));
    assert!(is_missed(&rig), "it is asked for all the time");
    let servers = rig.tree.root().view().children.remove(0).children;
    let web_1 = servers.iter().find(|view| &*view.name == "srv:web-1").unwrap();
    assert_eq!(web_1.detail.as_deref(), Some("writes to hub-2"));
    assert_eq!(rig.after(27 * SECOND).await.state("web-1"), Some(ServerState::Offline));
    rig.arrive("web-1", 0);
    assert_eq!(rig.after(2 * SECOND).await.state("web-1"), Some(ServerState::Up));
    assert!(!is_missed(&rig));
}
