//! One daemon forwards to another, in version 2.0 of remote write, and to a group of them, whichever answers.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bartizan_tests::{
    Certificate, DEADLINE, Daemon, Setup,
    contents::{Contents, agree},
    enrolment, now_ms,
    process::Signal,
    wait_for,
};
use serde_json::Value;

const SERVER: &str = "edge-1";

/// What a hub watches itself.
const HUB: &str = "[[server]]\nname = \"hub\"\n\n[[server.collector]]\nplugin = \"load\"\n\n";

/// A hub that is gone is left within this, and one that is back returned to, on a machine that is busy with more.
const TURNED: Duration = Duration::from_secs(15);

/// After the last fault all is there by then.
const CALM: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_takes_version_2_and_has_what_its_agent_has() {
    let setup = Setup::in_company("");
    let hub_setup = setup.beside(HUB);
    let mut hub = hub_setup.start().await;
    setup.configure(&agent(&hub_setup, &[hub.address], "2.0"));
    let began = now_ms();
    let mut agent = setup.start().await;
    sends_to(&agent, hub.address).await;

    hub.kill();
    tokio::time::sleep(Duration::from_secs(2)).await;
    agent.kill();
    agent = setup.start().await;
    hub = hub_setup.start().await;
    let target = sends_to(&agent, hub.address).await;
    assert_eq!(target["protocol"], "2.0", "{target}");

    let until = now_ms();
    agent.samples(SERVER, "load1", until, 3).await;
    let (contents, _) = agree(&agent, &hub, SERVER, (began, until), CALM).await;
    assert!(contents.samples.len() > 500, "{}", contents.samples.len());
    let target = self::target(&agent).await;
    assert_eq!((&target["protocol"], &target["refused"]), (&"2.0".into(), &0.into()), "{target}");
    // Kind and unit came along.
    let list = hub.get(&format!("/servers/{SERVER}/series")).await;
    let series = list["series"].as_array().unwrap();
    let find = |metric: &str| series.iter().find(|one| one["metric"] == metric).unwrap();
    assert_eq!(find("memory_used_bytes")["unit"], "bytes");
    assert_eq!(find("cpu_context_switches_total")["kind"], "counter");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_gone_is_left_and_returned_to_and_nothing_is_lost() {
    let setup = Setup::in_company("");
    let hub_setups = [setup.beside(HUB), setup.beside(HUB)];
    let mut hubs = [hub_setups[0].start().await, hub_setups[1].start().await];
    // A token that both hubs know: they are one group.
    let token = |hub: &Setup| hub.state().join("admin-token");
    hubs[1].kill();
    std::fs::copy(token(&hub_setups[0]), token(&hub_setups[1])).unwrap();
    hubs[1] = hub_setups[1].start().await;
    let addresses = [hubs[0].address, hubs[1].address];
    setup.configure(&agent(&hub_setups[0], &addresses, "1.0"));
    let began = now_ms();
    let agent = setup.start().await;
    let preferred = usize::from(in_use(&agent).await == addresses[1]);
    sends_to(&agent, addresses[preferred]).await;

    hubs[preferred].kill();
    let killed = Instant::now();
    sends_to(&agent, addresses[1 - preferred]).await;
    assert!(killed.elapsed() < TURNED, "left after {:?}", killed.elapsed());
    hubs[preferred] = hub_setups[preferred].start().await;
    let started = Instant::now();
    sends_to(&agent, addresses[preferred]).await;
    assert!(started.elapsed() < TURNED, "returned to after {:?}", started.elapsed());

    let until = now_ms();
    agent.samples(SERVER, "load1", until, 3).await;
    let wanted = Contents::of(&agent, SERVER, began, until).await;
    wait_for("every sample at one hub or the other", CALM, async || {
        let one = Contents::of(&hubs[0], SERVER, began, until).await;
        let other = Contents::of(&hubs[1], SERVER, began, until).await;
        let mut both = one.samples;
        both.extend(other.samples);
        (both == wanted.samples).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_asks_for_certificates_takes_from_whoever_has_one_and_says_so_to_others() {
    let setup = Setup::new("");
    let hub_setup = setup.beside("").by_control();
    let certificate = Certificate::make(hub_setup.folder());
    let (own, own_key) = certificate.client(setup.folder());
    hub_setup.configure(&format!(
        "{HUB}[http]\ntls = {{ certificate = '{}', key = '{}', client_ca = '{}' }}\n",
        certificate.certificate.display(),
        certificate.key.display(),
        certificate.authority.display(),
    ));
    let hub = hub_setup.start().await;
    let token = setup.folder().join("hub-token");
    std::fs::write(&token, enrolment::add(&hub_setup, SERVER).await).unwrap();
    let without = format!(
        "[collect]\ninterval = '200ms'\n[[server]]\nname = '{SERVER}'\n[[forward]]\nurl = '{}'\n\
         token_file = '{}'\nca_file = '{}'\n",
        url(hub.address).replace("http:", "https:"),
        token.display(),
        certificate.authority.display(),
    );
    setup.configure(&without);
    let agent = setup.start().await;
    let held = async || {
        let target = target(&agent).await;
        let error = target["error"].as_str()?.to_owned();
        (target["state"] == "held").then_some(error)
    };
    let (error, _) = wait_for("the hub's wish for a certificate", DEADLINE, held).await;
    for words in ["wants a certificate of ours", "`certificate` and `key`"] {
        assert!(error.contains(words) && agent.log().contains(words), "{error}");
    }
    wait_for("the hub's own words for it", DEADLINE, async || {
        hub.log()
            .contains("it has no certificate, and http.tls.client_ca asks for one")
            .then_some(())
    })
    .await;
    assert!(hub.raw(SERVER, "load1", 0).await.is_empty());

    let with = format!("certificate = '{}'\nkey = '{}'\n", own.display(), own_key.display());
    setup.configure(&(without + &with));
    agent.signal(Signal::HUP);
    hub.samples(SERVER, "load1", 0, 5).await;
    let target = target(&agent).await;
    assert_eq!(target["state"], "sending", "{target}");
}

/// The configuration of an agent of `hubs`, with the token of the administrator of one of them.
fn agent(of: &Setup, hubs: &[SocketAddr], protocol: &str) -> String {
    let urls = hubs.iter().map(|address| format!("\"http://{address}\""));
    format!(
        "[collect]\ninterval = \"200ms\"\n\n[[server]]\nname = \"{SERVER}\"\n\n\
         [[forward]]\nname = \"hub\"\nurls = [{}]\nprotocol = \"{protocol}\"\ntoken_file = \"{}\"\n",
        urls.collect::<Vec<_>>().join(", "),
        of.state().join("admin-token").display()
    )
}

/// Waits until the agent sends to this hub; returns what it says of that.
async fn sends_to(agent: &Daemon, hub: SocketAddr) -> Value {
    let look = async || {
        let since = now_ms() - 2_000;
        let target = target(agent).await;
        let sends = target["state"] == "sending" && target["url"] == url(hub);
        (sends && target["acknowledged_ms"].as_i64()? > since).then_some(target)
    };
    wait_for(&format!("samples sent to {hub}"), DEADLINE * 2, look).await.0
}

async fn in_use(agent: &Daemon) -> SocketAddr {
    let url = target(agent).await["url"].as_str().unwrap().to_owned();
    let authority = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    authority.parse().unwrap()
}

fn url(hub: SocketAddr) -> String {
    format!("http://{hub}/api/v1/write")
}

/// What the only target shows. A daemon that has just started answers before it has any.
async fn target(agent: &Daemon) -> Value {
    let look = async || agent.get("/forward").await["targets"].get(0).cloned();
    wait_for("a target", DEADLINE, look).await.0
}
