//! What goes to the daemon: gathered, so that the answers of one tick leave in one write.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    io::Errno,
    net::{SendFlags, send},
};

use super::talk::end;
use crate::plugin::frames::{Head, push};

/// Frames on their way. Whoever finishes the last call that is running writes them all; if
/// one takes long, the main thread writes what the others have left (see [`flush_late`](Self::flush_late)).
#[derive(Default)]
pub(super) struct Outbox {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    bytes: Vec<u8>,
    /// Calls that have begun and not ended.
    running: usize,
    /// Those that are still running have had their time: nobody waits for them any more.
    late: bool,
}

impl Outbox {
    /// A call begins. Called by the main thread, before it hands the call over.
    pub(super) fn begin(&self) {
        let mut inner = self.lock();
        inner.running += 1;
        inner.late = false;
    }

    /// A call has ended, and this is its answer.
    pub(super) fn finish(&self, head: Head, body: &[&[u8]]) {
        let mut inner = self.lock();
        inner.running = inner.running.saturating_sub(1);
        push(&mut inner.bytes, head, body);
        inner.flush_if_due();
    }

    /// Something to say outside an answer; during a call it travels with the answers.
    pub(super) fn say(&self, head: Head, body: &[&[u8]]) {
        let mut inner = self.lock();
        push(&mut inner.bytes, head, body);
        inner.flush_if_due();
    }

    /// Whether answers wait, or may come to wait, for a call that is still running.
    pub(super) fn is_waiting(&self) -> bool {
        let mut inner = self.lock();
        // One alone waits for nobody.
        inner.late |= inner.running == 1 && inner.bytes.is_empty();
        inner.running > 0 && !inner.late
    }

    /// Writes what is there; from now on nothing waits, until the next call begins.
    pub(super) fn flush_late(&self) {
        let mut inner = self.lock();
        inner.late = true;
        inner.flush_if_due();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn flush_if_due(&mut self) {
        if (self.running > 0 && !self.late) || self.bytes.is_empty() {
            return;
        }
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            match send(io::stdin(), rest, SendFlags::NOSIGNAL) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                // The daemon is gone.
                Err(_) => end(),
            }
        }
        self.bytes.clear();
    }
}
