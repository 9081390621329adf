//! `kill -9` at random points of the store's life: nothing that it has acknowledged is lost, wrong or there twice, in no
//! tier.
//!
//! A generation begins with the folder that the first version has left, and goes through days within seconds: blocks
//! are sealed, days settled, weeks folded, the oldest samples dropped, and all of that killed in the middle.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan_tests::{
    Finished, SEED, Setup,
    memory::{Compared, DAY_MS, Key, Memory},
    now_ms, repository, rounds,
    wire::Written,
    writer::Writer,
};
use fastrand::Rng;
use tokio::sync::Mutex;

/// How many kills there are between writing and comparing, and how many of them in the long run.
const ROUNDS: (usize, usize) = (25, 500);
/// As many with one store; the next begins with the first version again.
const GENERATION: usize = 25;

/// Series of each half; a half is a request of its own, so that they are kept in lanes beside each other.
const GAUGES: usize = 4;
/// Rows of a request.
const ROWS: i64 = 400;
const STEP_MS: i64 = 20_000;
const MAX_BYTES: u64 = 64 << 20;
/// What the folder keeps free of that for its state.
const SPARED: u64 = 8 << 20;

/// What a life does beside writing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    Plain,
    /// Samples are kept for a while only.
    Ages,
    /// The folder is nearly full.
    Full,
}

