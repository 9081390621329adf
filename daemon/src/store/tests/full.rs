//! A disk that is full, with the store at work: what is given up, in which order, and that it comes back.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use ractor::Actor;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::{
    super::{StoreActor, disk_faults::Watch, folder::bytes_below, messages::Refused, reserve},
    running::{LONG, Life, life, until},
    *,
};
use crate::supervision::ActorState;

/// Of the disk, and of the folder.
const DISK: u64 = 8 << 20;
const MAX_BYTES: u64 = 16 << 20;

/// Somebody else's file, which grows until the disk is full.
struct Foreign {
    path: PathBuf,
    root: PathBuf,
}

impl Foreign {
    /// Takes all that is left.
    fn fill(&self) {
        let own = fs::metadata(&self.path).map_or(0, |facts| facts.len());
        let left = DISK.saturating_sub(bytes_below(&self.root));
        fs::File::options()
            .create(true)
            .append(true)
            .open(&self.path)
            .unwrap()
            .set_len(own + left)
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_takes_the_reserve_then_old_segments_then_samples_and_recovers_by_itself() {
    let folder = TempDir::new().unwrap();
    let watch = Watch::new(folder.path());
    watch.capacity(DISK);
    let Life { port, reader, mut arguments, .. } = life(&folder, 64 << 10);
    arguments.config.max_bytes = MAX_BYTES;
    let ids: Vec<_> = (0..50)
        .map(|n| arguments.catalog.intern(series("noise", &n.to_string())).unwrap())
        .collect();
    let mut random = fastrand::Rng::with_seed(3);
    let mut row = 0;
    let mut batch = |rows: i64| {
        let frames = (0..rows).map(|_| {
            row += 1;
            let samples: Vec<_> = ids.iter().map(|id| (*id, random.f64())).collect();
            frame(START_MS + row * 1000, &samples)
        });
        Batch { frames: frames.collect(), gaps: Vec::new() }
    };
    let node = arguments.node.clone();
    let (actor, stopped) = Actor::spawn(None, StoreActor, arguments).await.unwrap();
    let reserve = folder.path().join("reserve");
    let size = || fs::metadata(&reserve).map_or(0, |facts| facts.len());
    until(async || size() == reserve::reserve_bytes(MAX_BYTES)).await;

    let mut sealed = 0;
    while sealed < 6 {
        for _ in 0..40 {
            port.append(batch(30)).wait().await.unwrap();
        }
        let before = sealed;
        until(async || files(folder.path(), "seg").len() > before).await;
        sealed = files(folder.path(), "seg").len();
    }
    let foreign = Foreign { path: folder.path().join("foreign"), root: folder.path().to_owned() };
    foreign.fill();
    // Whatever becomes free, somebody else takes.
    let began = Instant::now();
    let (mut refused, mut acks) = (0, Vec::new());
    // The keeper looks once a second.
    while refused < 3 || files(folder.path(), "seg").len() == sealed {
        assert!(began.elapsed() < LONG, "{refused} refused");
        acks.push(port.append(batch(30)));
        foreign.fill();
        sleep(Duration::from_millis(30)).await;
        acks.retain_mut(|ack| match ack.0.try_recv() {
            Ok(Err(Refused::Disk(why))) => {
                assert!(why.contains("full") || why.contains("No space"), "{why}");
                refused += 1;
                false
            }
            Ok(answer) => {
                answer.unwrap();
                false
            }
            Err(_) => true,
        });
    }
    assert_eq!(size(), 0, "the reserve is given up");
    let left = files(folder.path(), "seg").len();
    assert!(left < sealed && left >= sealed / 2 - 1, "{left} of {sealed} segments are left");
    let why = reader.stats().degraded.unwrap();
    assert_eq!(why.matches("disk is full").count() + why.matches("No space").count(), 1, "{why}");
    let says_why = || node.view().detail.is_some_and(|detail| detail.contains("free room"));
    until(async || node.state() == ActorState::Down && says_why()).await;
    assert!(why.contains("disk is full") && why.contains("free room"), "{why}");
    assert!(port.dropped_samples() > 0 && port.waiting_bytes() <= 64 << 10);

    fs::remove_file(&foreign.path).unwrap();
    until(async || reader.stats().degraded.is_none()).await;
    until(async || node.state() == ActorState::Up).await;
    until(async || size() == reserve::reserve_bytes(MAX_BYTES)).await;
    timeout(LONG, port.append(batch(30)).wait()).await.unwrap().unwrap();
    sleep(Duration::from_millis(10)).await;
    let answer = reader.query(everything("noise")).await.unwrap();
    let gaps: Vec<_> = answer.series[0].gaps.iter().filter(|gap| gap.to_ms.is_some()).collect();
    assert!(
        gaps.iter().any(|gap| gap.reason.contains("full") || gap.reason.contains("No space")),
        "{gaps:?}"
    );
    assert!(!answer.partial);
    actor.stop(None);
    timeout(LONG, stopped).await.unwrap().unwrap();
}
