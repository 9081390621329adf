//! A thousand hours of one server, seeded: gaps, restarts and acknowledgements, against a small model that
//! counts seconds instead of keeping times.

use super::*;
use crate::{
    config::{Limit, NoData, RuleConfig, Take},
    detect::Sentinel,
    series::{Catalog, Frame, Kind, Sample, Series, SeriesId},
};

const HOURS: i64 = 1000;
const SEED: u64 = 0xBA57_12A9;
const INTERVAL: i64 = 10;
const FRESH: i64 = 3 * INTERVAL;
const HOLD: [i64; 2] = [120, 60];
const CLEAR: i64 = 90;
const REMIND: i64 = 4 * 3600;
const VALUES: [f64; 5] = [0.5, 0.75, 0.85, 0.92, 0.99];
/// Nothing changes faster than this, so nothing flaps.
const DWELL: i64 = 301;

/// What the model knows, in seconds.
#[derive(Debug, Default, Clone)]
struct Model {
    /// Warning and critical: whether it counts, and for how many seconds the opposite has been true.
    on: [bool; 2],
    rising: [Option<i64>; 2],
    falling: [Option<i64>; 2],
    value: Option<f64>,
    age: i64,
    severity: Option<usize>,
    acknowledged: bool,
    remind_at: Option<i64>,
    told: Vec<(i64, &'static str)>,
}

impl Model {
    /// A second has passed; with it came `value`, or nothing.
    fn second(&mut self, now: i64, value: Option<f64>) {
        self.age += 1;
        if self.value.is_some() && self.age <= FRESH {
            let count = |counter: &mut Option<i64>| {
                if let Some(seconds) = counter {
                    *seconds += 1;
                }
            };
            self.rising.iter_mut().chain(&mut self.falling).for_each(count);
            self.turn();
        }
        if let Some(value) = value {
            (self.value, self.age) = (Some(value), 0);
            let limits = [(0.8, 0.7), (0.95, 0.9)];
            for (at, (limit, clear)) in limits.into_iter().enumerate() {
                let (beyond, fine) = (value > limit, value <= clear);
                if !self.on[at] {
                    self.rising[at] = match self.rising[at] {
                        None if beyond => Some(0),
                        Some(_) if fine => None,
                        same => same,
                    };
                } else {
                    self.falling[at] = if fine { self.falling[at].or(Some(0)) } else { None };
                }
            }
            self.turn();
        }
        self.tell(now);
    }

    fn turn(&mut self) {
        let beyond = [self.value > Some(0.8), self.value > Some(0.95)];
        for at in 0..2 {
            if self.rising[at].is_some_and(|seconds| seconds >= HOLD[at]) && beyond[at] {
                (self.on[at], self.rising[at]) = (true, None);
            }
            if self.falling[at].is_some_and(|seconds| seconds >= CLEAR) {
                (self.on[at], self.falling[at]) = (false, None);
            }
        }
        if self.on[1] && self.falling[1].is_none() && !self.on[0] {
            (self.on[0], self.rising[0], self.falling[0]) = (true, None, None);
        }
    }

    fn tell(&mut self, now: i64) {
        let severity = if self.on[1] {
            Some(1)
        } else if self.on[0] {
            Some(0)
        } else {
            None
        };
        let what = match (self.severity, severity) {
            (None, Some(_)) => Some("fired"),
            (Some(before), Some(after)) if after > before => Some("escalated"),
            (Some(_), None) => Some("resolved"),
            _ => None,
        };
        self.severity = severity;
        match what {
            Some("resolved") => (self.remind_at, self.acknowledged) = (None, false),
            Some(_) if !self.acknowledged => self.remind_at = Some(now + REMIND),
            _ => {}
        }
        self.told.extend(what.map(|what| (now, what)));
        if self.remind_at.is_some_and(|at| at <= now) {
            self.told.push((now, "reminded"));
            self.remind_at = Some(now + REMIND);
        }
    }

