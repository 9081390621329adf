//! The store's log, as a line reads it.

use std::future::Future;

use crate::store::{LogPlace, LogTail, Passage, StoreError, StoreReader};

/// Where what is sent comes from.
pub(super) trait Log: Clone + Send + Sync + 'static {
    /// Reads it from a place on.
    type Tail: Tail;

    /// Reads what was appended after `place`; without one, what is appended from now on.
    fn tail(&self, place: Option<LogPlace>) -> Self::Tail;

    /// Nothing from the file `sequence` on is deleted that the reader `name` has not read, while there is room.
    fn hold(&self, name: &str, sequence: u64);

    /// Where it ends at present; nobody knows while the store is not open.
    fn end(&self) -> Option<LogPlace>;

    /// Bytes from `place` to the end.
    fn bytes_after(&self, place: LogPlace) -> u64;

    /// Ends once something has been appended since the last call.
    fn appended(&self) -> impl Future<Output = ()> + Send;
}

/// Reads the log, and blocks on the disk.
pub(super) trait Tail: Send + 'static {
    /// The next stretch, of about `most` samples.
    fn next(&mut self, most: usize) -> Result<Passage, StoreError>;
}

impl Log for StoreReader {
    type Tail = LogTail;

    fn tail(&self, place: Option<LogPlace>) -> LogTail {
        Self::tail(self, place)
    }

    fn hold(&self, name: &str, sequence: u64) {
        self.hold_log(name, Some(sequence));
    }

    fn end(&self) -> Option<LogPlace> {
        self.log_end()
    }

    fn bytes_after(&self, place: LogPlace) -> u64 {
        self.log_bytes_after(place)
    }

    async fn appended(&self) {
        Self::appended(self).await;
    }
}

impl Tail for LogTail {
    fn next(&mut self, most: usize) -> Result<Passage, StoreError> {
        Self::next(self, most)
    }
}
