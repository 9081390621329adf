//! The thread that owns the state: asked through a bounded queue, answered in time or not at all.

use std::{
    path::PathBuf,
    sync::{
        Arc, Weak,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    StoreError, checkpoint,
    state::{Changes, StateStore},
};

/// Requests that may wait.
const QUEUE: usize = 16;
/// After this an answer is no longer waited for.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// A copy is as long as everything that is kept.
const COPY_LIMIT: Duration = Duration::from_secs(30);

/// Asks the thread that owns the state. The thread ends when this is dropped, which
/// waits until it has let go of the state.
#[derive(Debug)]
pub(super) struct StateThread {
    /// There until the end.
    requests: Option<Arc<SyncSender<Request>>>,
    /// Told when the thread has let go of the state.
    ended: Receiver<()>,
}

/// Asks the thread from elsewhere, without waiting for it. It outlives neither the thread nor the store.
#[derive(Debug, Clone)]
pub(super) struct StateRequests(Weak<SyncSender<Request>>);

#[derive(Debug)]
enum Request {
    Apply(Changes, SyncSender<Result<(), StoreError>>),
    Keep(Changes, oneshot::Sender<Result<(), StoreError>>),
    Checkpoint(PathBuf, SyncSender<Result<u64, StoreError>>),
}

impl StateThread {
    /// Hands `state` to a thread of its own.
    pub(super) fn start(mut state: impl StateStore + 'static) -> Result<Self, StoreError> {
        let (requests, received) = sync_channel(QUEUE);
        let (end, ended) = sync_channel(1);
        let name = "store-state".to_owned();
        let work = move || {
            for request in received {
                // Whoever has stopped waiting asks again.
                match request {
                    Request::Apply(changes, reply) => drop(reply.send(state.apply(&changes))),
                    Request::Keep(changes, reply) => drop(reply.send(state.apply(&changes))),
                    Request::Checkpoint(path, reply) => {
                        drop(reply.send(checkpoint::write(&path, &mut state)));
                    }
                }
            }
            drop(state);
            let _ = end.send(());
        };
        thread::Builder::new().name(name).spawn(work).map_err(StoreError::Thread)?;
        Ok(Self { requests: Some(Arc::new(requests)), ended })
    }

    /// Makes all changes or none; once this returns they survive a power cut.
    /// After an error they may or may not have been made.
    pub(super) fn apply(&self, changes: Changes) -> Result<(), StoreError> {
        self.ask("write", ANSWER_LIMIT, |reply| Request::Apply(changes, reply))
    }

    /// A way to ask from elsewhere.
    pub(super) fn requests(&self) -> Option<StateRequests> {
        self.requests.as_ref().map(|requests| StateRequests(Arc::downgrade(requests)))
    }

    /// Writes all of the state to the file `path`; answers its size.
    pub(super) fn checkpoint(&self, path: PathBuf) -> Result<u64, StoreError> {
        self.ask("copy", COPY_LIMIT, |reply| Request::Checkpoint(path, reply))
    }

    fn ask<T>(
        &self,
        step: &'static str,
        limit: Duration,
        request: impl FnOnce(SyncSender<Result<T, StoreError>>) -> Request,
    ) -> Result<T, StoreError> {
        let (reply, answer) = sync_channel(1);
        let silent = || StoreError::StateSilent { step, seconds: limit.as_secs() };
        let requests = self.requests.as_ref().ok_or_else(silent)?;
        requests.try_send(request(reply)).map_err(|_| silent())?;
        answer.recv_timeout(limit).unwrap_or_else(|_| Err(silent()))
    }
}

impl StateRequests {
    /// Makes all changes or none; once this returns they survive a power cut. After an error they may or may not
    /// have been made.
    pub(super) async fn keep(&self, changes: Changes) -> Result<(), StoreError> {
        let silent = || StoreError::StateSilent { step: "write", seconds: ANSWER_LIMIT.as_secs() };
        let (reply, answer) = oneshot::channel();
        let requests = self.0.upgrade().ok_or(StoreError::Closed)?;
        requests.try_send(Request::Keep(changes, reply)).map_err(|_| silent())?;
        drop(requests);
        match tokio::time::timeout(ANSWER_LIMIT, answer).await {
            Ok(answer) => answer.unwrap_or(Err(StoreError::Closed)),
            Err(_) => Err(silent()),
        }
    }
}

impl Drop for StateThread {
    fn drop(&mut self) {
        self.requests = None;
        // Without an answer it hangs in the disk; it holds no more than a lock of its own.
        let _ = self.ended.recv_timeout(ANSWER_LIMIT);
    }
}
