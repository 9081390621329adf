//! Reading along: everything that was appended, once, in order, whatever becomes of the files.

use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    super::{Appended, LogPlace, LogTail, StorePort, StoreReader},
    *,
};

/// A reader of what is open, though nothing is at work.
pub(super) fn reader(store: &Opened) -> StoreReader {
    let reader = StoreReader::new(store.catalog.clone(), StorePort::new(1 << 20).1);
    reader.set(Some(store.store.shared.clone()));
    reader
}

/// Everything there is to read, in steps of about `most` samples.
fn read(tail: &mut LogTail, most: usize) -> (Vec<Frame>, LogPlace, bool) {
    let (mut frames, mut lost) = (Vec::new(), false);
    loop {
        let passage = tail.next(most).unwrap();
        lost |= passage.lost;
        if passage.appended.is_empty() {
            return (frames, passage.end, lost);
        }
        frames.extend(passage.appended.into_iter().filter_map(|appended| match appended {
            Appended::Frame(frame) => Some(frame),
            Appended::Gap(_) => None,
        }));
    }
}

#[test]
fn without_a_place_it_begins_with_what_comes_now() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    let reader = reader(&store);
    let mut first = reader.tail(None);
    store.write(rows(id, 0..5));
    let mut second = reader.tail(None);
    assert_eq!(read(&mut second, 100).0, []);
    store.write(rows(id, 5..70));
    assert_eq!(read(&mut first, 7).0, rows(id, 0..70));
    let (frames, place, lost) = read(&mut second, 100);
    assert_eq!((frames, lost), (rows(id, 5..70), false));
    assert_eq!(Some(place), reader.log_end());
    assert_eq!(reader.log_bytes_after(place), 0);
    store.write(rows(id, 70..71));
    assert!(reader.log_bytes_after(place) > 8);
}

#[test]
fn gaps_come_in_their_order_and_lanes_are_their_collector() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (a, b) = (store.series("load", "a"), store.series("load", "b"));
    let mut tail = reader(&store).tail(None);
    let gap = crate::series::Gap {
        server: "web-1".into(),
        collector: "test".into(),
        from_ms: START_MS,
        to_ms: None,
        reason: "it slept".into(),
    };
    store.arrive(vec![frame(START_MS, &[(a, 1.0)]), frame(START_MS, &[(b, 2.0)])]);
    store.try_write(&Batch { frames: Vec::new(), gaps: vec![gap.clone()] }).unwrap();
    store.arrive(vec![frame(START_MS + 1000, &[(b, 3.0)])]);
    let expected = [
        Appended::Frame(frame(START_MS, &[(a, 1.0)])),
        Appended::Frame(frame(START_MS, &[(b, 2.0)])),
        Appended::Gap(gap),
        Appended::Frame(frame(START_MS + 1000, &[(b, 3.0)])),
    ];
    assert_eq!(tail.next(100).unwrap().appended, expected);
}

#[test]
fn held_files_outlive_their_sealing_and_go_when_nobody_needs_them() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..10));
    let reader_of_first = reader(&store);
    reader_of_first.hold_log("hub", Some(1));
    store.seal();
    store.write(rows(id, 10..20));
    store.seal();
    assert_eq!(store.store.shared.log_bytes(), 0);
    assert!(store.store.shared.held_bytes() > 0);
    drop((reader_of_first, store));

    // Nobody has said yet whether it is still needed.
    let mut store = open(folder.path());
    let reader = reader(&store);
    store.write(rows(id, 20..30));
    store.seal();
    let begin = LogPlace { sequence: 1, offset: 0 };
    let (frames, place, lost) = read(&mut reader.tail(Some(begin)), 3);
    assert_eq!((frames, lost), (rows(id, 0..30), false));
    reader.log_holders_are(&["hub", "other"]);
    store.store.keeper.stay_under_limit().unwrap();
    assert_eq!(read(&mut reader.tail(Some(begin)), 100).0, rows(id, 0..30), "not told from where");
    reader.log_holders_are(&["hub"]);
    reader.hold_log("hub", Some(2));
    store.store.keeper.stay_under_limit().unwrap();
    let (frames, _, lost) = read(&mut reader.tail(Some(begin)), 100);
    assert_eq!((frames, lost), (rows(id, 10..30), true), "the first file is gone");
    reader.log_holders_are(&[]);
    store.store.keeper.stay_under_limit().unwrap();
    assert!(!folder.path().join("log/held").exists());
    store.write(rows(id, 30..31));
    let (frames, _, lost) = read(&mut reader.tail(Some(place)), 100);
    assert_eq!((frames, lost), (rows(id, 30..31), false), "all before was read");
    let newest = reader.log_end().unwrap().sequence;
    store.seal();
    drop(store);
    let mut store = open(folder.path());
    store.write(rows(id, 31..32));
    let again = super::tailing::reader(&store).log_end().unwrap().sequence;
    assert!(again > newest, "{again}: a number never comes again");
}

