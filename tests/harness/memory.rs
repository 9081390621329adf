//! What a store must know: every sample that was sent to it, whether it has said that it has it, and what it must answer.
//!
//! ```text
//!  sent ──yes, or seen──► known ──older than retention keeps, and missed──► gone
//! ```
//!
//! A sample that was sent without an answer may be there or not, but once it was seen it stays; what retention has
//! taken never comes back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{Daemon, http::escape};

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// All samples, by series.
#[derive(Default)]
pub struct Memory {
    series: BTreeMap<Key, Remembered>,
    /// Samples before this may be gone.
    pub raw_from: i64,
    /// What samples before this come to may be gone.
    pub tiers_from: i64,
}

/// A series: server, metric, and the value of its one label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Who it is about.
    pub server: String,
    /// Its metric; one that ends in `_total` is a counter.
    pub metric: String,
    /// The value of its one label; empty without one.
    pub label: String,
}

#[derive(Default)]
struct Remembered {
    samples: BTreeMap<i64, Sample>,
    interval_ms: i64,
}

#[derive(Clone, Copy)]
struct Sample {
    bits: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Sent,
    Known,
    Gone,
}

/// What was compared.
#[derive(Debug, Default)]
pub struct Compared {
    /// Samples that are there.
    pub samples: usize,
    /// Minutes and hours of a series that agree.
    pub buckets: usize,
}

/// What a gauge's samples within a stretch come to, or a counter's growth.
#[derive(Debug, Default, Clone, PartialEq)]
struct Bucket {
    count: u64,
    sum: f64,
    /// How large the numbers were that were added.
    size: f64,
    min: f64,
    max: f64,
    last: f64,
    /// Steps of a counter that end here.
    steps: usize,
}

impl Memory {
    /// Remembers a sample that is sent.
    pub fn sent(&mut self, key: &Key, interval_ms: i64, at_ms: i64, value: f64) {
        if !self.series.contains_key(key) {
            self.series.insert(key.clone(), Remembered { interval_ms, ..Remembered::default() });
        }
        let samples = &mut self.series.get_mut(key).unwrap().samples;
        let state = State::Sent;
        samples.entry(at_ms).or_insert(Sample { bits: value.to_bits(), state });
    }

    /// The store has said that it has the sample.
    pub fn acknowledged(&mut self, key: &Key, at_ms: i64) {
        self.series.get_mut(key).unwrap().samples.get_mut(&at_ms).unwrap().state = State::Known;
    }