/// When a daemon is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    After(Duration),
    /// So long after the next segment is begun or finished, or deleted.
    Segment(Duration),
    /// So long after the next one is deleted.
    Deleted(Duration),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_wrong_or_there_twice_whenever_it_is_killed() {
    let rounds = rounds(ROUNDS.0, ROUNDS.1);
    let seed = std::env::var("BARTIZAN_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut random = Rng::with_seed(seed.unwrap_or(SEED));
    let (mut kills, mut half_done, mut gone, mut compared) = (0, 0, 0, Compared::default());
    let began = Instant::now();
    for first in (0..rounds).step_by(GENERATION) {
        let mut generation = Generation::new(random.fork());
        for round in first..rounds.min(first + GENERATION) {
            generation.round(round - first).await;
        }
        generation.end().await;
        assert!(generation.folded > 0, "no week was folded");
        kills += generation.kills;
        half_done += generation.half_done;
        gone += generation.memory.lock().await.gone();
        compared.samples += generation.compared.samples;
        compared.buckets += generation.compared.buckets;
    }
    let Compared { samples, buckets } = compared;
    eprintln!(
        "{rounds} rounds, {kills} kills in {:.1?}, of which {half_done} segments were left half done; {samples} \
         samples, and {buckets} minutes and hours, were as they must be; retention has taken {gone} samples",
        began.elapsed(),
    );
    assert!(gone > 0, "no sample was dropped");
}

/// One store, from the first version on.
struct Generation {
    setup: Setup,
    memory: Arc<Mutex<Memory>>,
    random: Rng,
    /// Where the next rows begin.
    next_ms: i64,
    /// What was sent last and not answered: it is sent again.
    pending: Arc<Mutex<Option<Request>>>,
    kills: usize,
    compared: Compared,
    /// Segments that a kill had left and the next start took away.
    half_done: usize,
    /// Segments of the hour tier at the end.
    folded: usize,
}

/// Rows of one half of the series.
#[derive(Clone)]
struct Request(Vec<(Key, Vec<(i64, f64)>)>);

impl Generation {
    fn new(random: Rng) -> Self {
        let setup = Setup::new("");
        let stores = repository().join("tests/stores");
        let mut unpack = Command::new("tar");
        unpack
            .args(["--extract", "--no-same-owner", "--file"])
            .arg(stores.join("version-1.tar.gz"));
        assert!(unpack.arg("--directory").arg(setup.folder()).status().unwrap().success());
        fs::rename(setup.folder().join("store"), setup.state()).unwrap();
        let mut memory = Memory::default();
        let csv = fs::read_to_string(stores.join("samples.csv")).unwrap();
        csv.lines().skip(1).for_each(|line| remember(&mut memory, line));
        let last_day = memory.days().last().copied().unwrap();
        Self {
            setup,
            memory: Arc::new(Mutex::new(memory)),
            random,
            next_ms: (last_day + 1) * DAY_MS,
            pending: Arc::default(),
            kills: 0,
            compared: Compared::default(),
            half_done: 0,
            folded: 0,
        }
    }

    /// A life that may be cut short, and one that compares, writes, and is killed.
    async fn round(&mut self, round: usize) {
        self.configure(Mode::Plain).await;
        if self.random.u8(..3) == 0 {
            let mut daemon = self.setup.spawn();
            let moment = match self.random.bool() {
                true => Moment::After(Duration::from_micros(self.random.u64(..250_000))),
                false => Moment::Segment(Duration::from_micros(self.random.u64(..4_000))),
            };
            self.wait(moment, Duration::from_millis(400)).await;
            daemon.kill();
            self.kills += 1;
        }
        let mode = match round % 6 {
            3 => Mode::Ages,
            5 => Mode::Full,
            _ => Mode::Plain,
        };
        self.configure(mode).await;
        let mut daemon = self.setup.start().await;
        let days: Vec<i64> = self.memory.lock().await.days().into_iter().collect();
        // What is new, and something old.
        let old = self.random.usize(..days.len());
        let days: BTreeSet<i64> = days.iter().rev().take(3).chain(days.get(old)).copied().collect();
        self.compare(&daemon, days).await;

        let writer = Writer::new(self.setup.address, Some(&self.setup.admin_token()));
        // Days pass, and sometimes weeks.
        self.next_ms += DAY_MS * self.random.i64(0..3) + self.random.i64(31..900) * STEP_MS;
        let writes = Writes {
            memory: self.memory.clone(),
            pending: self.pending.clone(),
            random: self.random.fork(),
            next_ms: self.next_ms,
        };
        let writing = tokio::spawn(writes.run(writer));
        let moment = match self.random.u8(..5) {
            // The first look for what is too old comes after two seconds.
            _ if mode == Mode::Ages => {
                Moment::Deleted(Duration::from_micros(self.random.u64(..12_000)))
            }
            0 | 1 => Moment::After(Duration::from_micros(self.random.u64(..900_000))),
            _ => Moment::Segment(Duration::from_micros(self.random.u64(..12_000))),
        };
        let most = if mode == Mode::Ages { 2_600 } else { 1_100 };
        self.wait(moment, Duration::from_millis(most)).await;
        daemon.kill();
        self.kills += 1;
        self.next_ms = writing.await.unwrap();
        let mut memory = self.memory.lock().await;
        if mode == Mode::Full {
            // Which segments gave way is not known.
            (memory.raw_from, memory.tiers_from) = (self.next_ms, self.next_ms);
        }
    }

    /// The last life: everything is compared, and afterwards the folder is whole.
    async fn end(&mut self) {
        self.configure(Mode::Plain).await;
        let mut daemon = self.setup.start().await;
        let days = self.memory.lock().await.days();
        self.compare(&daemon, days).await;
        let log = daemon.log();
        daemon.kill();
        self.kills += 1;
        let damaged = log.lines().find(|line| line.contains("damaged"));
        assert_eq!(damaged, None, "a kill damages nothing");
        self.half_done = log.matches("what a crash had left half done").count();
        let mut check = self.setup.command(&["store", "check", "--state"]);
        check.arg(self.setup.state());
        let checked = Finished::of(check).await;
        assert_eq!(checked.code, Some(0), "{checked:?}");
        self.folded = files_below(&self.setup.state().join("segments/hour")).len();
    }

    async fn compare(&mut self, daemon: &bartizan_tests::Daemon, days: BTreeSet<i64>) {
        let mut memory = self.memory.lock().await;
        for day in days {
            let compared = memory.compare(daemon, day).await;
            self.compared.samples += compared.samples;
            self.compared.buckets += compared.buckets;
        }
    }

    /// Makes ready for a life of this mode.
    async fn configure(&mut self, mode: Mode) {
        let mut raw = "90y".to_owned();
        let full = self.setup.state().join("ballast");
        let _ = fs::remove_file(&full);
        match mode {
            Mode::Plain => {}
            Mode::Ages => {
                let days = self.random.i64(2..10);
                let from_ms = self.next_ms - days * DAY_MS;
                let mut memory = self.memory.lock().await;
                memory.raw_from = memory.raw_from.max(from_ms);
                raw = format!("{}s", (now_ms() - from_ms) / 1000);
            }
            Mode::Full => {
                // Others' files count too: there is room for a part of what there is, and for the log.
                let used = bytes_below(&self.setup.state());
                let segments = bytes_below(&self.setup.state().join("segments"));
                let ballast = MAX_BYTES - SPARED - used + segments * self.random.u64(..6) / 8;
                File::create(&full).unwrap().set_len(ballast).unwrap();
                let mut memory = self.memory.lock().await;
                (memory.raw_from, memory.tiers_from) = (self.next_ms, self.next_ms);
            }
        }
        self.setup.configure(&format!(
            "[[server]]\nname = \"load\"\nremote = true\n\n[store]\nmax_bytes = \"{MAX_BYTES}B\"\n\n[store.retention]\nraw = \"{raw}\"\n\
             minute = \"90y\"\nhour = \"90y\"\n"
        ));
    }

    /// Waits for the moment, but no longer than `most`.
    async fn wait(&self, moment: Moment, most: Duration) {
        let began = Instant::now();
        let segments = self.setup.state().join("segments");
        let (time, only_deleted) = match moment {
            Moment::After(time) => return tokio::time::sleep(time).await,
            Moment::Segment(time) => (time, false),
            Moment::Deleted(time) => (time, true),
        };
        let waited = tokio::task::spawn_blocking(move || {
            let before = files_below(&segments);
            while began.elapsed() < most {
                let now = files_below(&segments);
                let is_it = if only_deleted { !before.is_subset(&now) } else { before != now };
                if is_it {
                    return time;
                }
                std::thread::sleep(Duration::from_micros(300));
            }
            Duration::ZERO
        });
        let after = waited.await.unwrap();
        tokio::time::sleep(after).await;
    }
}

/// Writes until the daemon is gone.
struct Writes {
    memory: Arc<Mutex<Memory>>,
    pending: Arc<Mutex<Option<Request>>>,
    random: Rng,
    next_ms: i64,
}

impl Writes {
    /// Answers when the next rows begin.
    async fn run(mut self, mut writer: Writer) -> i64 {
        let before = self.pending.lock().await.clone();
        let mut waiting: Vec<Request> = before.into_iter().collect();
        loop {
            let Some(request) = waiting.pop() else {
                let rows = self.random.i64(1..=ROWS);
                waiting = (0..2).map(|half| self.request(half, rows)).collect();
                self.next_ms += rows * STEP_MS;
                if self.random.u8(..40) == 0 {
                    self.next_ms += DAY_MS;
                }
                continue;
            };
            let mut memory = self.memory.lock().await;
            for (key, samples) in &request.0 {
                samples.iter().for_each(|(at, value)| memory.sent(key, STEP_MS, *at, *value));
            }
            drop(memory);
            *self.pending.lock().await = Some(request.clone());
            let Ok(answer) = writer.write(&request.written()).await else { return self.next_ms };
            // What is sealed already is not recognised when it comes again, and refused as late: it must be there.
            let is_late = answer.status == 400 && answer.text().contains("older");
            if answer.status != 204 && !is_late {
                // There is no room at present.
                assert!([429, 503].contains(&answer.status), "{} {}", answer.status, answer.text());
                waiting.push(request);
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            let mut memory = self.memory.lock().await;
            for (key, samples) in &request.0 {
                samples.iter().for_each(|(at, _)| memory.acknowledged(key, *at));
            }
            *self.pending.lock().await = None;
        }
    }

    fn request(&mut self, half: usize, rows: i64) -> Request {
        let numbers = half * GAUGES..(half + 1) * GAUGES;
        let mut all = Vec::new();
        for number in numbers {
            let times = (0..rows).map(|row| self.next_ms + row * STEP_MS);
            // A counter, something constant, and values of few and of many digits.
            let metric = if number % GAUGES == 0 { "load_events_total" } else { "load_value" };
            let random = &mut self.random;
            let samples = times.map(|at_ms| {
                let value = match number % GAUGES {
                    0 => (at_ms / STEP_MS % 1_000_000_000) as f64 * 3.0 + number as f64,
                    1 => 1.0,
                    2 => f64::from(random.i32(-5_000..5_000)) / 100.0,
                    _ => random.f64() - 0.5,
                };
                (at_ms, value)
            });
            let samples = samples.collect();
            all.push((Key::new("load", metric, &number.to_string()), samples));
        }
        Request(all)
    }
}

impl Request {
    fn written(&self) -> Vec<Written> {
        let series = self.0.iter().map(|(key, samples)| {
            let labels =
                [("collector", "load"), ("number", key.label.as_str()), ("server", &key.server)];
            Written { samples: samples.clone(), ..Written::new(&key.metric, &labels) }
        });
        series.collect()
    }
}

/// Remembers a line of an export.
fn remember(memory: &mut Memory, line: &str) {
    let fields: Vec<&str> = line.splitn(6, ',').collect();
    let at_ms = fields[0].parse().unwrap();
    let value = fields[1].split(':').next().unwrap().parse().unwrap();
    let label = line.split("=\"\"").nth(1).and_then(|rest| rest.split("\"\"").next());
    let key = Key::new(fields[2], fields[4], label.unwrap_or_default());
    memory.sent(&key, 60_000, at_ms, value);
    memory.acknowledged(&key, at_ms);
}

fn files_below(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { [path].into() })
        .collect()
}

fn bytes_below(folder: &Path) -> u64 {
    let bytes = |path: PathBuf| fs::symlink_metadata(path).map_or(0, |facts| facts.len());
    files_below(folder).into_iter().map(bytes).sum()
}