#[test]
fn held_files_never_take_more_than_a_quarter_and_give_way() {
    let folder = TempDir::new().unwrap();
    let config = StoreConfig { max_bytes: 4 << 20, ..StoreConfig::default() };
    let mut store = open_with(folder.path(), &config);
    let ids: Vec<_> = (0..40).map(|n| store.series("noise", &n.to_string())).collect();
    let reader = reader(&store);
    reader.hold_log("hub", Some(1));
    let mut random = fastrand::Rng::with_seed(7);
    for batch in 0..80i64 {
        let frames = (0..100).map(|row| {
            let at = START_MS + (batch * 100 + row) * 1000;
            frame(at, &ids.iter().map(|id| (*id, random.f64())).collect::<Vec<_>>())
        });
        store.write(frames.collect());
        if store.store.shared.log_bytes() > store.store.shared.limits.logs / 4 {
            store.seal();
        }
        store.store.keeper.stay_under_limit().unwrap();
        let held = store.store.shared.held_bytes();
        assert!(held <= config.max_bytes / 4, "{held} bytes");
        let all = super::super::folder::bytes_below(folder.path());
        assert!(all <= config.max_bytes, "{all} bytes");
    }
    assert!(store.store.shared.held_bytes() > 0);
    let mut tail = reader.tail(Some(LogPlace { sequence: 1, offset: 0 }));
    let (frames, _, lost) = read(&mut tail, 1000);
    assert!(lost);
    let seconds: Vec<_> = frames.iter().map(|frame| (frame.at_ms - START_MS) / 1000).collect();
    assert_eq!(seconds.last(), Some(&7999));
    assert!(
        seconds.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "no hole but the one at the front"
    );
}

#[test]
fn a_file_that_nothing_was_written_to_is_no_loss() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let shared = &store.store.shared;
    assert!(!shared.may_have_lost((7, 0), 8) && !shared.may_have_lost((7, 32), 8));
    assert!(shared.may_have_lost((7, 33), 8), "something was read of it");
    assert!(shared.may_have_lost((7, 0), 9), "so is another");
    shared.forget_log(7, 32);
    assert!(!shared.may_have_lost((7, 0), 9) && !shared.has_lost_between(6, 9));
    shared.forget_log(8, 33);
    assert!(shared.may_have_lost((7, 0), 9) && shared.may_have_lost((8, 32), 9));
}

#[test]
fn a_damage_is_told_as_lost_and_the_rest_is_read() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.write(rows(id, 0..200));
    let path = files(folder.path(), "log").remove(0);
    let whole = fs::read(&path).unwrap();
    let all = rows(id, 0..200);
    for at in (40..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        let tail = reader(&store).tail(Some(LogPlace { sequence: 1, offset: 0 }));
        let (frames, _, lost) = read(&mut { tail }, 50);
        assert!(lost || frames == all, "flipped at {at}");
        assert!(frames.len() >= 200 - 64, "flipped at {at}: {} of 200", frames.len());
        assert!(frames.iter().all(|frame| all.contains(frame)), "flipped at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn all_is_read_once_and_in_order(
        steps in proptest::collection::vec((0usize..8, 1i64..40, 1usize..60), 1..40),
    ) {
        let folder = TempDir::new().unwrap();
        let mut store = open(folder.path());
        let mut id = store.series("load", "");
        let mut reader = reader(&store);
        reader.hold_log("hub", Some(1));
        let mut tail = reader.tail(Some(LogPlace { sequence: 1, offset: 0 }));
        let (mut written, mut found) = (0, Vec::new());
        for (what, count, most) in steps {
            match what {
                0..3 => {
                    store.write(rows(id, written..written + count));
                    written += count;
                }
                3..6 => {
                    let passage = tail.next(most).unwrap();
                    prop_assert!(!passage.lost);
                    found.extend(passage.appended);
                    reader.hold_log("hub", Some(passage.end.sequence));
                    if what == 5 {
                        // Its reader was killed, and remembers only the place.
                        tail = reader.tail(Some(passage.end));
                    }
                }
                6 => {
                    store.seal();
                    store.store.keeper.stay_under_limit().unwrap();
                }
                _ => {
                    let place = tail.next(0).unwrap().end;
                    drop((tail, store));
                    store = open(folder.path());
                    // One that was never written has no number yet.
                    id = store.series("load", "");
                    reader = super::tailing::reader(&store);
                    tail = reader.tail(Some(place));
                }
            }
        }
        let (rest, _, lost) = read(&mut tail, 1000);
        prop_assert!(!lost);
        found.extend(rest.into_iter().map(Appended::Frame));
        let expected: Vec<_> = rows(id, 0..written).into_iter().map(Appended::Frame).collect();
        prop_assert_eq!(found, expected);
    }
}