    /// The daemon was killed: the time since its last sample does not count.
    fn kill(&mut self) {
        let lost = self.age.min(FRESH);
        if self.age <= FRESH {
            let shift = |counter: &mut Option<i64>| {
                if let Some(seconds) = counter {
                    *seconds -= lost;
                }
            };
            self.rising.iter_mut().chain(&mut self.falling).for_each(shift);
        }
        // Until a sample comes, nothing is fresh.
        self.age = FRESH + 1;
    }
}

#[test]
fn a_thousand_hours_are_told_as_a_small_model_tells_them() {
    let mut random = fastrand::Rng::with_seed(SEED);
    let catalog = Arc::new(Catalog::default());
    let series = series(&catalog);
    let mut desk = Desk::new(config());
    let mut sentinel = start(&desk, &catalog, None, 0);
    let mut model = Model::default();
    let mut told: Vec<(i64, String)> = Vec::new();
    let (mut value, mut until) = (VALUES[0], DWELL);
    let (mut silent_until, mut last_seen, mut restarts, mut acknowledged) = (0, None, 0, 0);
    let mut now = 0;
    while now < HOURS * 3600 {
        now += 1;
        if now >= until {
            value = VALUES[random.usize(..VALUES.len())];
            until = now + DWELL + random.i64(0..3600);
        }
        if random.i64(0..7200) == 0 {
            silent_until = now + random.i64(1..7200);
        }
        if random.i64(0..14_400) == 0 {
            // Killed, away for a while, back; whatever was in somebody's hands is in nobody's.
            restarts += 1;
            model.kill();
            now += random.i64(1..7200);
            desk.restart(now * SECOND);
            sentinel = start(&desk, &catalog, last_seen, now);
        }
        let sample = (now % INTERVAL == 0 && now >= silent_until).then_some(value);
        if let Some(value) = sample {
            last_seen = Some(now);
            let samples = vec![Sample { series, value }];
            let (server, collector) = ("web-1".into(), "dial".into());
            let frame = Frame { server, collector, at_ms: now * SECOND, samples };
            sentinel.frame(&frame, now * SECOND);
        }
        sentinel.advance(now * SECOND);
        desk.ledger.take(&sentinel.take(), &BTreeMap::new(), now * SECOND);
        model.second(now, sample);
        // People take some incidents on, sooner or later.
        let open = desk.ledger.book.open_incidents().next().map(|open| open.id);
        if random.i64(0..40_000) == 0
            && let Some(id) = open
        {
            acknowledged += 1;
            desk.ledger.acknowledge(id, "ann".into(), now * SECOND).unwrap();
            (model.acknowledged, model.remind_at) = (true, None);
        }
        for notice in desk.due(now * SECOND) {
            desk.ends(&notice, Outcome::Accepted, now * SECOND);
            let words = words(&notice);
            told.push((now, words.split(' ').next().unwrap_or_default().to_owned()));
        }
        desk.keep();
        let both = told.iter().map(|(at, what)| (*at, what.as_str()));
        let both = both.zip(model.told.iter().copied()).next_back();
        if told.len() != model.told.len() || both.is_some_and(|(one, other)| one != other) {
            let tail = |from: usize| from.saturating_sub(3);
            panic!(
                "at {now}: told {:?}, the model {:?}; {model:?}",
                &told[tail(told.len())..],
                &model.told[tail(model.told.len())..],
            );
        }
    }
    let count = |what: &str| told.iter().filter(|(_, told)| told == what).count();
    // Enough happened for the two to have had something to disagree about.
    assert!(count("fired") > 100 && count("escalated") > 50 && count("resolved") > 100);
    assert!(count("reminded") > 10 && restarts > 100 && acknowledged > 20);
}

fn series(catalog: &Catalog) -> SeriesId {
    let series = Series {
        server: "web-1".into(),
        collector: "dial".into(),
        metric: "dial".into(),
        labels: Labels::default(),
        unit: "ratio".into(),
        kind: Kind::Gauge,
        interval_ms: 10_000,
    };
    catalog.intern(series).unwrap()
}

fn start(desk: &Desk, catalog: &Arc<Catalog>, last_seen: Option<i64>, now: i64) -> Sentinel {
    let limit = |at, clear, hold: i64| {
        let hold = std::time::Duration::from_secs(hold.unsigned_abs());
        Some(Limit { side: Side::Above, at, clear, hold })
    };
    let rule = RuleConfig {
        name: "dial".into(),
        metric: "dial".into(),
        labels: Vec::new(),
        servers: Vec::new(),
        take: Take::Last,
        over: std::time::Duration::ZERO,
        warning: limit(0.8, 0.7, HOLD[0]),
        critical: limit(0.95, 0.9, HOLD[1]),
        clear_for: std::time::Duration::from_secs(CLEAR.unsigned_abs()),
        no_data: NoData::Keep,
        summary: None,
        runbook: None,
    };
    let mut recall = desk.ledger.recall("web-1");
    recall.absent_since_ms = last_seen.map(|seconds| seconds * SECOND);
    let collectors = [("dial".into(), 10_000)];
    Sentinel::new("web-1".into(), collectors, vec![rule], catalog.clone(), recall, now * SECOND)
}
