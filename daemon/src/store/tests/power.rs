//! The power is cut: what was synced is there afterwards, nothing is wrong, and nothing is there twice.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use ractor::Actor;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::{
    super::{
        StoreActor, StorePort,
        disk_faults::{Call, Fault, How, Watch},
        state::Changes,
        syncing::DURABLE_WITHIN,
    },
    running::{LONG, Life, life},
    *,
};

/// A store under test and what it must know.
struct Model {
    folder: TempDir,
    watch: Watch,
    store: Opened,
    ids: Vec<SeriesId>,
    random: fastrand::Rng,
    /// Samples of each series that are acknowledged, by time, and whether they are durable.
    samples: Vec<BTreeMap<i64, (u64, bool)>>,
    /// What is kept for others.
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
    row: i64,
}

const SERIES: usize = 4;
/// How many of them are this node's own; the others come from elsewhere.
const OURS: usize = 2;

impl Model {
    fn new(seed: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let watch = Watch::new(folder.path());
        let store = open(folder.path());
        let mut model = Self {
            folder,
            watch,
            store,
            ids: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            samples: vec![BTreeMap::new(); SERIES],
            kept: BTreeMap::new(),
            row: 0,
        };
        model.name_series();
        model
    }

    fn name_series(&mut self) {
        let of = |n: usize| Series {
            collector: if n < OURS { "own" } else { "far" }.into(),
            ..series(&format!("load_{n}"), "")
        };
        self.ids = (0..SERIES).map(|n| self.store.catalog.intern(of(n)).unwrap()).collect();
    }

    /// Does something that a store does all day.
    fn step(&mut self) {
        match self.random.u8(..32) {
            0..16 => self.write(true),
            16..22 => self.write(false),
            22..26 => self.sync(),
            26 => self.store.store.writer.leave_file(),
            27 => self.store.store.keeper.seal(false).unwrap(),
            28 => self.seal_all(),
            29 => self.store.store.keeper.checkpoint().unwrap(),
            30 => self.store.store.keeper.index().unwrap(),
            _ => self.keep(),
        }
    }

    fn write(&mut self, is_ours: bool) {
        let columns = if is_ours { 0..OURS } else { OURS..SERIES };
        let mut frames = Vec::new();
        for _ in 0..self.random.usize(1..40) {
            self.row += 1;
            let at_ms = START_MS + self.row * 1000;
            let mut samples = Vec::new();
            for column in columns.clone() {
                let value = f64::from_bits(self.random.u64(..));
                samples.push((self.ids[column], value));
                self.samples[column].insert(at_ms, (value.to_bits(), false));
            }
            let collector = if is_ours { "own" } else { "far" }.into();
            frames.push(Frame { collector, ..frame(at_ms, &samples) });
        }
        if is_ours {
            self.store.write(frames);
        } else {
            let samples = frames.iter().map(|frame| frame.samples.len() as u64).sum();
            assert_eq!(self.store.arrive(frames), Kept { stored: samples, ..Kept::default() });
        }
    }

    fn sync(&mut self) {
        let (_, intake) = StorePort::new(1 << 20);
        self.store.store.shared.syncing.sync(&intake).unwrap();
        self.all_durable();
    }

    fn seal_all(&mut self) {
        self.store.seal();
        self.all_durable();
    }

    fn all_durable(&mut self) {
        self.samples.iter_mut().flat_map(BTreeMap::values_mut).for_each(|sample| sample.1 = true);
    }

    fn keep(&mut self) {
        let (key, value) = (vec![self.random.u8(..4)], vec![self.random.u8(..); 9]);
        let mut changes = Changes::default();
        changes.keep(&key, &value);
        let requests = self.store.store.keeper.state_requests().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(requests.keep(changes)).unwrap();
        self.kept.insert(key, value);
    }

    /// Cuts the power, and goes on with what is left.
    fn cut(self) -> Self {
        let Self { folder, watch, store, mut random, samples, kept, row, .. } = self;
        let left = TempDir::new().unwrap();
        watch.cut_power(left.path(), &mut random);
        drop((store, watch, folder));
        let watch = Watch::new(left.path());
        let mut store = open(left.path());
        assert_eq!(store.store.take_kept(), kept, "what was kept for others");
        let mut after = Vec::new();
        for (column, model) in samples.into_iter().enumerate() {
            let found = store.bits(&format!("load_{column}"));
            assert!(found.windows(2).all(|pair| pair[0].0 < pair[1].0), "twice, or out of order");
            for (at_ms, bits) in &found {
                assert_eq!(model.get(at_ms).map(|(bits, _)| bits), Some(bits), "at {at_ms}");
            }
            let found: BTreeMap<_, _> = found.into_iter().collect();
            let durable = model.iter().filter(|(_, (_, durable))| *durable);
            for (at_ms, _) in durable {
                assert!(found.contains_key(at_ms), "lost load_{column} at {at_ms}");
            }
            after.push(found.into_iter().map(|(at_ms, bits)| (at_ms, (bits, true))).collect());
        }
        let (ids, samples) = (Vec::new(), after);
        let mut next = Self { folder: left, watch, store, ids, random, samples, kept, row };
        next.name_series();
        next
    }
}

