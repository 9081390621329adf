//! Waiting until what arrived survives a power cut.

use std::{fs, future::Future, os::fd::OwnedFd, pin::pin, task};

use super::{
    super::{
        StoreIntake, StorePort, arrival::Judged, disk::File, messages::Refused, syncing::Syncing,
    },
    *,
};

/// Whether there is an answer yet, and which.
fn poll<F: Future>(waiting: &mut std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut context = task::Context::from_waker(task::Waker::noop());
    match waiting.as_mut().poll(&mut context) {
        task::Poll::Ready(answer) => Some(answer),
        task::Poll::Pending => None,
    }
}

fn batch(at_ms: i64) -> Batch {
    Batch { frames: vec![frame(at_ms, &[(SeriesId(0), 1.0)])], gaps: Vec::new() }
}

/// What the writer does once everything that waits is written.
fn written(intake: &StoreIntake, syncing: &Syncing) {
    for waiting in intake.take(usize::MAX, std::time::Duration::ZERO) {
        let durable = intake.written(waiting).unwrap();
        let kept = Kept { stored: 1, ..Kept::default() };
        syncing.when_durable(durable, Judged { kept, ..Judged::default() }, 100);
    }
}

/// A file that no sync succeeds on.
fn unsyncable() -> Arc<File> {
    let (reader, _) = std::io::pipe().unwrap();
    Arc::new(fs::File::from(OwnedFd::from(reader)).into())
}

#[test]
fn whoever_waits_is_answered_by_a_sync_after_the_writing_and_shares_it() {
    let (port, intake) = StorePort::new(1 << 20);
    let syncing = Syncing::default();
    syncing.begin_file(Arc::new(tempfile::tempfile().unwrap().into()));
    let (mut first, mut second) = (pin!(port.arrive(batch(1))), pin!(port.arrive(batch(2))));
    assert_eq!((poll(&mut first), poll(&mut second)), (None, None));
    syncing.sync(&intake).unwrap();
    assert_eq!(poll(&mut first), None, "it is not written");
    written(&intake, &syncing);
    assert_eq!(poll(&mut first), None, "it is not synced");
    syncing.sync(&intake).unwrap();
    let kept = Ok(Kept { stored: 1, ..Kept::default() });
    assert_eq!((poll(&mut first), poll(&mut second)), (Some(kept.clone()), Some(kept)));
    assert_eq!(intake.stored_samples(), 2);
}

#[test]
fn after_a_failed_sync_nothing_is_durable_until_it_is_sealed() {
    let (port, intake) = StorePort::new(1 << 20);
    let syncing = Syncing::default();
    syncing.begin_file(unsyncable());
    let refused = |answer: Option<Result<Kept, Refused>>| matches!(answer, Some(Err(Refused::Disk(why))) if why.contains("failed to sync log"));
    let mut first = pin!(port.arrive(batch(1)));
    poll(&mut first);
    written(&intake, &syncing);
    syncing.sync(&intake).unwrap_err();
    assert!(refused(poll(&mut first)));
    let failed = syncing.failed();
    assert_eq!(failed, Some(1));

    // The same batch again: it is in the heads, and the file it stands in is not believed.
    syncing.begin_file(Arc::new(tempfile::tempfile().unwrap().into()));
    let mut again = pin!(port.arrive(batch(1)));
    poll(&mut again);
    written(&intake, &syncing);
    syncing.sync(&intake).unwrap();
    assert!(refused(poll(&mut again)), "a sync of another file says nothing of it");

    // Another one fails while what the first has left is sealed.
    syncing.begin_file(unsyncable());
    syncing.sync(&intake).unwrap_err();
    syncing.made_good(failed.unwrap());
    assert_eq!(syncing.failed(), Some(2));
    syncing.made_good(2);
    let mut last = pin!(port.arrive(batch(2)));
    poll(&mut last);
    written(&intake, &syncing);
    syncing.sync(&intake).unwrap();
    assert!(matches!(poll(&mut last), Some(Ok(_))));
}

#[test]
fn what_others_send_has_half_the_queue_and_drops_nothing_of_ours() {
    let (port, intake) = StorePort::new(16 << 10);
    let large = |rows: i64| Batch {
        frames: (0..rows).map(|at| frame(at, &[(SeriesId(0), 1.0)])).collect(),
        gaps: Vec::new(),
    };
    let ours = port.append(large(60));
    let mut sent = Vec::new();
    for at in 0..100 {
        sent.push(Box::pin(port.arrive(batch(at))));
    }
    let answers: Vec<_> = sent.iter_mut().map(|sent| poll(&mut sent.as_mut())).collect();
    let refused = answers.iter().filter(|answer| matches!(answer, Some(Err(Refused::Behind))));
    assert!((30..90).contains(&refused.count()), "{answers:?}");
    assert!(port.waiting_bytes() <= 8 << 10);
    // What is read here pushes out theirs as well as its own, and only its own is lost.
    let dropped = port.dropped_samples();
    let later = port.append(large(200));
    assert_eq!(port.dropped_samples() - dropped, 60, "the oldest was ours");
    drop((ours, later));
    assert!(sent.iter_mut().zip(&answers).any(|(sent, before)| {
        before.is_none() && matches!(poll(&mut sent.as_mut()), Some(Err(Refused::Behind)))
    }));
    assert_eq!(port.dropped_samples(), 60);
    drop(intake);
}

#[test]
fn gaps_of_dropped_batches_have_a_limit_and_those_beyond_it_are_counted() {
    let (port, intake) = StorePort::new(1 << 10);
    let gap = |number| crate::series::Gap {
        server: format!("web-{number}").into(),
        collector: "disk".into(),
        from_ms: 1_000,
        to_ms: None,
        reason: "it slept".into(),
    };
    let frames = (0..60).map(|at| frame(at, &[(SeriesId(0), 1.0)])).collect();
    drop(port.append(Batch { frames, gaps: (0..70_000).map(gap).collect() }));
    assert_eq!(port.dropped_samples(), 60 + 70_000 - 65_536);
    let taken = intake.take(1 << 20, std::time::Duration::ZERO);
    let gaps = taken.iter().map(|waiting| waiting.batch.gaps.len()).sum::<usize>();
    assert_eq!(gaps, 65_536 + 1, "and that the samples were dropped");
}
