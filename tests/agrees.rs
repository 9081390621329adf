//! What the API says of CPU, memory, disk and network agrees with what the system itself says at the same moment.
//!
//! A witness reads the system every few milliseconds while the daemon collects. Each sample is then compared with what
//! the witness saw around its instant. Counters must lie between two readings; ratios may differ by what a few ticks of
//! the kernel's clock amount to.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    collections::BTreeMap,
    fs,
    hint::black_box,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use bartizan_tests::{Daemon, History, Setup, now_ms};
use serde_json::Value;

const CONFIG: &str = "[[server]]\nname = \"here\"\n";

/// How far the instant of a sample and the reading itself may be apart on a busy machine.
const SLACK_MS: i64 = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cpu_agrees_with_proc_stat() {
    let witness = Witness::new(|| {
        let stat = fs::read_to_string("/proc/stat").unwrap();
        let ticks = stat.lines().next().unwrap().split_whitespace().skip(1);
        let ticks: Vec<f64> = ticks.map(|ticks| ticks.parse().unwrap()).collect();
        // user nice system idle iowait irq softirq steal; guest is in user already.
        (ticks[..8].iter().sum::<f64>(), ticks[3] + ticks[4])
    });
    let load = Load::new();
    let (_setup, daemon) = start().await;
    let samples = daemon.samples("here", "cpu_usage_ratio", now_ms(), 8).await.points;
    drop(load);
    let seen = witness.seen();

    let mut errors = Vec::new();
    for pair in samples.windows(2) {
        let [(all_before, idle_before), (all, idle)] =
            [pair[0].0, pair[1].0].map(|at| nearest(&seen, at));
        let expected = 1.0 - (idle - idle_before) / (all - all_before);
        errors.push((pair[1].1.unwrap() - expected).abs());
    }
    judge("cpu_usage_ratio", errors, 0.06);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_agrees_with_proc_meminfo() {
    let witness = Witness::new(|| {
        let text = fs::read_to_string("/proc/meminfo").unwrap();
        let kilobytes = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<f64>().unwrap()
        };
        (kilobytes("MemTotal:") * 1024.0, kilobytes("MemAvailable:") * 1024.0)
    });
    let (_setup, daemon) = start().await;
    let began = now_ms();
    let ratios = daemon.samples("here", "memory_usage_ratio", began, 5).await.points;
    let available = daemon.samples("here", "memory_available_bytes", began, 5).await.points;
    let total = daemon.samples("here", "memory_total_bytes", began, 1).await.points;
    let seen = witness.seen();

    let (all, _) = seen[0].1;
    assert_eq!(total[0].1, Some(all), "memory_total_bytes");
    let errors = ratios.iter().map(|&(at, ratio)| {
        let (all, available) = nearest(&seen, at);
        (ratio.unwrap() - (1.0 - available / all)).abs()
    });
    judge("memory_usage_ratio", errors.collect(), 0.01);
    let errors =
        available.iter().map(|&(at, bytes)| (bytes.unwrap() - nearest(&seen, at).1).abs() / all);
    judge("memory_available_bytes / total", errors.collect(), 0.01);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn network_agrees_with_ip() {
    let witness = Witness::new(|| {
        let output = Command::new("ip").args(["-s", "-json", "link"]).output().unwrap();
        let links: Value = serde_json::from_slice(&output.stdout).unwrap();
        let links = links.as_array().unwrap().iter().map(|link| {
            let count = |way: &str, what: &str| link["stats64"][way][what].as_f64().unwrap();
            let counts = [
                ("network_receive_bytes_total", count("rx", "bytes")),
                ("network_transmit_bytes_total", count("tx", "bytes")),
                ("network_receive_packets_total", count("rx", "packets")),
                ("network_transmit_packets_total", count("tx", "packets")),
            ];
            (link["ifname"].as_str().unwrap().to_owned(), BTreeMap::from(counts))
        });
        links.collect::<BTreeMap<_, _>>()
    });
    let (_setup, daemon) = start().await;
    let began = now_ms();
    // What is read here passes the loopback interface, so its counters move.
    daemon.samples("here", "network_receive_bytes_total", began, 5).await;
    let until = now_ms();
    let mut series = Vec::new();
    for metric in [
        "network_receive_bytes_total",
        "network_transmit_bytes_total",
        "network_receive_packets_total",
        "network_transmit_packets_total",
    ] {
        series.extend(daemon.raw("here", metric, began).await.into_iter().map(|one| (metric, one)));
    }
    // The last sample needs a reading after it.
    tokio::time::sleep(Duration::from_millis(SLACK_MS.unsigned_abs() * 2)).await;
    let seen = witness.seen();

    let mut compared = 0;
    for (metric, History { labels, points, .. }) in &series {
        let interface = &labels["interface"];
        let count = |links: &BTreeMap<String, BTreeMap<&str, f64>>| links[interface][metric];
        for &(at, value) in points.iter().filter(|(at, _)| *at <= until) {
            let before = seen.iter().rev().find(|(when, _)| *when < at - SLACK_MS);
            let after = seen.iter().find(|(when, _)| *when > at + SLACK_MS);
            let (Some((_, before)), Some((_, after))) = (before, after) else { continue };
            let (least, value, most) = (count(before), value.unwrap(), count(after));
            assert!(
                least <= value && value <= most,
                "{metric} of {interface} is {value}, ip says {least} to {most}"
            );
            compared += 1;
        }
    }
    let links = &seen[0].1;
    let known: Vec<_> =
        series.iter().filter(|(metric, _)| *metric == "network_receive_bytes_total").collect();
    assert_eq!(known.len(), links.len(), "every interface that ip knows: {:?}", links.keys());
    assert!(compared >= 4 * links.len(), "only {compared} samples compared");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_agrees_with_df() {
    let (_setup, daemon) = start().await;
    let before = df();
    let began = now_ms();
    daemon.samples("here", "disk_usage_ratio", began, 2).await;
    let mut by_metric = BTreeMap::new();
    for metric in
        ["disk_total_bytes", "disk_used_bytes", "disk_available_bytes", "disk_usage_ratio"]
    {
        by_metric.insert(metric, daemon.raw("here", metric, began).await);
    }
    let after = df();

    let value = |metric: &str, mount: &str| {
        let mut series = by_metric[metric].iter();
        let series = series.find(|series| series.labels["mount"] == mount)?;
        series.points.last()?.1
    };
    let mounts: Vec<_> =
        by_metric["disk_usage_ratio"].iter().map(|series| series.labels["mount"].clone()).collect();
    assert!(mounts.iter().any(|mount| mount == "/"), "the root is among {mounts:?}");
    for mount in mounts {
        let (Some(before), Some(after)) = (before.get(&mount), after.get(&mount)) else {
            panic!("df knows no {mount}");
        };
        let [total, used, available] =
            ["disk_total_bytes", "disk_used_bytes", "disk_available_bytes"]
                .map(|metric| value(metric, &mount).unwrap());
        assert_eq!(total, after[0], "size of {mount}");
        // Others write to the disk meanwhile: a quarter of a GiB in these seconds.
        for (what, said, at) in [("used", used, 1), ("available", available, 2)] {
            let (least, most) = (before[at].min(after[at]), before[at].max(after[at]));
            let near = least - 2e8 <= said && said <= most + 2e8;
            assert!(near, "{what} of {mount} is {said}, df says {least} to {most}");
        }
        let ratio = value("disk_usage_ratio", &mount).unwrap();
        assert!((ratio - used / (used + available)).abs() < 0.001, "{mount}: {ratio}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seconds_that_are_counted_agree_with_proc() {
    let number = |text: &str| -> f64 { text.parse().unwrap() };
    let witness = Witness::new(move || {
        let pressure = fs::read_to_string("/proc/pressure/cpu").unwrap();
        let (_, waited_us) = pressure.lines().next().unwrap().split_once("total=").unwrap();
        let disks = fs::read_to_string("/proc/diskstats").unwrap();
        let busy = disks.lines().map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            (fields[2].to_owned(), number(fields[12]) / 1e3)
        });
        let cpu = (String::new(), number(waited_us) / 1e6);
        BTreeMap::from_iter(busy.chain([cpu]))
    });
    let load = Load::new();
    let (_setup, daemon) = start().await;
    let began = now_ms();
    let mut series = Vec::new();
    for metric in ["pressure_cpu_waiting_seconds_total", "disk_io_seconds_total"] {
        daemon.samples("here", metric, began, 5).await;
        series.extend(daemon.raw("here", metric, began).await.into_iter().map(|one| (metric, one)));
    }
    drop(load);
    // The last sample needs a reading after it.
    tokio::time::sleep(Duration::from_millis(SLACK_MS.unsigned_abs() * 2)).await;
    let seen = witness.seen();

    for (metric, History { labels, points, .. }) in &series {
        let device = labels.get("device").map_or("", String::as_str);
        for &(at, value) in points {
            let before = seen.iter().rev().find(|(when, _)| *when < at - SLACK_MS);
            let after = seen.iter().find(|(when, _)| *when > at + SLACK_MS);
            let (Some((_, before)), Some((_, after))) = (before, after) else { continue };
            let (least, value, most) = (before[device], value.unwrap(), after[device]);
            // The kernel brings its own counts up to date while it is asked.
            let fine = least - 0.01 <= value && value <= most + 0.01;
            assert!(fine, "{metric} of `{device}` is {value}, the kernel says {least} to {most}");
        }
        eprintln!("{metric} of `{device}`: {} samples", points.len());
    }
    assert!(series.len() > 1, "the pressure and a disk");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_and_uptime_agree_with_proc() {
    let first_number = |path: &str| -> f64 {
        let text = fs::read_to_string(path).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    };
    let witness =
        Witness::new(move || (first_number("/proc/loadavg"), first_number("/proc/uptime")));
    let (_setup, daemon) = start().await;
    let began = now_ms();
    let loads = daemon.samples("here", "load1", began, 4).await.points;
    let uptimes = daemon.samples("here", "uptime_seconds", began, 4).await.points;
    let seen = witness.seen();

    let errors = loads.iter().map(|&(at, load)| (load.unwrap() - nearest(&seen, at).0).abs());
    judge("load1", errors.collect(), 0.011);
    let errors = uptimes.iter().map(|&(at, up)| (up.unwrap() - nearest(&seen, at).1).abs());
    judge("uptime_seconds", errors.collect(), 0.5);
}

async fn start() -> (Setup, Daemon) {
    let setup = Setup::new(CONFIG);
    let daemon = setup.start().await;
    (setup, daemon)
}

/// One late reading on a busy machine is no disagreement; half of them are.
#[track_caller]
fn judge(what: &str, mut errors: Vec<f64>, allowed: f64) {
    errors.sort_by(f64::total_cmp);
    let (median, worst) = (errors[errors.len() / 2], errors[errors.len() - 1]);
    eprintln!("{what}: median error {median:.4}, worst {worst:.4}, of {}", errors.len());
    assert!(median <= allowed, "{what} differs by {median} in the median: {errors:?}");
}

fn nearest<T: Clone>(seen: &[(i64, T)], at: i64) -> T {
    seen.iter().min_by_key(|(when, _)| (when - at).abs()).unwrap().1.clone()
}

/// Size, used and available of every mount, in bytes, as `df` says.
fn df() -> BTreeMap<String, [f64; 3]> {
    let output = Command::new("df")
        .args(["--all", "--block-size=1", "--output=size,used,avail,target"])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace();
        let numbers =
            [fields.next()?, fields.next()?, fields.next()?].map(|field| field.parse().ok());
        let [Some(size), Some(used), Some(available)] = numbers else { return None };
        Some((fields.collect::<Vec<_>>().join(" "), [size, used, available]))
    });
    lines.collect()
}

/// Reads something again and again in a thread of its own, and remembers when.
struct Witness<T> {
    done: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<(i64, T)>>,
}

impl<T: Send + 'static> Witness<T> {
    fn new(look: impl Fn() -> T + Send + 'static) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let asked = done.clone();
        let thread = thread::spawn(move || {
            let mut seen = Vec::new();
            while !asked.load(Ordering::Relaxed) {
                seen.push((now_ms(), look()));
                thread::sleep(Duration::from_millis(10));
            }
            seen
        });
        Self { done, thread }
    }

    fn seen(self) -> Vec<(i64, T)> {
        self.done.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Keeps one core busy in turns of 700 ms, so that CPU time is worth comparing.
struct Load(Arc<AtomicBool>);

impl Load {
    fn new() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let asked = done.clone();
        thread::spawn(move || {
            while !asked.load(Ordering::Relaxed) {
                let until = now_ms() + 700;
                while now_ms() < until {
                    black_box(until);
                }
                thread::sleep(Duration::from_millis(700));
            }
        });
        Self(done)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
