//! What the root accepts.

use std::sync::Arc;

use crate::{config::Config, supervision::ChildEvent};

/// What the root accepts.
#[derive(Debug)]
pub(super) enum RootMessage {
    /// Time to look whether everybody is alive, and to tell systemd. Sent by itself.
    Tick,
    /// The configuration was read again and is another one now, or was refused.
    /// Sent on SIGHUP.
    Reloaded(Option<Arc<Config>>),
    /// Something happened to a service. Sent by its children.
    Child(ChildEvent),
}
