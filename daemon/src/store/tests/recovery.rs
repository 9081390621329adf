//! Killed, cut, flipped, copied: what a store makes of what it finds.

use std::fs;

use tempfile::TempDir;

use super::{
    super::{codec::ROWS_MAX, sealing, sled_state::SledState},
    *,
};

#[test]
fn a_kill_loses_nothing_and_keeps_every_number() {
    let folder = TempDir::new().unwrap();
    let mut first = open(folder.path());
    let (one, other) = (first.series("one", ""), first.series("other", "ä"));
    let odd = [f64::NAN, -0.0, f64::from_bits(0x7ff0_0000_dead_beef), f64::INFINITY, 0.1 + 0.2];
    for (row, value) in (0..).zip(odd) {
        first.write(vec![frame(START_MS + row * 1000, &[(other, value), (one, 1.0)])]);
    }
    let before = first.bits("other");
    let killed = copy(folder.path());
    let second = open(killed.path());

    assert_eq!(before.len(), odd.len());
    assert_eq!(second.bits("other"), before);
    assert_eq!(second.catalog.of_metric("web-1", "one"), [one]);
    assert_eq!(second.catalog.of_metric("web-1", "other"), [other]);
    assert_eq!(*second.catalog.get(other).unwrap(), series("other", "ä"));
}

#[test]
fn a_log_cut_anywhere_gives_all_frames_before_the_cut() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    let mut sizes = Vec::new();
    for frame in rows(id, 0..70) {
        store.write(vec![frame]);
        sizes.push(fs::metadata(&files(folder.path(), "log")[0]).unwrap().len());
    }
    let log = fs::read(&files(folder.path(), "log")[0]).unwrap();
    for cut in sizes[60] as usize..=log.len() {
        let torn = copy(folder.path());
        fs::write(&files(torn.path(), "log")[0], &log[..cut]).unwrap();
        let whole = sizes.iter().filter(|size| **size as usize <= cut).count() as i64;
        let store = open(torn.path());
        assert_eq!(store.bits("load"), expected(0..whole), "cut at {cut}");
        let left = fs::metadata(&files(torn.path(), "log")[0]).unwrap().len();
        assert_eq!(left, sizes[whole as usize - 1], "the torn tail is gone");
    }
}

#[test]
fn a_flipped_bit_in_the_log_costs_frames_up_to_the_next_key_frame_and_never_lies() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..200));
    let log = fs::read(&files(folder.path(), "log")[0]).unwrap();
    let all = expected(0..200);
    for at in (0..log.len()).step_by(97) {
        let damaged = copy(folder.path());
        let mut bytes = log.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&files(damaged.path(), "log")[0], &bytes).unwrap();
        let store = open(damaged.path());
        let read = store.bits("load");
        if store.catalog.of_metric("web-1", "load").is_empty() {
            continue;
        }
        assert!(read.iter().all(|sample| all.contains(sample)), "flipped at {at}");
        assert!(read.len() >= 200 - 64, "flipped at {at}: {} of 200", read.len());
        let last = read.last().map_or(0, |(at_ms, _)| (at_ms - START_MS) / 1000);
        let first = read.first().map_or(0, |(at_ms, _)| (at_ms - START_MS) / 1000);
        let is_hole_inside = first == 0 && (read.len() as i64) < last + 1;
        let gaps = store.raw("load").remove(0).gaps;
        let told: Vec<_> = gaps.iter().filter(|gap| gap.reason.contains("damaged")).collect();
        assert_eq!(told.len(), usize::from(is_hole_inside), "flipped at {at}: {gaps:?}");
        for gap in told {
            let (from_ms, to_ms) = (gap.from_ms, gap.to_ms.unwrap());
            let lost = all.iter().filter(|(at_ms, _)| (from_ms..to_ms).contains(at_ms));
            assert_eq!(lost.count(), 200 - read.len() - (199 - last) as usize, "{gaps:?}");
        }
    }
}

