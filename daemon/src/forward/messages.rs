//! What forwarding accepts, and what it shows.

use std::sync::Arc;

use crate::{
    config::{Config, Protocol},
    supervision::ChildEvent,
};

/// What the forward actor accepts.
#[derive(Debug)]
pub enum ForwardMessage {
    /// The configuration was read again. Sent by root.
    Reload(Arc<Config>),
    /// Something happened to a target's actor. Sent by its children.
    Child(ChildEvent),
}

/// What a target's actor accepts.
#[derive(Debug)]
pub enum TargetMessage {
    /// Do not wait any longer: something may have been mended. Sent by the forward actor.
    Again,
    /// The line has ended, though nobody asked it to. Sent by its watcher.
    Ended(String),
}

/// What a target is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetState {
    /// Nothing has been sent yet.
    #[default]
    Starting,
    /// It takes what is sent.
    Sending,
    /// It does not answer, or cannot take anything at present; it is tried again.
    Waiting,
    /// Somebody has to change something; it is tried once a minute.
    Held,
}

impl TargetState {
    /// Its name for others.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Sending => "sending",
            Self::Waiting => "waiting",
            Self::Held => "held",
        }
    }
}

/// A target at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetView {
    /// What it is called.
    pub name: String,
    /// Where it can be reached.
    pub urls: Vec<String>,
    /// Where it is written to.
    pub url: String,
    /// In which version.
    pub protocol: Protocol,
    /// What it is doing.
    pub state: TargetState,
    /// Since when.
    pub since_ms: i64,
    /// Age of the oldest sample that it has not taken.
    pub lag_ms: i64,
    /// Bytes of the store's log that it has not taken.
    pub lag_bytes: u64,
    /// Samples that it has taken, since the daemon's start as all that follow.
    pub sent: u64,
    /// Requests that were answered with success.
    pub requests: u64,
    /// Samples that it had already: sent again, as nobody knew whether they had arrived.
    pub known: u64,
    /// Samples that it has refused for good.
    pub refused: u64,
    /// How often something was deleted from the store before it could be sent.
    pub lost: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// When it last took something.
    pub acknowledged_ms: Option<i64>,
    /// What went wrong last.
    pub error: Option<String>,
    /// When.
    pub error_ms: Option<i64>,
}
