//! What the alert actor accepts, and what it knows.
//!
//! Transitions do not pass its mailbox: they enter by an [`AlertPort`], which never makes its sender wait. Whoever
//! looks, or takes an incident on, does so through an [`AlertDesk`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::oneshot;

pub use super::{
    channels::shown,
    desk::{AlertDesk, AlertPort, AlertStats, DeskError, IncidentView, NoticeView, WayView},
    incident::{Acknowledgement, Event, Happening, Incident, IncidentId, IncidentState},
    notice::{Attempt, News, Notice, NoticeId, NoticeState, Outcome, Way, What},
    pending::Pending,
    progress::Progress,
};
pub use crate::detect::{Key, Level, Subject, Transition};
use crate::{config::Config, detect::Recall, supervision::ChildEvent};

/// What the alert actor accepts.
#[derive(Debug)]
pub enum AlertMessage {
    /// A second has passed: show that everybody is alive. Sent by the actor to itself.
    Tick,
    /// The configuration is another one. Sent by the root.
    Reload(Arc<Config>),
    /// Something happened to a channel's actor. Sent by its children.
    Child(ChildEvent),
}

/// What server actors say and ask. Sent through an [`AlertPort`].
#[derive(Debug)]
pub(super) enum AlertUpdate {
    /// Levels have changed on a server.
    Changed {
        /// Tags of the server, by which routes choose.
        tags: Arc<BTreeMap<String, String>>,
        /// What has changed, in its order.
        transitions: Vec<Transition>,
    },
    /// What is remembered of a server, everything that was said before included?
    Recall {
        /// Its name.
        server: Arc<str>,
        /// Hears it.
        reply: oneshot::Sender<Recall>,
    },
}

/// What somebody wants. Sent through an [`AlertDesk`], and by the actor.
#[derive(Debug)]
pub(super) enum Command {
    /// Take an incident on.
    Acknowledge { id: IncidentId, by: Arc<str>, reply: oneshot::Sender<Result<(), DeskError>> },
    /// Tell a contact that this is a test.
    Test { contact: String, reply: oneshot::Sender<Result<Vec<Hop>, DeskError>> },
    /// Another configuration is in force: see what follows from it.
    Look,
}

/// Servers that are watched; incidents of all others are withdrawn. `None` before anybody has said so.
pub(super) type Watched = Option<BTreeSet<Arc<str>>>;

/// One step on the way of a test notice.
#[derive(Debug, Clone, PartialEq)]
pub struct Hop {
    /// What was done.
    pub hop: String,
    /// How long after the beginning it was done, in milliseconds.
    pub ms: f64,
    /// Whether it went well.
    pub ok: bool,
    /// What there is to say of it.
    pub said: String,
}
