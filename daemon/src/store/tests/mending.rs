//! Repairs of segments: minutes are made again of what is finer, and what is lost is told with its reason.

use std::{collections::BTreeMap, fs, path::Path, sync::atomic::Ordering};

use tempfile::TempDir;

use super::{
    super::{gaps::DAMAGED, messages::Answer, upkeep},
    *,
};
use crate::series::now_ms;

/// What the questions by the minute and by the hour answer, and which gaps they show.
type Told = (Vec<(i64, f64, u64)>, Vec<(i64, Option<i64>, String)>);

fn told(answer: &Answer) -> Told {
    assert!(!answer.partial);
    let points = answer.series.iter().flat_map(|series| &series.points);
    let points = points.map(|point| (point.at_ms, point.mean, point.count.unwrap_or_default()));
    let gaps = answer.series.iter().flat_map(|series| &series.gaps);
    let gaps = gaps.map(|gap| (gap.from_ms, gap.to_ms, gap.reason.to_string()));
    // How it ends is a matter of when one asks.
    (points.collect(), gaps.filter(|(_, to_ms, _)| to_ms.is_some()).collect())
}

/// What a store tells of a metric by the minute.
fn by_minute(path: &Path, metric: &str) -> Told {
    let store = open(path);
    let (from_ms, to_ms) = (START_MS, START_MS + 3_600_000);
    let query = Query {
        from_ms,
        to_ms,
        points: Some(60),
        raw: false,
        stats: vec![Stat::Count],
        ..everything(metric)
    };
    let answer = store.ask(&query);
    let told = told(&answer);
    for series in &answer.series {
        assert_eq!(series.tier, Tier::Minute, "of {metric} minutes are missing: {told:?}");
    }
    told
}

fn all_by_minute(path: &Path) -> BTreeMap<&'static str, Told> {
    METRICS.into_iter().map(|metric| (metric, by_minute(path, metric))).collect()
}

const METRICS: [&str; 3] = ["load", "bytes_total", "users"];

/// Three thousand seconds of three series, in two pairs of segments; in one that was settled; or in one that was merged of
/// eight that had been.
fn furnished(settled: usize) -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let ids = METRICS.map(|metric| store.series(metric, ""));
    let parts = if settled > 1 { 16 } else { 2 };
    let end_of = |part: i64| part * 3000 / parts + if part < parts { 10 } else { 0 };
    for part in 0..parts {
        let rows = if part == 0 { 0 } else { end_of(part) }..end_of(part + 1);
        let row = |row: i64| {
            let values = [row as f64 / 7.0, (row * 13) as f64, (row % 60) as f64];
            frame(START_MS + row * 1000, &[0, 1, 2].map(|at| (ids[at], values[at])))
        };
        store.write(rows.map(row).collect());
        store.seal();
        if settled > 1 && part % 2 == 1 {
            merge(&store);
        }
    }
    if settled == 1 {
        store.settle();
    }
    let segments = if settled > 0 { 1 } else { 2 };
    assert_eq!((store.segments(Tier::Raw), store.segments(Tier::Minute)), (segments, segments));
    store.store.keeper.index().unwrap();
    drop(store);
    folder
}

/// Merges what can be, on the day after: the week is not over yet.
fn merge(store: &Opened) {
    let Store { shared, keeper, .. } = &store.store;
    let day = START_MS.div_euclid(24 * 3_600_000);
    shared.sealed_below.store(day + 1, Ordering::Relaxed);
    let long = Duration::from_secs(100 * 365 * 24 * 3600);
    let retention = Retention { minute: long, ..Retention::default() };
    let mut settler = Settler::new(shared.clone(), keeper.store(), retention);
    while settler.step(true, &AtomicBool::new(false)).unwrap() {}
}

/// Both tell the same, but for the noise that adding decimals in another order leaves.
fn assert_same(
    found: &BTreeMap<&str, Told>,
    expected: &BTreeMap<&str, Told>,
    what: std::fmt::Arguments<'_>,
) {
    for (metric, (points, gaps)) in expected {
        let (found, found_gaps) = &found[metric];
        assert_eq!(found_gaps, gaps, "{metric}: {what}");
        assert_eq!(found.len(), points.len(), "{metric}: {what}");
        for (one, other) in found.iter().zip(points) {
            let is_close = (one.1 - other.1).abs() <= other.1.abs() * 1e-9;
            assert!(is_close && (one.0, one.2) == (other.0, other.2), "{one:?} {other:?}: {what}");
        }
    }
}

/// The files of a tier.
fn of_tier(path: &Path, tier: Tier) -> Vec<std::path::PathBuf> {
    files(&path.join("segments").join(tier.name()), "seg")
}

fn damage(file: &Path, random: &mut fastrand::Rng) {
    let mut bytes = fs::read(file).unwrap();
    match random.u8(..4) {
        0 => bytes.truncate(random.usize(..bytes.len())),
        1 => {
            let at = random.usize(..bytes.len());
            let end = (at + 300).min(bytes.len());
            bytes[at..end].fill(0xa5);
        }
        _ => {
            let at = random.usize(..bytes.len());
            bytes[at] ^= 1 << random.u8(..8);
        }
    }
    fs::write(file, bytes).unwrap();
}