#[test]
fn a_series_whose_declaration_is_lost_leaves_its_number_to_nobody() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("secret", "");
    store.write(rows(id, 0..3));
    let path = &files(folder.path(), "log")[0];
    let mut log = fs::read(path).unwrap();
    let at = log.windows(6).position(|bytes| bytes == b"secret").unwrap();
    log[at] = b'S';
    let damaged = copy(folder.path());
    fs::write(&files(damaged.path(), "log")[0], log).unwrap();
    // The state was never told: the series was seen after the store had opened.
    let mut store = open(damaged.path());
    let other = store.series("other", "");
    assert_ne!(other, id);
    store.write(vec![frame(START_MS + 9000, &[(other, 9.0)])]);
    assert_eq!(store.bits("other"), [(START_MS + 9000, 9f64.to_bits())]);
}

#[test]
fn a_kill_between_any_two_steps_of_sealing_costs_nothing_and_repeats_nothing() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (id, late) = (store.series("load", ""), store.series("late", ""));
    let midnight = START_MS + 23 * 3_600_000;
    store.write(rows(id, 0..1500));
    store.write(
        (0..80).map(|row| frame(midnight - 40_000 + row * 1000, &[(late, row as f64)])).collect(),
    );
    store.store.writer.leave_file();
    store.write(vec![frame(midnight + 60_000, &[(late, 80.0)])]);
    let (all, all_late) = (store.bits("load"), store.bits("late"));
    assert_eq!((all.len(), all_late.len()), (1500, 81));

    let mut moments = vec![copy(folder.path())];
    let below = store.store.shared.sequence.load(std::sync::atomic::Ordering::Relaxed);
    let picked = sealing::pick(&store.store.shared, 1);
    let segments =
        sealing::write(&store.store.shared, store.store.keeper.store(), &picked).unwrap();
    assert_eq!(segments.len(), 4, "samples and minutes for each day");
    moments.push(copy(folder.path()));
    store.store.keeper.publish(&picked, segments);
    store.store.keeper.index().unwrap();
    moments.push(copy(folder.path()));
    store.store.keeper.drop_logs(below).unwrap();
    moments.push(copy(folder.path()));
    assert_eq!(files(folder.path(), "log").len(), 1, "only what is unsealed");
    assert_eq!((store.bits("load"), store.bits("late")), (all.clone(), all_late.clone()));

    for (step, moment) in moments.iter().enumerate() {
        let mut store = open(moment.path());
        assert_eq!(store.bits("load"), all, "killed after step {step}");
        assert_eq!(store.bits("late"), all_late, "killed after step {step}");
        assert_eq!(store.samples(), 1581, "nothing twice, after step {step}");
        store.seal();
        assert_eq!(store.bits("load"), all, "sealed after step {step}");
    }
}

#[test]
fn a_segment_does_not_take_the_number_of_one_that_the_state_still_names() {
    const DAY_ROWS: i64 = 24 * 3600;
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..100));
    store.seal();
    store.write(rows(id, DAY_ROWS..DAY_ROWS + 100));
    store.seal();
    let shared = store.store.shared.clone();
    let newest: Vec<_> = shared.view().segments.values().skip(2).cloned().collect();
    newest.iter().for_each(|facts| shared.drop_segment(facts).unwrap());
    // Killed before the state was told of what is gone, and then again before it was told of what is new.
    let killed = copy(folder.path());
    let mut store = open(killed.path());
    store.write(rows(id, 2 * DAY_ROWS..2 * DAY_ROWS + 100));
    store.store.writer.leave_file();
    let picked = sealing::pick(&store.store.shared, 1);
    let store_id = store.store.keeper.store();
    let sealed = sealing::write(&store.store.shared, store_id, &picked).unwrap();
    assert!(sealed.iter().all(|facts| newest.iter().all(|gone| gone.id != facts.id)));
    let killed = copy(killed.path());
    let store = open(killed.path());
    let all = [expected(0..100), expected(2 * DAY_ROWS..2 * DAY_ROWS + 100)].concat();
    assert_eq!(store.bits("load"), all);
    assert!(!store.ask(&everything("load")).partial);
    let state = sled_names(store, killed.path());
    assert_eq!(state.len(), 4, "the state names what is there, and nothing else");
}

