//! A store copied, brought back, and added to by hand.

use std::{
    fs,
    ops::ControlFlow,
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    thread,
};

use tempfile::TempDir;

use super::{
    super::upkeep::{self, ClosedStore, Imported, Selection},
    *,
};

const ALL: Selection = Selection { server: None, metric: None, from_ms: i64::MIN, to_ms: i64::MAX };

/// Every sample of a store, in the order in which it is told.
fn told(store: &ClosedStore, selection: &Selection) -> Vec<(String, i64, u64)> {
    let mut all = Vec::new();
    let dumped = store.dump(selection, &mut |series, samples| {
        let name = format!("{} {}{}", series.server, series.metric, series.labels);
        all.extend(samples.iter().map(|(at, value)| (name.clone(), *at, value.to_bits())));
        ControlFlow::Continue(())
    });
    assert_eq!(dumped.unwrap().samples, all.len() as u64);
    all
}

fn closed(path: &Path) -> ClosedStore {
    ClosedStore::open(path, &StoreConfig::default()).unwrap()
}

/// A store with a segment and a log.
fn furnished() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..200));
    store.seal();
    store.write(rows(id, 200..300));
    let mut changes = super::super::state::Changes::default();
    changes.keep(b"token", b"hash");
    store.store.keeper.tell(changes);
    folder
}

#[test]
fn a_backup_comes_back_elsewhere_with_what_others_kept() {
    let folder = furnished();
    fs::write(folder.path().join("admin-token"), "secret").unwrap();
    let elsewhere = TempDir::new().unwrap();
    let (copy, state) = (elsewhere.path().join("copy"), elsewhere.path().join("state"));
    let facts = upkeep::backup(folder.path(), &copy, false).unwrap();
    let all = told(&closed(folder.path()), &ALL);
    assert!(facts.files >= 4, "{facts:?}");
    assert!(!copy.join("sled").exists() && !copy.join("LOCK").exists());

    let restored = upkeep::restore(&copy, &state, false).unwrap();
    assert_eq!((restored.facts, restored.before), (facts, None));
    let mut store = open(&state);
    let kept = store.store.take_kept();
    assert_eq!(kept.get(&b"token"[..]).map(Vec::as_slice), Some(&b"hash"[..]));
    assert_eq!(store.bits("load"), expected(0..300));
    drop(store);
    assert_eq!(told(&closed(&state), &ALL), all);
    assert_eq!(fs::read_to_string(state.join("admin-token")).unwrap(), "secret");
}

#[test]
fn a_backup_of_a_store_that_goes_on_has_all_that_was_written_before() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..1));
    store.store.keeper.index().unwrap();
    store.store.keeper.checkpoint().unwrap();
    let (written, ends) = (AtomicI64::new(1), AtomicBool::new(false));
    thread::scope(|scope| {
        let at_work = scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                let first = written.load(Ordering::Relaxed);
                store.write(rows(id, first..first + 20));
                written.store(first + 20, Ordering::Release);
                // Files go from log to segments all the time, though not faster than they can be listed.
                store.seal();
                thread::sleep(Duration::from_millis(20));
            }
        });
        for round in 0..10 {
            let before = written.load(Ordering::Acquire);
            let elsewhere = TempDir::new().unwrap();
            let (copy, state) = (elsewhere.path().join("copy"), elsewhere.path().join("state"));
            upkeep::backup(folder.path(), &copy, true).unwrap();
            upkeep::restore(&copy, &state, false).unwrap();
            let found = open(&state).bits("load");
            assert!(found.len() as i64 >= before, "round {round}: {} of {before}", found.len());
            assert_eq!(found, expected(0..found.len() as i64), "round {round}");
            assert!(upkeep::check(&state).unwrap().is_whole(), "round {round}");
        }
        ends.store(true, Ordering::Relaxed);
        at_work.join().unwrap();
    });
    assert!(written.load(Ordering::Relaxed) > 40, "it went on meanwhile");
}

#[test]
fn a_backup_with_a_flipped_byte_is_refused_by_the_name_of_the_file() {
    let folder = furnished();
    let elsewhere = TempDir::new().unwrap();
    let (copy, state) = (elsewhere.path().join("copy"), elsewhere.path().join("state"));
    upkeep::backup(folder.path(), &copy, false).unwrap();
    let all = upkeep_names(&copy);
    assert!(all.len() >= 6, "{all:?}");
    for name in all {
        let file = copy.join(&name);
        let whole = fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        fs::write(&file, damaged).unwrap();
        let error = upkeep::restore(&copy, &state, false).unwrap_err().to_string();
        // A byte of the list is one of the name or the checksum of another file.
        assert!(error.contains(&name) || name == "SHA256SUMS", "{name}: {error}");
        assert!(!state.exists(), "{name}: nothing was restored");
        fs::write(&file, whole).unwrap();
    }
    fs::remove_file(copy.join("VERSION")).unwrap();
    let error = upkeep::restore(&copy, &state, false).unwrap_err();
    assert!(crate::logging::chain(&error).contains("VERSION"), "{error:?}");
}

