//! What the fleet accepts.

use std::sync::Arc;

use crate::{config::Config, supervision::ChildEvent};

/// What the fleet accepts.
#[derive(Debug)]
pub enum FleetMessage {
    /// A second has passed. Sent by itself.
    Tick,
    /// The configuration is another one now. Sent by the root.
    Reload(Arc<Config>),
    /// Something happened to a server actor. Sent by its children.
    Child(ChildEvent),
}
