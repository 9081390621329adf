//! What the keeper is asked to do besides what it does by itself: seal everything, copy the state.
//!
//! Few wait, each is told how it ended, and none waits for longer than the keeper lives.

use std::{
    collections::VecDeque,
    sync::{Mutex, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    StoreError,
    keeper::Keeper,
    shared::{Shared, lock},
};

/// More than these do not wait.
const WAITING_MAX: usize = 8;
/// Time for the writer to begin another file.
const ROTATION_LIMIT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// Seal whatever has been appended before.
    Seal,
    /// Tell the state what is new, and copy it.
    Checkpoint,
}

/// What waits to be done.
#[derive(Debug, Default)]
pub(super) struct Errands(Mutex<VecDeque<(Errand, Told)>>);

type Told = oneshot::Sender<Result<(), StoreError>>;

impl Errands {
    /// Asks for `errand`; the answer comes when it is done.
    pub(super) fn ask(
        &self,
        errand: Errand,
    ) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        let mut waiting = lock(&self.0);
        if waiting.len() >= WAITING_MAX {
            return Err(StoreError::Busy);
        }
        let (told, answer) = oneshot::channel();
        waiting.push_back((errand, told));
        Ok(answer)
    }

    fn next(&self) -> Option<(Errand, Told)> {
        lock(&self.0).pop_front()
    }
}

/// Does what waits. Called by the keeper's thread.
pub(super) fn run(shared: &Shared, keeper: &mut Keeper) {
    while let Some((errand, told)) = shared.errands.next() {
        let done = match errand {
            Errand::Seal => rotated(shared).and_then(|()| keeper.seal(true)),
            Errand::Checkpoint => keeper.index().and_then(|()| keeper.checkpoint()),
        };
        // Whoever asked may have given up.
        let _ = told.send(done);
    }
}

/// Lets the writer close every chunk that is open now.
fn rotated(shared: &Shared) -> Result<(), StoreError> {
    let before = shared.sequence.load(Ordering::Relaxed);
    if shared.view().heads.streams.iter().all(|stream| stream.open.is_none()) {
        return Ok(());
    }
    shared.rotate.store(true, Ordering::Relaxed);
    let until = Instant::now() + ROTATION_LIMIT;
    while shared.sequence.load(Ordering::Relaxed) == before {
        if Instant::now() > until {
            return Err(StoreError::Busy);
        }
        thread::sleep(LOOK);
    }
    Ok(())
}