/// The segments that the state of a closed store names.
fn sled_names(store: Opened, path: &Path) -> Vec<u64> {
    drop(store);
    let (_, contents) = SledState::open(&path.join("sled")).unwrap();
    contents.segments.into_keys().collect()
}

#[test]
fn a_draft_of_a_segment_is_deleted() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()));
    let day = folder.path().join("segments/raw/20500");
    fs::create_dir_all(&day).unwrap();
    fs::write(day.join("0000000000000001.tmp"), b"half").unwrap();
    open(folder.path());
    assert_eq!(files(folder.path(), "tmp"), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn a_flipped_bit_in_a_segment_is_left_out_and_said() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (id, other) = (store.series("load", "a"), store.series("load", "b"));
    let frames = (0..1200).map(|row| {
        let at = START_MS + row * 1000 + row % 7;
        frame(at, &[(id, (row * 7919 % 1009) as f64), (other, 5.0)])
    });
    store.write(frames.collect());
    let all = store.bits("load");
    store.seal();
    assert_eq!(store.bits("load"), all);
    let segment = &files(folder.path(), "seg")[0];
    let bytes = fs::read(segment).unwrap();
    for at in (0..bytes.len()).step_by(41) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(segment, &damaged).unwrap();
        let answer = store.ask(&everything("load"));
        let read = bits(&answer);
        assert!(read.iter().all(|sample| all.contains(sample)), "flipped at {at}");
        let harmless = at < 32 || read.len() == all.len();
        assert!(answer.partial || harmless, "flipped at {at}: {} samples", read.len());
    }
}

#[test]
fn without_sled_everything_is_rebuilt() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (id, unseen) = (store.series("load", "x"), store.series("rare_total", ""));
    store.write(rows(id, 0..1100));
    store.write(vec![frame(START_MS + 2_000_000, &[(unseen, 7.0)])]);
    let gap = crate::series::Gap {
        server: "web-1".into(),
        collector: "test".into(),
        from_ms: START_MS + 1_100_000,
        to_ms: Some(START_MS + 2_000_000),
        reason: "it slept".into(),
    };
    store.try_write(&Batch { frames: Vec::new(), gaps: vec![gap.clone()] }).unwrap();
    store.seal();
    store.store.keeper.checkpoint().unwrap();
    drop(store);
    for damage in ["gone", "overwritten", "a file"] {
        let damaged = copy(folder.path());
        let sled = damaged.path().join("sled");
        if damage == "gone" {
            fs::remove_dir_all(&sled).unwrap();
            fs::remove_file(damaged.path().join("checkpoint/state.ckpt")).unwrap();
        } else if damage == "a file" {
            fs::remove_dir_all(&sled).unwrap();
            fs::write(sled, b"").unwrap();
        } else {
            // sled opens this without a word, and is empty.
            let database = fs::read(sled.join("db")).unwrap();
            fs::write(sled.join("db"), vec![0xa5; database.len()]).unwrap();
        }
        let store = open(damaged.path());
        assert_eq!(store.bits("load"), expected(0..1100), "{damage}");
        assert_eq!(store.catalog.of_metric("web-1", "rare_total"), [unseen], "{damage}");
        let aside = fs::read_dir(damaged.path()).unwrap().flatten();
        let aside = aside.filter(|entry| entry.file_name().to_string_lossy().contains("damaged"));
        assert_eq!(aside.count(), usize::from(damage == "a file"), "{damage}");
        if damage != "gone" {
            let answer = &store.raw("load")[0];
            assert!(answer.gaps.contains(&gap), "the checkpoint has it: {:?}", answer.gaps);
        }
    }
}

