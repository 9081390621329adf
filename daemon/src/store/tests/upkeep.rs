//! A store looked at, damaged, repaired, copied: what can be read stays, bit for bit, and what cannot is named.

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::Path};

use tempfile::TempDir;

use super::{
    super::{
        folder::bytes_below,
        upkeep::{self, ClosedStore, Findings, Selection},
    },
    *,
};

/// Everything in a store: metric, time, bits.
type Everything = BTreeMap<(String, i64), u64>;

const ALL: Selection = Selection { server: None, metric: None, from_ms: i64::MIN, to_ms: i64::MAX };

fn everything(path: &Path) -> Everything {
    let store = ClosedStore::open(path, &StoreConfig::default()).unwrap();
    let mut all = Everything::new();
    let dumped = store.dump(&ALL, &mut |series, samples| {
        for (at_ms, value) in samples {
            let sample = (format!("{}{}", series.metric, series.labels), *at_ms);
            assert!(all.insert(sample, value.to_bits()).is_none(), "each sample is told once");
        }
        ControlFlow::Continue(())
    });
    assert_eq!(dumped.unwrap().samples, all.len() as u64);
    all
}

/// A store with two segments, two log files and a copy of its state.
fn furnished() -> (TempDir, Everything) {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let ids = [store.series("load", ""), store.series("bytes_total", "a")];
    let odd = [f64::NAN, -0.0, f64::from_bits(0x7ff0_0000_dead_beef), f64::INFINITY, 5e-324];
    let rows = |rows: std::ops::Range<i64>| -> Vec<Frame> {
        let value = |row: i64| odd.get(row as usize).copied().unwrap_or(row as f64 / 7.0);
        rows.map(|row| frame(START_MS + row * 1000, &[(ids[0], value(row)), (ids[1], row as f64)]))
            .collect()
    };
    store.write(rows(0..300));
    store.seal();
    store.write(rows(300..600));
    store.seal();
    store.write(rows(600..750));
    store.store.writer.leave_file();
    store.write(rows(750..900));
    store.store.keeper.index().unwrap();
    store.store.keeper.checkpoint().unwrap();
    drop(store);
    let all = everything(folder.path());
    assert_eq!(all.len(), 1800);
    (folder, all)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_parts_of_a_store_are_the_whole_and_its_samples_are_counted() {
    let (folder, all) = furnished();
    fs::write(folder.path().join("reserve"), [0; 1 << 20]).unwrap();
    let store = ClosedStore::open(folder.path(), &StoreConfig::default()).unwrap();
    let inventory = store.inventory();

    assert_eq!((inventory.samples, inventory.samples_unsealed), (all.len() as u64, 600));
    assert_eq!(inventory.series, 2);
    assert_eq!(inventory.bytes_total, bytes_below(folder.path()));
    assert_eq!(inventory.parts.iter().map(|part| part.bytes).sum::<u64>(), inventory.bytes_total);
    let in_use = (inventory.bytes_total - (1 << 20)) as f64;
    assert_eq!(inventory.bytes_per_sample, Some(in_use / inventory.samples as f64));
    let raw = &inventory.tiers[0];
    assert_eq!((&*raw.tier, raw.segments, raw.points), ("raw", 2, 1200));
    assert_eq!((raw.oldest_ms, raw.newest_ms), (Some(START_MS), Some(START_MS + 599_000)));
    let part = inventory.parts.iter().find(|part| part.part == "raw").unwrap();
    assert_eq!(part.bytes, bytes_below(&folder.path().join("segments/raw")));
    for part in ["log", "state", "checkpoint"] {
        assert!(inventory.parts.iter().any(|it| it.part == part && it.bytes > 0), "{part}");
    }
}

#[test]
fn a_whole_store_has_no_damage_and_is_not_touched() {
    let (folder, _) = furnished();
    let before = contents(folder.path());
    let findings = upkeep::check(folder.path()).unwrap();
    assert!(findings.is_whole(), "{findings:?}");
    assert!(findings.bytes > 0 && findings.files >= 5, "{findings:?}");
    assert!(upkeep::repair(folder.path()).unwrap().repairs.is_empty());
    assert_eq!(contents(folder.path()), before);
}

/// All files but the lock, which names who has the folder.
fn contents(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    all_files(folder).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn all_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_files(&path));
        } else if !path.ends_with("LOCK") {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_flipped_byte_anywhere_is_found_and_repaired_and_costs_nothing_else() {
    let (folder, all) = furnished();
    for ending in ["seg", "log", "ckpt"] {
        let file = files(folder.path(), ending).remove(0);
        let length = fs::metadata(&file).unwrap().len() as usize;
        let flips = if std::env::var_os("BARTIZAN_LONG").is_some() { 500 } else { 8 };
        // Not in step with what stands there every so many bytes.
        for at in (0..flips).map(|flip| (flip * length / flips + flip) % length) {
            let damaged = copy(folder.path());
            let inside = file.strip_prefix(folder.path()).unwrap();
            flip(&damaged.path().join(inside), at);
            let what = format!("byte {at} of {}", inside.display());

            let found = upkeep::check(damaged.path()).unwrap();
            assert!(!found.is_whole(), "{what} is found");
            assert!(found.damages.iter().all(|damage| damage.file.ends_with(inside)), "{found:?}");
            let done = upkeep::repair(damaged.path()).unwrap();
            assert!(done.repaired, "{what}: {done:?}");
            assert!(upkeep::check(damaged.path()).unwrap().is_whole(), "{what}");
            assert!(damaged.path().join("quarantine").is_dir(), "{what}: the original is kept");

            let left = everything(damaged.path());
            let lost: Vec<_> =
                all.iter().filter(|(sample, _)| !left.contains_key(*sample)).collect();
            assert!(left.iter().all(|(sample, bits)| all.get(sample) == Some(bits)), "{what}");
            for ((_, at_ms), _) in &lost {
                let names = |found: &Findings| {
                    found.damages.iter().any(|damage| {
                        // What the entry of a column would say is lost with it.
                        damage.concerned.is_empty()
                            || damage.concerned.iter().any(|concerned| {
                                concerned.from_ms.is_none_or(|from| from <= *at_ms)
                                    && concerned.to_ms.is_none_or(|to| to >= *at_ms)
                            })
                    })
                };
                assert!(names(&found), "{what}: {at_ms} was lost, not named by {found:?}");
            }
            // A frame in a log takes those up to the next key frame with it, a column in a segment only itself.
            let most = if ending == "log" { 2 * 64 } else { 600 };
            assert!(lost.len() <= most, "{what}: {} samples lost", lost.len());
        }
    }
}

#[test]
fn a_segment_without_its_end_gives_the_columns_whose_entries_are_left() {
    let (folder, all) = furnished();
    let segment = files(&folder.path().join("segments/raw"), "seg").remove(0);
    let length = fs::metadata(&segment).unwrap().len();
    // The footer and half of it: the index before it is whole.
    for cut in [1, 40, 72] {
        let damaged = copy(folder.path());
        let file = damaged.path().join(segment.strip_prefix(folder.path()).unwrap());
        fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(length - cut).unwrap();
        let done = upkeep::repair(damaged.path()).unwrap();
        assert!(done.repaired, "{done:?}");
        assert_eq!(everything(damaged.path()), all, "cut by {cut}");
    }
    let damaged = copy(folder.path());
    let file = damaged.path().join(segment.strip_prefix(folder.path()).unwrap());
    fs::write(&file, b"nothing of it is left").unwrap();
    let done = upkeep::repair(damaged.path()).unwrap();
    assert!(done.repaired && !file.exists(), "{done:?}");
    assert_eq!(everything(damaged.path()).len(), all.len() - 600);
}

#[test]
fn a_state_in_pieces_is_rebuilt_with_what_others_kept_in_it() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..100));
    store.seal();
    let mut changes = super::super::state::Changes::default();
    changes.keep(b"incident", b"open");
    store.store.keeper.tell(changes);
    store.store.keeper.checkpoint().unwrap();
    drop(store);
    let all = everything(folder.path());
    let file = folder.path().join("sled/db");
    let length = fs::metadata(&file).unwrap().len();
    fs::write(&file, vec![0xa5; length as usize]).unwrap();

    let found = upkeep::check(folder.path()).unwrap();
    assert!(found.damages.iter().any(|damage| damage.file.ends_with("sled")), "{found:?}");
    let done = upkeep::repair(folder.path()).unwrap();
    assert!(done.repaired, "{done:?}");
    let mut again = open(folder.path());
    let kept = again.store.take_kept();
    assert_eq!(kept.get(&b"incident"[..]).map(Vec::as_slice), Some(&b"open"[..]));
    drop(again);
    assert_eq!(everything(folder.path()), all);
}

#[test]
fn nobody_repairs_what_a_daemon_has_and_everybody_may_look() {
    let (folder, _) = furnished();
    let store = open(folder.path());
    assert!(matches!(upkeep::repair(folder.path()), Err(StoreError::InUse { .. })));
    assert!(upkeep::check(folder.path()).unwrap().is_whole());
    drop(store);
}
