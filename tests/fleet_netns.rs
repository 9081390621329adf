//! An agent and a hub on two machines, as far as the network can tell: a cable that is slow, pulled, and filtered in
//! either direction. The hub tells the truth about the agent meanwhile, and has everything in the end.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::time::{Duration, Instant};

use bartizan_tests::{
    DEADLINE, Daemon, Setup,
    contents::agree,
    dial::{self, Dials, METRIC},
    enrolment,
    namespaces::{Cable, Drops},
    now_ms,
    peer::free_port,
    rounds, wait_for,
};

const SERVER: &str = "edge-1";

/// Silence that makes a server offline.
const OFFLINE: Duration = Duration::from_secs(30);

/// The promise, counted from the last sample.
const OFFLINE_MOST: Duration = Duration::from_secs(35);

/// After the last fault all is there by then.
const CALM: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cable_that_is_slow_pulled_and_filtered_loses_nothing_and_the_hub_knows() {
    let cable = Cable::lay();
    let port = free_port();
    let agent_setup = Setup::in_company("").plugin(&dial::plugin());
    let agent_setup = agent_setup.inside(&cable.agent, ([127, 0, 0, 1], port).into());
    let hub_setup = agent_setup.beside(
        "[http]\ninsecure = true\n\n[[server]]\nname = \"hub\"\n\n[[server.collector]]\nplugin = \"load\"\n\
         interval = \"10s\"\n",
    );
    let hub_setup = hub_setup.inside(&cable.hub, cable.hub_address(port));
    let mut hub = hub_setup.start().await;
    let token = enrolment::add(&hub_setup, SERVER).await;
    let mut dials = Dials::new(agent_setup.folder(), SERVER);
    dials.turn("stamp", 0.0);
    let forward = enrolment::forward(&agent_setup, &token, &[hub_setup.address]);
    agent_setup.configure(&format!("{}{forward}", dials.server("1s")));
    let began = now_ms();
    let agent = agent_setup.start().await;
    hub.samples(SERVER, METRIC, began, 3).await;
    becomes(&hub, "up", DEADLINE).await;
    hub.has_pace(SERVER, 1_000).await;

    for _ in 0..rounds(1, 20) {
        // Slow, but wide enough: nothing happens.
        cable.rate(Some(64));
        let from = now_ms();
        hub.samples(SERVER, METRIC, from, 5).await;
        cable.rate(None);
        becomes(&hub, "up", DEADLINE).await;

        // Pulled: unknown after three intervals, offline in time; up again when it is back.
        cable.plugged(false);
        let pulled = Instant::now();
        becomes(&hub, "unknown", Duration::from_secs(10)).await;
        becomes(&hub, "offline", OFFLINE_MOST).await;
        let took = pulled.elapsed();
        eprintln!("cable pulled: offline after {took:.1?}");
        // The last sample may have come a moment before the cable was pulled, so a little less is right.
        let least = OFFLINE.checked_sub(Duration::from_secs(3)).unwrap();
        assert!(took > least && took < OFFLINE_MOST, "offline after {took:.1?}");
        dials.turn("stamp", 1.0);
        cable.plugged(true);
        let (_, back) = becomes(&hub, "up", CALM).await;
        eprintln!("cable back: up after {back:.1?}");

        // Requests vanish, then answers do; and the hub falls meanwhile.
        for drops in [Drops::Incoming, Drops::Outgoing] {
            cable.filter(drops);
            becomes(&hub, "unknown", Duration::from_secs(15)).await;
            dials.turn("stamp", 2.0);
            if drops == Drops::Outgoing {
                hub.kill();
                hub = hub_setup.start().await;
                let restarted = Instant::now();
                // It was down itself: whether anybody is offline is not known before 30 s of its own.
                while restarted.elapsed() < Duration::from_secs(5) {
                    let now = state(&hub).await;
                    assert_ne!(
                        now,
                        "offline",
                        "the hub cries wolf {:?} after its start",
                        restarted.elapsed()
                    );
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            cable.filter(Drops::Nothing);
            becomes(&hub, "up", CALM).await;
        }
    }
    let until = now_ms();
    agent.samples(SERVER, METRIC, until, 2).await;
    let (contents, took) = agree(&agent, &hub, SERVER, (began, until), CALM).await;
    eprintln!("{} samples are the same on both sides after {took:.1?}", contents.samples.len());
    // The agent was up all the time, whatever became of the cable.
    let seconds = usize::try_from((until - began) / 1_000).unwrap();
    assert!(contents.samples.len() > seconds * 9 / 10, "{} in {seconds} s", contents.samples.len());
}

/// What the hub says of the agent's server; empty where it does not know it.
async fn state(hub: &Daemon) -> String {
    let answer = hub.get("/servers").await;
    let servers = answer["servers"].as_array().unwrap();
    let server = servers.iter().find(|server| server["name"] == SERVER);
    server.map(|server| server["state"].as_str().unwrap().to_owned()).unwrap_or_default()
}

async fn becomes(hub: &Daemon, wanted: &str, deadline: Duration) -> ((), Duration) {
    let what = format!("{SERVER} to be {wanted}");
    wait_for(&what, deadline, async || (state(hub).await == wanted).then_some(())).await
}