#[test]
fn a_half_written_snapshot_of_sled_does_not_keep_the_store_from_opening() {
    let folder = TempDir::new().unwrap();
    drop(open(folder.path()));
    let half = folder.path().join("sled/snap.0000000000000000.generating");
    fs::write(&half, b"half").unwrap();
    open(folder.path());
    assert!(!half.exists());
    assert!(
        !fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .any(|entry| { entry.file_name().to_string_lossy().contains("damaged") })
    );
}

#[test]
fn the_absence_of_the_daemon_is_a_gap_with_its_reason() {
    for (clean, reason) in [(false, "bartizan was killed"), (true, "bartizan was stopped")] {
        let folder = TempDir::new().unwrap();
        let mut store = open(folder.path());
        let id = store.series("load", "");
        store.write(rows(id, 0..5));
        if clean {
            store.store.writer.stop().unwrap();
        }
        drop(store);
        let mut store = open(folder.path());
        let gap = |store: &Opened| {
            let gaps = &store.raw("load")[0].gaps;
            assert_eq!(gaps.len(), 1, "{gaps:?}");
            (gaps[0].from_ms, gaps[0].to_ms, gaps[0].reason.to_string())
        };
        assert_eq!(gap(&store), (START_MS + 5000, None, reason.to_owned()));
        store.write(rows(id, 9..10));
        let closed = (START_MS + 5000, Some(START_MS + 9000), reason.to_owned());
        let answer = store.ask(&Query { to_ms: START_MS + 9500, ..everything("load") });
        assert_eq!(answer.series[0].gaps.len(), 1);
        drop(store);
        // It is remembered, whatever happens afterwards.
        let store = open(folder.path());
        let gaps = &store.raw("load")[0].gaps;
        assert_eq!((gaps[0].from_ms, gaps[0].to_ms, gaps[0].reason.to_string()), closed);
        assert_eq!(&*gaps[1].reason, "bartizan was killed");
    }
}

#[test]
fn a_folder_in_use_or_of_a_newer_daemon_is_refused_with_the_fix() {
    let folder = TempDir::new().unwrap();
    let first = open(folder.path());
    let catalog = Arc::new(Catalog::default());
    let again = || Store::open(folder.path(), &StoreConfig::default(), &catalog).unwrap_err();
    let error = again();
    let pid = std::process::id();
    assert!(matches!(error, StoreError::InUse { pid: Some(found), .. } if found == pid));
    assert!(error.to_string().contains("--state"), "{error}");

    drop(first);
    fs::write(folder.path().join("VERSION"), "3\n").unwrap();
    let error = again();
    assert!(matches!(&error, StoreError::Version { found, known: 2, .. } if found == "3"));
}

#[test]
fn a_disk_that_refuses_is_told_and_then_forgotten() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..10));
    store.store.writer.leave_file();
    let logs = folder.path().join("log");
    let aside = folder.path().join("aside");
    fs::rename(&logs, &aside).unwrap();
    let batch = Batch { frames: rows(id, 10..11), gaps: Vec::new() };
    store.try_write(&batch).unwrap_err();
    assert_eq!(store.bits("load"), expected(0..10), "nothing is shown that is not kept");
    fs::rename(&aside, &logs).unwrap();
    store.write(rows(id, 10..20));
    assert_eq!(store.bits("load"), expected(0..20));
    assert_eq!(open(copy(folder.path()).path()).bits("load"), expected(0..20));
}

#[test]
fn more_rows_than_a_block_holds_come_back() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    let many = ROWS_MAX as i64 * 2 + 100;
    store.write(rows(id, 0..many));
    store.seal();
    assert_eq!(store.bits("load"), expected(0..many));
    assert_eq!(open(copy(folder.path()).path()).bits("load"), expected(0..many));
}
