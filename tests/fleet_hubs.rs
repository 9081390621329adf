//! An agent of two hubs that loses the way to one of them: the other lets it in by the same token, and the one asks the
//! other before it cries wolf.
//!
//! ```text
//!          ┌─ bad line ─► the hub that is preferred ──is it there?──┐
//!  agent ──┤                                                        ▼
//!          └────────────────────────────────────────────────► the other hub
//! ```

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use bartizan_tests::{
    DEADLINE, Daemon, Setup, enrolment, http,
    proxy::{Line, Proxy},
    wait_for,
};
use hyper::Method;
use serde_json::{Value, json};

const SERVER: &str = "edge-1";

/// A server is offline after 30 s without a sample; and time for the last samples to arrive and to be judged.
const OFFLINE: Duration = Duration::from_secs(40);

/// Longer than a hub takes to call a server offline, and its collectors silent.
const LONG: Duration = Duration::from_secs(80);

/// Samples of the last moment before a fall may have been late.
const MARGIN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_cut_off_from_an_agent_asks_the_other_before_it_calls_it_offline() {
    let setup = Setup::in_company("");
    let hub_setups = [setup.beside(""), setup.beside("")];
    let lines =
        [Proxy::start(hub_setups[0].address).await, Proxy::start(hub_setups[1].address).await];
    // One hub makes a token for the group, and one for the agent; the other hears of both.
    let first = hub_setups[0].start().await;
    fs::write(group_token(&hub_setups), enrolment::add(&hub_setups[0], "*").await).unwrap();
    let token = enrolment::add_tagged(&hub_setups[0], SERVER, json!({ "env": "prod" })).await;
    drop(first);
    let hubs = [start(&hub_setups, 0, &lines).await, start(&hub_setups, 1, &lines).await];
    setup.configure(&format!(
        "[[server]]\nname = \"{SERVER}\"\n\n[[server.collector]]\nplugin = \"load\"\n\n{}",
        enrolment::forward(&setup, &token, &[lines[0].address, lines[1].address])
    ));
    let mut agent = setup.start().await;
    let preferred = wait_for("a hub that has samples", DEADLINE, async || {
        for (place, hub) in hubs.iter().enumerate() {
            if state(hub).await.as_deref() == Some("up") {
                return Some(place);
            }
        }
        None
    })
    .await
    .0;
    let (first, other) = (&hubs[preferred], &hubs[1 - preferred]);
    first.has_pace(SERVER, 1_000).await;

    // The line is cut; the agent turns to the other hub, and stays there.
    lines[preferred].line(Line::Refuses);
    let cut = Instant::now();
    let mut unknown = false;
    while cut.elapsed() < LONG {
        let now = state(first).await;
        assert!(now.as_deref() != Some("offline"), "offline after {:?}", cut.elapsed());
        unknown |= now.as_deref() == Some("unknown");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(unknown);
    assert_eq!(state(first).await.as_deref(), Some("unknown"));
    assert_eq!(state(other).await.as_deref(), Some("up"));
    for hub in [first, other] {
        assert_eq!(shown(hub).await.unwrap()["tags"], json!({ "env": "prod" }));
    }
    let (_, node) = first
        .actors()
        .await
        .into_iter()
        .find(|(path, _)| path.ends_with(&format!("/srv:{SERVER}")))
        .unwrap();
    assert_eq!(node["detail"], format!("writes to {}", other.address), "{node}");
    let reason = shown(first).await.unwrap()["reason"].take();
    assert_eq!(reason, format!("it writes to {}", other.address));
    let incidents = incidents(first).await;
    assert_eq!(incidents, Vec::<Value>::new(), "nobody is called for nothing");

    // The agent falls, and is offline by both as soon as by one.
    agent.kill();
    let killed = Instant::now();
    for hub in [first, other] {
        wait_for("an offline agent", OFFLINE, async || {
            (state(hub).await.as_deref() == Some("offline")).then_some(())
        })
        .await;
        assert!(killed.elapsed() > Duration::from_secs(30) - MARGIN, "{:?}", killed.elapsed());
        assert!(killed.elapsed() < OFFLINE, "{:?}", killed.elapsed());
        let rules = incidents_by_rule(hub).await;
        assert_eq!(rules, ["server-offline"]);
    }

    // Removed at one hub, it is removed at both.
    enrolment::remove(&hub_setups[1], SERVER).await;
    for hub in [first, other] {
        wait_for("nobody of that name", DEADLINE, async || {
            state(hub).await.is_none().then_some(())
        })
        .await;
    }

    // By this token the hubs ask each other; revoked at one, it is revoked at both all the same.
    enrolment::remove(&hub_setups[0], "*").await;
    wait_for("no token that counts", DEADLINE, async || {
        let socket = hub_setups[1].state().join("control.sock");
        let answer = http::over_control(&socket, Method::GET, "/api/v1/tokens", "").await.unwrap();
        let tokens = answer.json()["tokens"].take();
        tokens.as_array().unwrap().iter().all(|it| !it["revoked_ms"].is_null()).then_some(())
    })
    .await;
}

/// The file of the token by which hubs ask each other.
fn group_token(setups: &[Setup; 2]) -> PathBuf {
    setups[0].folder().join("group-token")
}

/// Starts the hub at this place, which asks the other one.
async fn start(setups: &[Setup; 2], place: usize, lines: &[Proxy; 2]) -> Daemon {
    let token = group_token(setups);
    setups[place].configure(&format!(
        "[http]\npublic_url = \"http://{}\"\n\n\
         [fleet]\nhubs = [\"http://{}\"]\ntoken_file = \"{}\"\n\n\
         [[server]]\nname = \"hub\"\n\n[[server.collector]]\nplugin = \"load\"\ninterval = \"10s\"\n",
        lines[place].address,
        setups[1 - place].address,
        token.display()
    ));
    setups[place].start().await
}

/// In which state a hub shows the agent.
async fn state(hub: &Daemon) -> Option<String> {
    Some(shown(hub).await?["state"].as_str().unwrap().to_owned())
}

/// How a hub shows the agent.
async fn shown(hub: &Daemon) -> Option<Value> {
    let answer = hub.get("/servers").await;
    answer["servers"].as_array().unwrap().iter().find(|it| it["name"] == SERVER).cloned()
}

/// Every incident of the agent's.
async fn incidents(hub: &Daemon) -> Vec<Value> {
    hub.get(&format!("/incidents?server={SERVER}")).await["incidents"].as_array().unwrap().clone()
}

/// The rules of the agent's incidents, once there are any.
async fn incidents_by_rule(hub: &Daemon) -> Vec<String> {
    let some = async || Some(incidents(hub).await).filter(|incidents| !incidents.is_empty());
    let (incidents, _) = wait_for("an incident", DEADLINE, some).await;
    incidents.iter().map(|incident| incident["rule"].as_str().unwrap().to_owned()).collect()
}