fn upkeep_names(copy: &Path) -> Vec<String> {
    let endings = ["seg", "log", "ckpt", "json"];
    let found = endings.iter().flat_map(|ending| files(copy, ending));
    let inside = |path: std::path::PathBuf| path.strip_prefix(copy).unwrap().display().to_string();
    found.map(inside).chain(["VERSION".to_owned(), "SHA256SUMS".to_owned()]).collect()
}

#[test]
fn what_is_there_is_neither_overwritten_nor_restored_over_unless_it_is_wished() {
    let folder = furnished();
    let elsewhere = TempDir::new().unwrap();
    let copy = elsewhere.path().join("copy");
    upkeep::backup(folder.path(), &copy, false).unwrap();
    let again = upkeep::backup(folder.path(), &copy, false).unwrap_err();
    assert!(again.to_string().contains("not empty"), "{again}");
    let used = open(folder.path());
    assert!(matches!(
        upkeep::backup(folder.path(), &elsewhere.path().join("other"), false),
        Err(StoreError::InUse { .. })
    ));
    assert!(matches!(upkeep::restore(&copy, folder.path(), true), Err(StoreError::InUse { .. })));
    drop(used);
    let state = elsewhere.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("precious"), "kept").unwrap();
    let refused = upkeep::restore(&copy, &state, false).unwrap_err();
    assert!(refused.to_string().contains("--force"), "{refused}");
    let restored = upkeep::restore(&copy, &state, true).unwrap();
    let before = restored.before.unwrap();
    assert_eq!(fs::read_to_string(before.join("precious")).unwrap(), "kept");
    assert_eq!(open(&state).bits("load"), expected(0..300));
}

#[test]
fn what_is_put_in_is_there_once_also_where_it_is_older_than_all_there_is() {
    let folder = furnished();
    let mut store = closed(folder.path());
    let before = told(&store, &ALL);
    let series = [series("load", ""), series("old", "x")];
    // Half of the first are there, the others are older; the second is new.
    let mut samples: Vec<_> =
        (-100..100i64).map(|row| (0, START_MS + row * 1000, row as f64)).collect();
    samples.extend((0..50i64).map(|row| (1, START_MS - row * 500, f64::from_bits(row as u64))));
    let imported = store.import(&series, &mut samples.clone()).unwrap();
    assert_eq!(imported, Imported { stored: 150, known: 100, counted: 0 });
    let after = told(&store, &ALL);
    assert_eq!(after.len(), before.len() + 150);
    assert!(before.iter().all(|sample| after.contains(sample)));
    store.seal().unwrap();
    store.finish().unwrap();

    let mut store = closed(folder.path());
    assert_eq!(told(&store, &ALL), after, "sealed, and opened again");
    let again = store.import(&series, &mut samples).unwrap();
    assert_eq!(again, Imported { stored: 0, known: 250, counted: 0 });
    drop(store);
    // The store goes on as it would have.
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 300..301));
    let answer = store.ask(&everything("load"));
    assert_eq!(answer.series[0].points.len(), 401);
    assert!(answer.series[0].points.is_sorted_by_key(|point| point.at_ms));
}

#[test]
fn only_what_is_selected_is_told() {
    let folder = furnished();
    let store = closed(folder.path());
    let (from_ms, to_ms) = (START_MS + 150_000, START_MS + 250_000);
    let within = Selection { from_ms, to_ms, ..ALL };
    let told = |selection: &Selection| told(&store, selection).len();
    assert_eq!(told(&within), 100, "of the segment and of the log");
    assert_eq!(told(&Selection { server: Some("web-1".into()), ..within.clone() }), 100);
    assert_eq!(told(&Selection { server: Some("web-2".into()), ..within.clone() }), 0);
    assert_eq!(told(&Selection { metric: Some("other".into()), ..within }), 0);
}

/// What of a store's answer by the minute or by the hour shows that something counted twice.
fn counts(store: &Opened, tier: Tier) -> Vec<(i64, u64, f64)> {
    let mut query = everything("load");
    query.raw = false;
    query.points = Some(((query.to_ms - query.from_ms) / tier.step_ms().unwrap()) as usize);
    query.stats = vec![Stat::Count, Stat::Sum];
    let answer = store.ask(&query);
    assert_eq!(answer.series[0].tier, tier);
    let points = answer.series[0].points.iter();
    points.map(|point| (point.at_ms, point.count.unwrap(), point.sum)).collect()
}

