//! A fleet over a real store, before and after a restart of the daemon.

use std::{path::Path, time::Duration};

use ractor::Actor;
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::sleep};

use super::{ELSEWHERE, Rig};
use crate::{
    config::StoreConfig,
    fleet::FleetPort,
    live::messages::ServerState,
    series::{Catalog, PRESUMED_INTERVAL_MS, now_ms},
    store::{
        OpenedStore, StatePort, Store, StoreActor, StoreArguments, StorePort, StoreReader,
        messages::Batch,
    },
    supervision::Tree,
};

/// A daemon's store and fleet.
struct Life {
    rig: Rig,
    store: StorePort,
    actor: ractor::ActorRef<crate::store::messages::StoreMessage>,
    ended: JoinHandle<()>,
}

impl Life {
    async fn begin(path: &Path) -> Self {
        let catalog = std::sync::Arc::new(Catalog::default());
        let config = StoreConfig::default();
        let mut opened = Store::open(path, &config, &catalog).unwrap();
        let fleet = FleetPort::restored(opened.take_kept());
        let (store, intake) = StorePort::new(1 << 20);
        let reader = StoreReader::new(catalog.clone(), intake.clone());
        let states = StatePort::default();
        let arguments = StoreArguments {
            path: path.to_owned(),
            config,
            catalog,
            intake,
            reader: reader.clone(),
            states: states.clone(),
            opened: OpenedStore::new(opened),
            node: Tree::default().root().child("store", "store"),
        };
        let (actor, ended) = Actor::spawn(None, StoreActor, arguments).await.unwrap();
        let rig = Rig::over(ELSEWHERE, fleet, store.clone(), reader, states).await;
        Self { rig, store, actor, ended }
    }

    async fn end(self) {
        self.rig.actor.stop_and_wait(None, None).await.unwrap();
        self.actor.stop(None);
        self.ended.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_seen_an_hour_ago_is_known_with_that_time_and_not_cried_wolf_about() {
    let folder = TempDir::new().unwrap();
    let life = Life::begin(folder.path()).await;
    let frame = life.rig.frame("web-1", 3_600_000);
    let seen_ms = frame.at_ms;
    let batch = Batch { frames: vec![frame], gaps: Vec::new() };
    life.store.append(batch.clone()).0.await.unwrap().unwrap();
    life.rig.fleet.arrived(batch);
    life.rig.fleet.describe("web-2", [("env".to_owned(), "prod".to_owned())].into());
    sleep(Duration::from_millis(1500)).await;
    life.end().await;

    let mut life = Life::begin(folder.path()).await;
    let until = now_ms() + 10_000;
    while life.rig.names() != ["hub", "web-1", "web-2"] {
        assert!(now_ms() < until, "{:?}", life.rig.names());
        life.rig.after(Duration::from_millis(50)).await;
    }
    let status = &life.rig.statuses["web-1"];
    assert_eq!((status.seen_ms, status.state), (Some(seen_ms), ServerState::Unknown));
    assert_eq!(status.interval_ms, 10_000, "as its series say");
    assert_eq!((status.collectors_up, status.collectors_down), (0, 1), "it is expected again");
    assert_eq!(life.rig.statuses["web-2"].tags["env"], "prod");
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whether_it_is_known_how_often_a_server_writes_is_known_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let life = Life::begin(folder.path()).await;
    for (name, interval_ms) in
        [("once", PRESUMED_INTERVAL_MS), ("minutely", PRESUMED_INTERVAL_MS), ("minutely", 60_000)]
    {
        sleep(Duration::from_millis(5)).await;
        let frames = vec![life.rig.frame_each(name, 0, interval_ms)];
        let batch = Batch { frames, gaps: Vec::new() };
        life.store.arrive(batch.clone()).await.unwrap();
        life.rig.fleet.arrived(batch);
    }
    sleep(Duration::from_millis(1500)).await;
    life.end().await;

    let mut life = Life::begin(folder.path()).await;
    let until = now_ms() + 10_000;
    while life.rig.names() != ["hub", "minutely", "once"] {
        assert!(now_ms() < until, "{:?}", life.rig.names());
        life.rig.after(Duration::from_millis(50)).await;
    }
    let interval_ms = |name| life.rig.statuses[name].interval_ms;
    assert_eq!((interval_ms("minutely"), interval_ms("once")), (60_000, PRESUMED_INTERVAL_MS));
    life.end().await;
}
