//! What a running store can be asked for besides samples: what it consists of, all it holds, a seal, a copy of its
//! state.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::sleep,
};

use super::{
    super::{StoreError, StoreReader, errands::Errand},
    dump::{Dump, Dumped, Selection, TakeSamples},
    inventory::Inventory,
};

/// Asks whichever store is open at the time. Cheap to clone; threads: any.
#[derive(Debug, Clone)]
pub struct UpkeepPort {
    store: StoreReader,
    dumps: Arc<Semaphore>,
}

/// A dump that may begin: there are only so many at once. Threads: any that may wait for the disk.
#[derive(Debug)]
pub struct DumpTurn {
    store: StoreReader,
    _turn: OwnedSemaphorePermit,
}

/// How often it is looked whether everything is settled.
const LOOK: Duration = Duration::from_millis(50);
/// Dumps at once; who comes when there are as many is told to come again.
const DUMPS_AT_ONCE: usize = 2;

impl UpkeepPort {
    /// A port to the store that `store` reads.
    pub fn new(store: StoreReader) -> Self {
        Self { store, dumps: Arc::new(Semaphore::new(DUMPS_AT_ONCE)) }
    }

    /// What the store consists of.
    pub async fn inventory(&self) -> Result<Inventory, StoreError> {
        let shared = self.store.shared().ok_or(StoreError::Closed)?;
        let work = spawn_blocking(move || Inventory::of(&shared));
        work.await.map_err(|_| StoreError::Closed)
    }

    /// Seals whatever has been appended before and settles what can be; ends when nothing of it is left to do.
    pub async fn seal(&self) -> Result<(), StoreError> {
        self.ask(Errand::Seal).await?;
        let shared = self.store.shared().ok_or(StoreError::Closed)?;
        shared.settle_at_once.store(true, Ordering::Relaxed);
        // Whoever asks has a deadline.
        while shared.settle_at_once.load(Ordering::Relaxed) {
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// Copies the state as it is now to `checkpoint/`; ends when the copy survives a power cut.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        self.ask(Errand::Checkpoint).await
    }

    /// The right to read everything.
    pub fn dump(&self) -> Result<DumpTurn, StoreError> {
        let turn = self.dumps.clone().try_acquire_owned().map_err(|_| StoreError::Busy)?;
        Ok(DumpTurn { store: self.store.clone(), _turn: turn })
    }

    async fn ask(&self, errand: Errand) -> Result<(), StoreError> {
        let shared = self.store.shared().ok_or(StoreError::Closed)?;
        let answer = shared.errands.ask(errand)?;
        drop(shared);
        // The keeper ends with its store.
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl DumpTurn {
    /// Tells every sample that is selected. Blocks on the disk, and on whoever takes.
    pub fn run(
        self,
        selection: &Selection,
        each: &mut TakeSamples<'_>,
    ) -> Result<Dumped, StoreError> {
        let shared = self.store.shared().ok_or(StoreError::Closed)?;
        Dump::run(&shared, selection, each)
    }
}
