//! What reading all bundled plugins once a second costs, in the daemon and in their host.
//!
//! `cargo bench -p bartizan --bench plugin` prints CPU time per second and memory; it judges
//! nothing. The daemon's share is that of the plugin actor alone: no store, no page.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on should stop")]
#![expect(clippy::print_stdout, reason = "its figures are what it is for")]

use std::{fs, path::Path, sync::Arc, time::Duration};

use bartizan::{
    plugin::{
        Instance, InstanceSpec, InstanceState, PluginActor, PluginArguments, PluginCatalog,
        PluginFolder, PluginPort,
    },
    series::now_ms,
    supervision::Tree,
};
use ractor::Actor;
use rustix::time::{ClockId, clock_gettime};

const PLUGINS: [&str; 5] = ["cpu", "memory", "network", "disk", "load"];

/// How long it is measured.
const SECONDS: u32 = 20;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let folders = PluginFolder::search_path(&[], &[], &std::env::current_exe().unwrap());
    let (tree, port) = (Tree::default(), PluginPort::new(PluginCatalog::scan(&folders)));
    let node = tree.root().child("plugin", "plugin");
    let arguments = PluginArguments {
        catalog: Arc::default(),
        node: node.clone(),
        port: port.clone(),
        executable: env!("CARGO_BIN_EXE_bartizan").into(),
        memory_max: PluginArguments::MEMORY_MAX,
    };
    let (actor, _) = Actor::spawn(None, PluginActor, arguments).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = own_cpu();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let idle = (own_cpu() - idle) / 5.0;

    let start = tokio::time::Instant::now() + Duration::from_secs(3);
    let readers: Vec<_> =
        PLUGINS.map(|plugin| tokio::spawn(read(port.clone(), plugin, start))).into();
    tokio::time::sleep_until(start - Duration::from_millis(500)).await;
    let host = node.view().children[0].detail.clone().unwrap().replace("pid ", "");
    let (ours, theirs) = (own_cpu(), cpu_of(&host));
    // The host ends with its last instance, and its figures with it.
    let mut instances = Vec::new();
    let (mut samples, mut took) = (0, Duration::ZERO);
    for reader in readers {
        let (read, within, instance) = reader.await.unwrap();
        samples += read;
        took += within;
        instances.push(instance);
    }
    let (ours, theirs) = (own_cpu() - ours, cpu_of(&host) - theirs);
    let seconds = f64::from(SECONDS);
    let (ours, theirs) = (ours / seconds, theirs / seconds);
    println!("{} plugins at 1 Hz, {} samples a second", PLUGINS.len(), samples / SECONDS as usize);
    println!("daemon  {ours:6.0} µs/s (idle {idle:.0} µs/s)");
    let within = took.as_secs_f64() * 1e6 / seconds;
    println!(
        "host    {theirs:6.0} µs/s, {within:.0} µs/s of it within plugins (by the clock on the wall)"
    );
    println!("memory  daemon {} kB, host {} kB (PSS)", pss_of("self"), pss_of(&host));
    actor.stop_and_wait(None, Some(Duration::from_secs(5))).await.unwrap();
}

/// Reads one plugin each second; how many samples came, how long the plugin took for them,
/// and the instance.
async fn read(
    port: PluginPort,
    plugin: &str,
    start: tokio::time::Instant,
) -> (usize, Duration, Instance) {
    let mut instance = port.open(InstanceSpec {
        server: "bench".into(),
        collector: plugin.into(),
        plugin: plugin.into(),
        config: Default::default(),
        interval: Duration::from_secs(1),
        again: false,
    });
    let settled = |state: &InstanceState| {
        matches!(state, InstanceState::Ready | InstanceState::Parked { .. })
    };
    let state = instance.states().wait_for(settled).await.unwrap().clone();
    assert_eq!(state, InstanceState::Ready, "{plugin}");
    let (mut samples, mut took) = (0, Duration::ZERO);
    for round in 0..SECONDS {
        tokio::time::sleep_until(start + Duration::from_secs(1) * round).await;
        match instance.collect(now_ms()).await {
            Ok(reading) => {
                samples += reading.samples.len();
                took += reading.took;
            }
            Err(error) => println!("{plugin}: {error}"),
        }
    }
    (samples, took, instance)
}

/// CPU time of this process so far, in microseconds.
fn own_cpu() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as f64 * 1e6 + spent.tv_nsec as f64 / 1e3
}

/// CPU time of the threads of a host, none of which ends meanwhile, in microseconds.
fn cpu_of(process: &str) -> f64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of = |path: &Path| {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    threads.filter_map(|thread| of(&thread.ok()?.path())).sum::<f64>() / 1000.0
}

/// Proportional share of memory, in kB.
fn pss_of(process: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.map_or("?", |line| line.trim().trim_end_matches(" kB")).to_owned()
}
