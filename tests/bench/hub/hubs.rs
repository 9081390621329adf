//! Past one hub: agents choose among three by rendezvous hashing, one of them is killed, all forward to one
//! VictoriaMetrics; in the end nothing is missing there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    time::{Duration, Instant},
};

use bartizan_tests::{
    DEADLINE, Daemon, Setup,
    contents::Contents,
    dial::{self, Dials, METRIC},
    enrolment,
    http::{self, escape},
    measured::{HUB, Receiver},
    now_ms, rounds, wait_for,
};
use serde_json::Value;
use tokio::time::sleep;

use super::number;

/// Every hub takes the same token, since an agent has one for all of them.
const TOKEN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// Dials of one agent.
const DIALS: usize = 10;

/// Longest that is waited until all is there.
const PATIENCE: Duration = Duration::from_secs(180);

/// Samples by series and time, with how often each is there.
type Samples = BTreeMap<(String, i64), (u64, usize)>;

struct Agent {
    name: String,
    daemon: Daemon,
    dials: Dials,
    _setup: Setup,
}

/// The whole part.
pub(crate) async fn run() {
    let first = Setup::new("");
    let Some(victoria) = Receiver::victoria(first.folder()).await else {
        eprintln!("three hubs: VictoriaMetrics is missing: install victoria-metrics");
        return;
    };
    let seconds = rounds(20, 200) as u64;
    let hub_setups: Vec<Setup> = (0..3).map(|_| hub(&first, victoria.address)).collect();
    let mut hubs = Vec::new();
    for setup in &hub_setups {
        hubs.push(setup.start().await);
    }
    let addresses: Vec<SocketAddr> = hubs.iter().map(|hub| hub.address).collect();
    let began = now_ms();
    let mut agents = Vec::new();
    for number in 0..number("BARTIZAN_AGENTS", 6) {
        agents.push(Agent::start(&first, number, &addresses).await);
    }
    eprintln!("{} agents, three hubs, one VictoriaMetrics", agents.len());
    run_for(&mut agents, seconds).await;
    let chosen = chosen(&hubs, &agents).await;
    let shown: Vec<usize> = chosen.iter().map(BTreeSet::len).collect();
    eprintln!("  agents of each hub: {shown:?}");

    let most = (0..3).max_by_key(|&hub| chosen[hub].len()).unwrap();
    hubs[most].kill();
    let (killed, mut moved) = (Instant::now(), None);
    let others: Vec<&Daemon> = (0..3).filter(|&hub| hub != most).map(|hub| &hubs[hub]).collect();
    while moved.is_none() && killed.elapsed() < PATIENCE {
        run_for(&mut agents, 1).await;
        let mut fresh = 0;
        for name in &chosen[most] {
            for hub in &others {
                fresh += usize::from(!hub.raw(name, METRIC, now_ms() - 3_000).await.is_empty());
            }
        }
        moved = (fresh >= chosen[most].len()).then(|| killed.elapsed());
    }
    match moved {
        Some(took) => eprintln!("  its agents are fresh at another hub {took:.1?} after the kill"),
        None => eprintln!("  its agents have NOT come to another hub within {PATIENCE:?}"),
    }
    run_for(&mut agents, seconds).await;
    hubs[most] = hub_setups[most].start().await;
    run_for(&mut agents, seconds).await;

    let until = now_ms();
    for agent in &agents {
        agent.daemon.samples(&agent.name, METRIC, until, 2).await;
    }
    let (mut missing, mut twice, mut all) = (0, 0, 0);
    let ended = Instant::now();
    while ended.elapsed() < PATIENCE {
        (missing, twice, all) = (0, 0, 0);
        for agent in &agents {
            let ours = Contents::of(&agent.daemon, &agent.name, began, until).await;
            let theirs = exported(&victoria, &agent.name, began, until).await;
            all += ours.samples.len();
            missing += ours
                .samples
                .iter()
                .filter(|(at, bits)| theirs.get(at).is_none_or(|(seen, _)| seen != *bits))
                .count();
            twice += theirs.values().filter(|(_, times)| *times > 1).count();
        }
        if missing == 0 {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    eprintln!(
        "  {all} samples of the agents: {missing} missing in VictoriaMetrics, {twice} there twice (it keeps what two hubs \
         have both sent), after {:.1?}",
        ended.elapsed()
    );
}

/// A hub that forwards to VictoriaMetrics.
fn hub(first: &Setup, victoria: SocketAddr) -> Setup {
    let forward =
        format!("[[forward]]\nname = \"victoria\"\nurl = \"http://{victoria}/api/v1/write\"\n");
    let setup = first.beside(&format!("{HUB}{forward}"));
    fs::create_dir(setup.state()).unwrap();
    let mut file = fs::OpenOptions::new();
    let file =
        file.create_new(true).write(true).mode(0o600).open(setup.state().join("admin-token"));
    std::io::Write::write_all(&mut file.unwrap(), TOKEN.as_bytes()).unwrap();
    setup
}

impl Agent {
    async fn start(first: &Setup, number: usize, hubs: &[SocketAddr]) -> Self {
        let name = format!("agent-{number}");
        // By the name of its machine an agent chooses its hub.
        let setup = first.beside("").on_machine(&name).plugin(&dial::plugin());
        let mut dials = Dials::new(setup.folder(), &name);
        for dial in 0..DIALS {
            dials.turn(&format!("d{dial}"), 0.0);
        }
        let forward = enrolment::forward(&setup, TOKEN, hubs);
        setup.configure(&format!("{}{forward}", dials.server("1s")));
        let daemon = setup.start().await;
        daemon.samples(&name, METRIC, 0, 1).await;
        Self { name, daemon, dials, _setup: setup }
    }
}

/// Turns dials for so many seconds.
async fn run_for(agents: &mut [Agent], seconds: u64) {
    for _ in 0..seconds * 2 {
        for agent in &mut *agents {
            let dial = fastrand::usize(..DIALS);
            agent.dials.turn(&format!("d{dial}"), fastrand::f64().mul_add(100.0, 0.5).round());
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// The agents of each hub: those that it has fresh samples of.
async fn chosen(hubs: &[Daemon], agents: &[Agent]) -> Vec<BTreeSet<String>> {
    let look = async || {
        let mut chosen = vec![BTreeSet::new(); hubs.len()];
        for (hub, chosen) in hubs.iter().zip(&mut chosen) {
            for agent in agents {
                if !hub.raw(&agent.name, METRIC, now_ms() - 5_000).await.is_empty() {
                    chosen.insert(agent.name.clone());
                }
            }
        }
        (chosen.iter().map(BTreeSet::len).sum::<usize>() >= agents.len()).then_some(chosen)
    };
    wait_for("every agent to be at a hub", DEADLINE, look).await.0
}

/// What VictoriaMetrics has of an agent.
async fn exported(victoria: &Receiver, server: &str, from: i64, to: i64) -> Samples {
    let selector = escape(&format!("{{server=\"{server}\",__name__=\"{METRIC}\"}}"));
    // It takes times as seconds, and gives those in between too.
    let (start, end) = (from / 1_000, to / 1_000 + 1);
    let path =
        format!("/api/v1/export?match%5B%5D={selector}&start={start}&end={end}&reduce_mem_usage=1");
    let answer = http::get(victoria.address, &path).await.unwrap();
    let mut samples = Samples::new();
    for line in answer.text().lines() {
        let series: Value = serde_json::from_str(line).unwrap();
        let labels = series["metric"].as_object().unwrap();
        let lifted = ["__name__", "server", "collector"];
        let own: BTreeMap<_, _> =
            labels.iter().filter(|(name, _)| !lifted.contains(&name.as_str())).collect();
        let name = format!("{METRIC}{}", serde_json::json!(own));
        let times = series["timestamps"].as_array().unwrap().iter();
        for (time, value) in times.zip(series["values"].as_array().unwrap()) {
            // A stale marker comes as null.
            let (Some(time), Some(value)) = (time.as_i64(), value.as_f64()) else { continue };
            if (from..to).contains(&time) {
                let entry = samples.entry((name.clone(), time)).or_insert((value.to_bits(), 0));
                entry.1 += 1;
            }
        }
    }
    samples
}
