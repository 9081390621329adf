//! What http accepts, and what it needs of others, which root gives it.

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

pub use super::targets::Target;
use crate::{
    config::TlsConfig,
    history::{PastStats, Told},
    store::messages::Query,
};

/// What the http actor accepts.
#[derive(Debug)]
pub enum HttpMessage {
    /// A second has passed: show that it is alive. Sent by the actor to itself.
    Tick,
    /// The configuration was read again: read the files of TLS again as well, or the other ones that it names from now
    /// on. Sent by the root.
    Reload(Option<TlsConfig>),
}

/// The past, as far as http asks for it.
pub trait History: Send + Sync {
    /// Answers a question about the past.
    fn query(&self, query: Query) -> AnswerFuture;
    /// What the store counts, at this moment.
    fn stats(&self) -> HistoryStats;
}

/// An answer on its way.
pub type AnswerFuture = Pin<Box<dyn Future<Output = Result<Told, HistoryError>> + Send>>;

/// Why there is no answer. The reason is shown to whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The question cannot be answered as it is.
    #[error("{0}")]
    Question(String),
    /// The store cannot answer at present.
    #[error("failed to read history: {0}")]
    Unavailable(String),
}

/// What the store counts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HistoryStats {
    /// Samples stored since the start.
    pub samples: u64,
    /// Samples lost since the start, for whatever reason.
    pub dropped: u64,
    /// Those of the samples that are in segments.
    pub sealed: u64,
    /// Size of the state folder.
    pub bytes: u64,
    /// Bytes of samples that wait for the disk.
    pub waiting_bytes: u64,
    /// Whether the disk fails, is full or nearly so.
    pub is_degraded: bool,
    /// What of it is the log.
    pub bytes_log: u64,
    /// What of it is segments.
    pub bytes_segments: u64,
    /// What was asked of others, where they are named.
    pub others: Option<PastStats>,
}

/// Says which plugins there are, at this moment.
pub type PluginLister = Arc<dyn Fn() -> PluginList + Send + Sync>;

/// Plugins that were found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PluginList {
    /// Those that can be used.
    pub plugins: Vec<Plugin>,
    /// Files that were refused.
    pub refused: Vec<RefusedPlugin>,
}

/// A plugin that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// What its manifest calls it, unique among plugins.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it reads.
    pub description: String,
    /// Version of the border between it and us, such as `1.0`.
    pub abi: String,
    /// Its file.
    pub path: PathBuf,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Whether it came with Bartizan.
    pub bundled: bool,
    /// Collectors that use it.
    pub instances: usize,
    /// The process that runs it; `None` while none does.
    pub host_pid: Option<i32>,
}

/// A file that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedPlugin {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// Says where samples go besides the store, at this moment; by name.
pub type TargetLister = Arc<dyn Fn() -> Vec<Target> + Send + Sync>;

/// What http allows. The default is what `architecture.md` promises; tests choose less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at one time, viewers included. More are closed at once.
    pub connections: usize,
    /// Connections at one time from one address that are heard and have shown no right yet. More wait.
    pub strangers: usize,
    /// Connections at one time from one address that wait to be heard. More are closed at once.
    pub waiting: usize,
    /// Time that a connection without a right has while others of its address wait to be heard.
    pub crowded: Duration,
    /// Time for the handshake of TLS.
    pub handshake: Duration,
    /// Time for the head of a connection's first request to arrive.
    pub head: Duration,
    /// Time for the head of a later request to arrive: how long a connection may idle.
    pub idle: Duration,
    /// Time for a viewer to take a frame.
    pub frame: Duration,
    /// Time for the history to answer.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            strangers: 256,
            waiting: 4_096,
            crowded: Duration::from_secs(2),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            frame: Duration::from_secs(10),
            answer: Duration::from_secs(30),
        }
    }
}