#[test]
fn minutes_are_made_again_of_the_samples_that_are_there() {
    let mut random = fastrand::Rng::with_seed(23);
    for settled in [0, 1, 2] {
        let folder = furnished(settled);
        let whole = all_by_minute(folder.path());
        for round in 0..if std::env::var_os("BARTIZAN_LONG").is_some() { 300 } else { 8 } {
            let damaged = copy(folder.path());
            let minutes = of_tier(damaged.path(), Tier::Minute);
            damage(&minutes[round % minutes.len()], &mut random);
            let done = upkeep::repair(damaged.path()).unwrap();
            assert!(done.repaired, "round {round}: {done:?}");
            let found = all_by_minute(damaged.path());
            assert_same(&found, &whole, format_args!("round {round}: {done:?}"));
            // Nothing is counted twice when a day or a week is settled after that.
            let mut again = open(damaged.path());
            again.settle();
            drop(again);
            assert_same(
                &all_by_minute(damaged.path()),
                &whole,
                format_args!("round {round}, settled"),
            );
        }
    }
}

#[test]
fn what_is_lost_has_the_reason_that_it_was_damaged_and_the_others_have_none() {
    for (tier, most_ms) in [(Tier::Raw, 1_510_000), (Tier::Minute, 1_560_000)] {
        let folder = furnished(0);
        if tier == Tier::Minute {
            // Of these minutes no samples are left.
            let mut store = open(folder.path());
            let short = Duration::from_secs(1);
            let retention = Retention { raw: short, ..Retention::default() };
            store.store.keeper.expire(&retention, now_ms()).unwrap();
        }
        let ask = |path: &Path| {
            if tier == Tier::Minute {
                return all_by_minute(path);
            }
            let store = open(path);
            METRICS.map(|metric| (metric, told(&store.ask(&everything(metric))))).into()
        };
        let whole = ask(folder.path());
        assert!(whole.values().all(|(points, gaps)| points.len() >= 50 && gaps.is_empty()));
        let first = of_tier(folder.path(), tier).remove(0);
        let length = fs::metadata(&first).unwrap().len() as usize;
        let mut hurt = 0;
        for at in (40..length).step_by(length / 24) {
            let damaged = flipped_and_repaired(folder.path(), &first, at);
            let left = ask(damaged.path());
            for (metric, (points, gaps)) in &left {
                let lost = whole[metric].0.len() - points.len();
                hurt += usize::from(lost > 0);
                let reasons: Vec<_> = gaps.iter().map(|(_, _, reason)| &**reason).collect();
                let expected = if lost > 0 { vec![DAMAGED] } else { vec![] };
                assert_eq!(reasons, expected, "byte {at}, {metric}: {lost} lost, {gaps:?}");
                for (from_ms, to_ms, _) in gaps {
                    assert!(
                        *from_ms >= START_MS && to_ms.unwrap() <= START_MS + most_ms,
                        "{gaps:?}"
                    );
                }
            }
        }
        assert!(hurt > 3, "{hurt} series were hurt");
        // The whole file, whose table is lost too.
        fs::write(&first, b"nothing of it is left").unwrap();
        assert!(upkeep::repair(folder.path()).unwrap().repaired);
        for (metric, (points, gaps)) in ask(folder.path()) {
            assert!(points.len() < whole[metric].0.len());
            assert_eq!(gaps.len(), 1, "{metric}: {gaps:?}");
            assert_eq!(gaps[0].2, DAMAGED);
        }
    }
}

/// A copy of a store, repaired after one bit of a file was flipped.
fn flipped_and_repaired(folder: &Path, file: &Path, at: usize) -> TempDir {
    let damaged = copy(folder);
    let file = damaged.path().join(file.strip_prefix(folder).unwrap());
    let mut bytes = fs::read(&file).unwrap();
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    assert!(upkeep::repair(damaged.path()).unwrap().repaired);
    damaged
}

#[test]
fn who_came_after_a_damage_or_was_gone_before_it_has_lost_nothing() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let lives = [("load", 0..3000i64), ("new", 1700..3000), ("old", 0..1300)];
    let ids = lives.clone().map(|(metric, _)| store.series(metric, ""));
    for half in [0..1510i64, 1510..3000] {
        let row = |row: i64| {
            let alive = ids.iter().zip(&lives).filter(|(_, (_, life))| life.contains(&row));
            let samples: Vec<_> = alive.map(|(id, _)| (*id, row as f64 / 7.0)).collect();
            frame(START_MS + row * 1000, &samples)
        };
        store.write(half.map(row).collect());
        store.seal();
    }
    drop(store);
    for (first, spared) in of_tier(folder.path(), Tier::Raw).iter().zip(["new", "old"]) {
        let length = fs::metadata(first).unwrap().len() as usize;
        let mut hurt = 0;
        // Columns alone: of what a footer knew nobody can say when it was.
        for at in (40..length * 6 / 10).step_by(length / 12) {
            let damaged = flipped_and_repaired(folder.path(), first, at);
            let store = open(damaged.path());
            let is_damaged = |metric: &str| {
                let (_, gaps) = told(&store.ask(&everything(metric)));
                gaps.iter().any(|(.., reason)| reason == DAMAGED)
            };
            hurt += usize::from(is_damaged("load"));
            assert!(!is_damaged(spared), "byte {at}, {spared}");
        }
        assert!(hurt > 0, "none was hurt beside {spared}");
    }
}
