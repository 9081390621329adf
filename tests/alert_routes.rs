//! Who is told of what: by level, by tag, by the first route or by several; together, and again until somebody
//! acknowledges.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::collections::BTreeSet;

use bartizan_tests::{
    DEADLINE, Setup,
    alerts::{HTTP, list},
    dial::{self, Dials},
    now_ms,
    sink::{Received, Sink},
    wait_for,
};
use serde_json::json;

const RULE: &str = "[[rule]]\nname = \"dial\"\nmetric = \"dial_value\"\n\
    warning = { above = 10, for = \"0s\" }\ncritical = { above = 50, for = \"0s\" }\nclear_for = \"0s\"\n\n";

#[tokio::test]
async fn routes_choose_by_level_and_tag_and_go_on_where_they_say_so() {
    let setup = Setup::in_company("").plugin(&dial::plugin());
    let sink = Sink::start().await;
    let mut prod = Dials::new(setup.folder(), "web-1");
    let mut dev = Dials::new(setup.folder(), "web-2");
    for dials in [&mut prod, &mut dev] {
        dials.turn("main", 1.0);
    }
    let tagged = |dials: &Dials, env: &str| {
        let name = format!("name = \"{}\"\n", dials.server);
        dials.server("250ms").replace(&name, &format!("{name}tags = {{ env = \"{env}\" }}\n"))
    };
    let contacts = ["lead", "ops", "duty"].map(|name| contact(&sink, name)).concat();
    setup.configure(&format!(
        "{HTTP}{}{}{RULE}{contacts}\
         [[route]]\nmatch = {{ level = \"critical\", servers = [\"tag:env=prod\"] }}\nnotify = [\"lead\"]\ncontinue = true\n\n\
         [[route]]\nmatch = {{ level = \"warning\" }}\nnotify = [\"ops\"]\ngroup_wait = \"0s\"\n\n\
         [[route]]\nnotify = [\"duty\"]\n",
        tagged(&prod, "prod"),
        tagged(&dev, "dev"),
    ));
    let daemon = setup.start().await;
    prod.read(&daemon, "main", 1.0, 0).await;

    prod.turn("main", 20.0);
    told(&sink, &[("/ops", "web-1", "fired")]).await;
    prod.turn("main", 60.0);
    // Whoever was told of the warning hears of what came of it as well.
    let all = ["/lead", "/duty", "/ops"].map(|path| (path, "web-1", "escalated"));
    told(&sink, &all).await;
    dev.turn("main", 60.0);
    told(&sink, &[("/duty", "web-2", "fired")]).await;
    daemon.samples("web-1", dial::METRIC, now_ms(), 8).await;
    assert_eq!(sink.received().len(), 5, "and nobody else: {:?}", shown(&sink.received()));
}

#[tokio::test]
async fn incidents_that_begin_together_share_a_notice() {
    let setup = Setup::in_company("").plugin(&dial::plugin());
    let sink = Sink::start().await;
    let mut dials = Dials::new(setup.folder(), "web-1");
    dials.turn("a", 1.0);
    setup.configure(&format!(
        "{HTTP}{}{RULE}{}[[route]]\nnotify = [\"ops\"]\ngroup_wait = \"3s\"\n",
        dials.server("250ms"),
        contact(&sink, "ops")
    ));
    let daemon = setup.start().await;
    dials.read(&daemon, "a", 1.0, 0).await;
    for dial in ["a", "b", "c"] {
        let at = dials.turn(dial, 20.0);
        dials.read(&daemon, dial, 20.0, at - 1_000).await;
    }
    let received = sink.arrived(1).await;
    let body = received[0].json();
    let of: BTreeSet<_> = list(&body["incidents"])
        .iter()
        .map(|incident| incident["labels"]["dial"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(of, ["a", "b", "c"].map(str::to_owned).into(), "{body}");
    let waited = received[0].at_ms - body["incidents"][0]["opened_ms"].as_i64().unwrap();
    assert!(waited >= 2_000, "it waited {waited} ms for others");
    daemon.samples("web-1", dial::METRIC, now_ms(), 16).await;
    assert_eq!(sink.received().len(), 1, "one for all: {:?}", shown(&sink.received()));
}

/// What comes after hours and days is tested in the daemon, where time is a number; here it is a real minute.
#[tokio::test]
async fn a_reminder_comes_after_a_restart_too_unless_somebody_has_acknowledged() {
    let setup = Setup::in_company("").plugin(&dial::plugin());
    let sink = Sink::start().await;
    let mut dials = Dials::new(setup.folder(), "web-1");
    dials.turn("taken-on", 60.0);
    let (server, contact) = (dials.server("1s"), contact(&sink, "ops"));
    setup.configure(&format!(
        "{HTTP}{server}{RULE}{contact}[[route]]\nnotify = [\"ops\"]\nremind_every = \"1m\"\n",
    ));
    let mut daemon = setup.start().await;
    sink.arrived(1).await;
    let incident = daemon.incident_of("web-1", "dial", &["firing"]).await;
    let ack = format!("/incidents/{}/ack", incident["id"]);
    dials.turn("forgotten", 60.0);
    let fired = sink.arrived(2).await.remove(1);
    let answer = setup.post(&ack, &json!({ "by": "ann" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    daemon.kill();
    daemon = setup.start().await;
    let reminded = wait_for("a reminder", 2 * DEADLINE, async || sink.received().get(2).cloned());
    let reminded = reminded.await.0;
    assert_eq!((what(&reminded), dial_of(&reminded)), ("reminded".into(), "forgotten".into()));
    let after = reminded.at_ms - fired.at_ms;
    assert!((59_000..75_000).contains(&after), "reminded after {after} ms");

    dials.turn("taken-on", 1.0);
    let resolved = sink.arrived(4).await.remove(3);
    let told = (what(&resolved), dial_of(&resolved));
    assert_eq!(told, ("resolved".into(), "taken-on".into()), "the end is told");
    daemon.samples("web-1", dial::METRIC, now_ms(), 2).await;
    assert_eq!(sink.received().len(), 4, "nothing else: {:?}", shown(&sink.received()));
}

/// Waits for these requests, in any order, after those that were told before.
async fn told(sink: &Sink, expected: &[(&str, &str, &str)]) {
    let expected: BTreeSet<(String, String, String)> = expected
        .iter()
        .map(|(path, server, what)| ((*path).into(), (*server).into(), (*what).into()))
        .collect();
    wait_for(&format!("{expected:?}"), DEADLINE, async || {
        let told: BTreeSet<_> = shown(&sink.received()).into_iter().collect();
        expected.is_subset(&told).then_some(())
    })
    .await;
}

/// Path, server, and what happened.
fn shown(received: &[Received]) -> Vec<(String, String, String)> {
    let shown = received.iter().map(|request| {
        let body = request.json();
        let server = body["incidents"][0]["server"].as_str().unwrap().to_owned();
        (request.path.clone(), server, what(request))
    });
    shown.collect()
}

fn what(request: &Received) -> String {
    request.json()["incidents"][0]["what"].as_str().unwrap().to_owned()
}

fn dial_of(request: &Received) -> String {
    request.json()["incidents"][0]["labels"]["dial"].as_str().unwrap().to_owned()
}

fn contact(sink: &Sink, name: &str) -> String {
    format!("[contact.{name}]\nwebhook = [\"{}\"]\n\n", sink.url(&format!("/{name}")))
}