/// Takes note of how late this machine wakes who sleeps, until it is dropped: it has other things to do.
struct Lateness(Arc<Mutex<Duration>>);

impl Lateness {
    fn watch() -> Self {
        let worst = Arc::new(Mutex::new(Duration::ZERO));
        let noted = Arc::downgrade(&worst);
        thread::spawn(move || {
            const NAP: Duration = Duration::from_millis(5);
            loop {
                let began = Instant::now();
                thread::sleep(NAP);
                let Some(noted) = noted.upgrade() else { return };
                let mut noted = noted.lock().unwrap();
                *noted = began.elapsed().saturating_sub(NAP).max(*noted);
            }
        });
        Self(worst)
    }
}

/// How long some syncs of the log take.
const SLOW: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_costs_a_store_at_work_a_second_at_most_and_nothing_that_is_durable() {
    let folder = TempDir::new().unwrap();
    let watch = Watch::new(folder.path());
    let lateness = Lateness::watch();
    let Life { port, arguments, .. } = life(&folder, 1 << 20);
    let of = |metric: &str| Series { collector: metric.into(), ..series(metric, "") };
    let ids = ["own", "far"].map(|metric| arguments.catalog.intern(of(metric)).unwrap());
    let (actor, stopped) = Actor::spawn(None, StoreActor, arguments).await.unwrap();
    // Which rows were acknowledged, and when.
    let (own, far) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let row = |row: i64, id, collector: &str| Batch {
        frames: vec![Frame {
            collector: collector.into(),
            ..frame(START_MS + row * 1000, &[(id, row as f64)])
        }],
        gaps: Vec::new(),
    };
    let writing = {
        let (port, own) = (port.clone(), own.clone());
        tokio::spawn(async move {
            for number in 0.. {
                port.append(row(number, ids[0], "own")).wait().await.unwrap();
                own.lock().unwrap().push(Instant::now());
                sleep(Duration::from_millis(3)).await;
            }
        })
    };
    let arriving = {
        let far = far.clone();
        tokio::spawn(async move {
            for number in 0.. {
                port.arrive(row(number, ids[1], "far")).await.unwrap();
                far.lock().unwrap().push(Instant::now());
                if number % 16 == 15 {
                    // What is this node's own waits for nobody's sync then.
                    sleep(DURABLE_WITHIN * 2).await;
                }
            }
        })
    };
    let mut random = fastrand::Rng::with_seed(23);
    let (mut cuts, began) = (Vec::new(), Instant::now());
    for number in 0..60 {
        // Where the machine is late, it takes longer until something had to be there.
        let late = *lateness.0.lock().unwrap();
        let least = DURABLE_WITHIN + watch.longest_sync() + late + Duration::from_secs(2);
        if number >= 8 && began.elapsed() > least {
            break;
        }
        if number == 4 {
            let how = How::Takes(SLOW);
            watch.fault(Fault { call: Call::Sync, path: ".log", after: 0, times: 4, how });
        }
        sleep(Duration::from_millis(random.u64(200..900))).await;
        let (durable, left) = (far.lock().unwrap().len(), TempDir::new().unwrap());
        let cut = Instant::now();
        watch.cut_power(left.path(), &mut random);
        cuts.push((left, cut, durable));
    }
    writing.abort();
    arriving.abort();
    actor.stop(None);
    timeout(LONG, stopped).await.unwrap().unwrap();
    // Of the whole run: the longest may have been under way at a cut.
    let (longest, late) = (watch.longest_sync(), *lateness.0.lock().unwrap());
    eprintln!("the longest sync took {longest:?}, who slept woke {late:?} late");
    let written = own.lock().unwrap().clone();
    let mut most = (0, 0);
    for (left, cut, durable) in cuts {
        let old = written.partition_point(|at| cut - *at > DURABLE_WITHIN + longest + late);
        let store = open(left.path());
        for (metric, least) in [("own", old), ("far", durable)] {
            let found = store.bits(metric);
            assert!(found.len() >= least, "{metric}: {} of {least}", found.len());
            assert_eq!(found, expected(0..found.len() as i64), "{metric}");
        }
        most = (most.0.max(old), most.1.max(durable));
    }
    assert!(most.0 > 20 && most.1 > 10, "{most:?} of {} rows had to be there", written.len());
}

#[test]
fn a_power_cut_at_any_point_costs_what_was_not_synced_and_nothing_else() {
    let began = Instant::now();
    let mut cuts = 0;
    for seed in 0.. {
        let mut model = Model::new(seed);
        for _ in 0..4 {
            for _ in 0..model.random.usize(1..40) {
                model.step();
            }
            model = model.cut();
            cuts += 1;
        }
        if began.elapsed() > patience() {
            break;
        }
    }
    eprintln!("{cuts} cuts in {:?}", began.elapsed());
    assert!(cuts >= 8, "{cuts} cuts in {:?}", began.elapsed());
}