    /// How many samples there are, whether they were acknowledged or not.
    pub fn len(&self) -> usize {
        self.series.values().map(|one| one.samples.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// How many were missed where they may be.
    pub fn gone(&self) -> usize {
        let samples = self.series.values().flat_map(|one| one.samples.values());
        samples.filter(|sample| sample.state == State::Gone).count()
    }

    /// The days that have samples.
    pub fn days(&self) -> BTreeSet<i64> {
        let times = self.series.values().flat_map(|one| one.samples.keys());
        times.map(|at_ms| at_ms.div_euclid(DAY_MS)).collect()
    }

    /// Compares a day with what a daemon answers: every sample, every minute, every hour.
    pub async fn compare(&mut self, daemon: &Daemon, day: i64) -> Compared {
        let (from_ms, to_ms) = (day * DAY_MS, (day + 1) * DAY_MS);
        let raw_from = self.raw_from;
        let mut compared = Compared::default();
        let metrics: BTreeSet<_> =
            self.series.keys().map(|key| (key.server.clone(), key.metric.clone())).collect();
        for (server, metric) in metrics {
            let question = question(&server, &metric, from_ms, to_ms);
            let answer = daemon.get(&format!("{question}&raw=true")).await;
            assert_eq!(answer["partial"], false, "{server} {metric} {from_ms}");
            // Where retention has left no sample at all, what they came to is answered.
            let mut answer = by_label(&answer, |tier| tier == "raw");
            for (key, known) in self.of_metric(&server, &metric) {
                let given = answer.remove(&key.label).unwrap_or_default();
                compared.samples += known.compare_raw(key, (from_ms, to_ms), raw_from, &given);
            }
            assert_eq!(answer.values().map(Vec::len).sum::<usize>(), 0, "never sent: {answer:?}");
            for (step_ms, tier) in [(MINUTE_MS, "minute"), (HOUR_MS, "hour")] {
                let points = DAY_MS / step_ms;
                let question = format!("{question}&points={points}&stats=count,sum,last");
                let answer = daemon.get(&question).await;
                let mut points = by_label(&answer, |it| it == tier);
                let tiers_from = self.tiers_from;
                for (key, known) in self.of_metric(&server, &metric) {
                    if step_ms <= known.interval_ms || !known.is_finite() {
                        continue;
                    }
                    let given = points.remove(&key.label);
                    let there = known.samples.range(from_ms..to_ms).next().is_some();
                    if given.is_none() && (from_ms < tiers_from || !there) {
                        // Of what may be gone, another tier may know more.
                        continue;
                    }
                    let given = given.unwrap_or_default();
                    let wanted = known.buckets(key.is_counter(), (from_ms, to_ms), step_ms);
                    let whole = wanted.range(tiers_from..);
                    let place = |at_ms: i64| format!("{key:?}, {tier} {at_ms} of {from_ms}");
                    for (at_ms, wanted) in whole {
                        let given = given.iter().find(|given| given[0] == *at_ms);
                        wanted.compare(given, key.is_counter(), &place(*at_ms));
                        compared.buckets += 1;
                    }
                    let extra = given.iter().filter_map(|given| given[0].as_i64());
                    let mut extra = extra.filter(|at_ms| !wanted.contains_key(at_ms));
                    assert_eq!(extra.next(), None, "{key:?}, {tier}: of no samples");
                }
            }
        }
        compared
    }

    fn of_metric(
        &mut self,
        server: &str,
        metric: &str,
    ) -> impl Iterator<Item = (&Key, &mut Remembered)> {
        self.series.iter_mut().filter(move |(key, _)| key.server == server && key.metric == metric)
    }
}

impl Key {
    /// A series of this label.
    pub fn new(server: &str, metric: &str, label: &str) -> Self {
        Self { server: server.to_owned(), metric: metric.to_owned(), label: label.to_owned() }
    }

    /// Whether it only grows.
    pub fn is_counter(&self) -> bool {
        self.metric.ends_with("_total")
    }
}

impl Remembered {
    /// Every sample that must be there is there, once, and bit for bit, and nothing else; how many are.
    fn compare_raw(
        &mut self,
        key: &Key,
        (from_ms, to_ms): (i64, i64),
        raw_from: i64,
        given: &[Value],
    ) -> usize {
        let times: Vec<i64> = given.iter().map(|point| point[0].as_i64().unwrap()).collect();
        assert!(times.is_sorted_by(|one, other| one < other), "{key:?} has a sample twice");
        let given: BTreeMap<i64, &Value> =
            times.into_iter().zip(given.iter().map(|given| &given[1])).collect();
        for (at_ms, value) in &given {
            let Some(known) = self.samples.get_mut(at_ms) else {
                panic!("{key:?} at {at_ms} was never sent, and is {value}");
            };
            let wanted = Some(f64::from_bits(known.bits)).filter(|value| value.is_finite());
            let same = value.as_f64().map(f64::to_bits) == wanted.map(f64::to_bits);
            assert!(same, "{key:?} at {at_ms} is {value}, was sent as {wanted:?}");
            assert!(known.state != State::Gone, "{key:?} at {at_ms} has come back");
            known.state = State::Known;
        }
        let mut lost = Vec::new();
        for (at_ms, known) in self.samples.range_mut(from_ms..to_ms) {
            if known.state == State::Known && !given.contains_key(at_ms) {
                if *at_ms < raw_from {
                    known.state = State::Gone;
                } else {
                    lost.push(*at_ms);
                }
            }
        }
        let ends = (lost.first(), lost.last());
        assert!(lost.is_empty(), "{key:?} has lost {} samples, {ends:?}", lost.len());
        given.len()
    }

    fn is_finite(&self) -> bool {
        self.samples.values().all(|sample| f64::from_bits(sample.bits).is_finite())
    }

    /// What must be answered in stretches of `step_ms`.
    fn buckets(
        &self,
        is_counter: bool,
        (from_ms, to_ms): (i64, i64),
        step_ms: i64,
    ) -> BTreeMap<i64, Bucket> {
        let mut buckets: BTreeMap<i64, Bucket> = BTreeMap::new();
        let mut before: Option<(i64, f64)> = None;
        let from_before = from_ms - 3 * self.interval_ms;
        for (&at_ms, sample) in self.samples.range(from_before..to_ms) {
            if sample.state == State::Sent {
                continue;
            }
            let value = f64::from_bits(sample.bits);
            let step = before.filter(|(before_ms, _)| at_ms - before_ms <= 3 * self.interval_ms);
            before = Some((at_ms, value));
            if at_ms < from_ms {
                continue;
            }
            let bucket = buckets.entry(at_ms - at_ms.rem_euclid(step_ms)).or_default();
            if bucket.count == 0 {
                (bucket.min, bucket.max) = (value, value);
            }
            // A counter that is less than before has started again from zero.
            let grown = |before: f64| if value < before { value } else { value - before };
            let added = if is_counter { step.map_or(0.0, |(_, it)| grown(it)) } else { value };
            bucket.count += 1;
            bucket.steps += usize::from(step.is_some());
            bucket.sum += added;
            bucket.size += if is_counter { value.abs() } else { added.abs() };
            (bucket.min, bucket.max) = (bucket.min.min(value), bucket.max.max(value));
            bucket.last = value;
        }
        buckets
    }
}

impl Bucket {
    /// Sums may have been added in another order.
    fn compare(&self, given: Option<&Value>, is_counter: bool, place: &str) {
        let Some(given) = given else {
            assert!(is_counter && self.steps == 0, "{place} is missing: {self:?}");
            return;
        };
        let [min, max, count, sum, last] =
            [2, 3, 4, 5, 6].map(|column| given[column].as_f64().unwrap_or(f64::NAN));
        let close = (sum - self.sum).abs() <= 1e-9 * self.size;
        let same = count == self.count as f64 && last.to_bits() == self.last.to_bits() && close;
        // Of a counter these are rates.
        let within = is_counter || (min == self.min && max == self.max);
        assert!(same && within, "{place} is {given}, must be {self:?}");
    }
}

fn question(server: &str, metric: &str, from_ms: i64, to_ms: i64) -> String {
    let (server, metric) = (escape(server), escape(metric));
    format!("/series?server={server}&metric={metric}&from={from_ms}&to={to_ms}")
}

/// The points of an answer's series of some tiers, by the value of their one label.
fn by_label(answer: &Value, wanted: impl Fn(&Value) -> bool) -> BTreeMap<String, Vec<Value>> {
    let series = answer["series"].as_array().unwrap().iter();
    let series = series.filter(|one| wanted(&one["tier"]));
    let points = series.map(|one| {
        let label = one["labels"].as_object().unwrap().values().next();
        let label = label.and_then(Value::as_str).unwrap_or_default();
        (label.to_owned(), one["points"].as_array().unwrap().clone())
    });
    points.collect()
}