#[test]
fn what_only_minutes_or_hours_still_have_is_not_counted_again() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    // Minutes of 30 samples, some of them in two segments.
    let all: Vec<_> = (0..2000i64).map(|row| (0, START_MS + row * 2000, row as f64)).collect();
    let frames = |rows: std::ops::Range<usize>| {
        all[rows].iter().map(|(_, at_ms, value)| frame(*at_ms, &[(id, *value)])).collect()
    };
    store.write(frames(0..1000));
    store.seal();
    store.write(frames(1000..2000));
    store.seal();
    let short = |seconds| Duration::from_secs(seconds);
    // The first segment ends with second 1,998.
    let raw = Retention { raw: short(1000), ..Retention::default() };
    store.store.keeper.expire(&raw, START_MS + 3_500_000).unwrap();
    assert_eq!(store.segments(Tier::Raw), 1);
    let (minutes, raw_left) = (counts(&store, Tier::Minute), store.samples());
    drop(store);

    let import = |samples: &[(u32, i64, f64)]| {
        let mut store = closed(folder.path());
        let imported = store.import(&[series("load", "")], &mut samples.to_vec()).unwrap();
        store.seal().unwrap();
        store.finish().unwrap();
        imported
    };
    // What lies between, in a minute that has all of its samples, is new.
    let between = (0, START_MS + 3_000_500, 1.0);
    let more = [&all[..], &[between]].concat();
    assert_eq!(import(&more), Imported { stored: 1, known: 1000, counted: 1000 });
    let again = open(folder.path());
    assert_eq!(again.samples(), raw_left + 1);
    let grown: Vec<_> = counts(&again, Tier::Minute);
    let changed: Vec<_> = grown.iter().zip(&minutes).filter(|(one, other)| one != other).collect();
    assert_eq!((grown.len(), changed.len()), (minutes.len(), 1), "{changed:?}");
    assert_eq!((changed[0].0.1, changed[0].0.2), (changed[0].1.1 + 1, changed[0].1.2 + 1.0));
    drop(again);
    assert_eq!(import(&more), Imported { stored: 0, known: 1001, counted: 1000 });
    let mut store = open(folder.path());
    assert_eq!(counts(&store, Tier::Minute), grown);

    // Of all but the hours nothing is left.
    let hours = counts(&store, Tier::Hour);
    let none = Retention { raw: short(1), minute: short(1), ..Retention::default() };
    store.store.keeper.expire(&none, crate::series::now_ms().max(START_MS + 9_000_000)).unwrap();
    assert_eq!((store.segments(Tier::Raw), store.segments(Tier::Minute)), (0, 0));
    drop(store);
    assert_eq!(import(&more), Imported { stored: 0, known: 0, counted: 2001 });
    assert_eq!(counts(&open(folder.path()), Tier::Hour), hours);
    // Minutes of which nothing was ever here are taken in.
    let later: Vec<_> =
        all.iter().map(|(number, at_ms, value)| (*number, at_ms + 7_200_000, *value)).collect();
    assert_eq!(import(&later), Imported { stored: 2000, known: 0, counted: 0 });
}

#[test]
fn hours_without_minutes_take_what_is_new_as_long_as_their_samples_are_there() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    let all: Vec<_> = (0..2000i64).map(|row| (0, START_MS + row * 2000, row as f64)).collect();
    for some in [&all[..1000], &all[1000..]] {
        store.write(some.iter().map(|(_, at, value)| frame(*at, &[(id, *value)])).collect());
        store.seal();
    }
    store.settle();
    let minutes_gone = Retention { minute: Duration::from_secs(1), ..Retention::default() };
    store.store.keeper.expire(&minutes_gone, START_MS + 5_000_000).unwrap();
    assert_eq!((store.segments(Tier::Raw), store.segments(Tier::Minute)), (1, 0));
    let hours = counts(&store, Tier::Hour);
    drop(store);
    let mut more = all.clone();
    for new in 1..3u64 {
        more.push((0, START_MS + 500 + new as i64 * 60_000, 1.0));
        let mut store = closed(folder.path());
        let imported = store.import(&[series("load", "")], &mut more.clone()).unwrap();
        assert_eq!(imported, Imported { stored: 1, known: 1999 + new, counted: 0 });
        store.seal().unwrap();
        store.finish().unwrap();
        let grown = counts(&open(folder.path()), Tier::Hour);
        assert_eq!(grown[0].1, hours[0].1 + new);
    }
    // Some of the samples go too.
    let mut store = open(folder.path());
    let raw = Retention { raw: Duration::from_secs(1), ..Retention::default() };
    store.store.keeper.expire(&raw, crate::series::now_ms()).unwrap();
    assert_eq!(store.segments(Tier::Raw), 0);
    drop(store);
    let imported = closed(folder.path()).import(&[series("load", "")], &mut more).unwrap();
    assert_eq!(imported, Imported { stored: 0, known: 0, counted: 2002 });
}
