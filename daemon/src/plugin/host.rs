//! The actor of one plugin host: it lives as long as the process does.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{
    line::{DESTROY_DEADLINE, Line},
    link::{Link, LinkEnd},
    messages::PluginMessage,
    placement::Cause,
    process::HostProcess,
};

/// The behaviour; everything that changes lives in [`HostState`].
pub(super) struct HostActor;

/// What a host's actor hears.
pub(super) enum HostMessage {
    /// Its link has ended. Sent by the actor's own task.
    Ended(Option<LinkEnd>),
}

/// What a host's actor remembers.
pub(super) struct HostState {
    line: Arc<Line>,
    parent: ActorRef<PluginMessage>,
    /// Ends with the actor, and the process with it.
    link: AbortOnDropHandle<()>,
}

/// How a host ended, as its actor tells.
pub struct HostEnded {
    pub(super) host: u64,
    pub(super) cause: Cause,
    pub(super) reason: Arc<str>,
    /// Instances that were in a call, and which.
    pub(super) running: Vec<(u64, &'static str)>,
    /// Instances that lived there.
    pub(super) tenants: Vec<u64>,
    pub(super) stuck: Option<HostProcess>,
}

/// However the actor ends, nobody goes on waiting for the host.
impl Drop for HostState {
    fn drop(&mut self) {
        self.line.hang_up(&"plugin host was stopped".into());
    }
}

impl Actor for HostActor {
    type Msg = HostMessage;
    type State = HostState;
    type Arguments = Link;

    async fn pre_start(
        &self,
        myself: ActorRef<HostMessage>,
        link: Link,
    ) -> Result<HostState, ActorProcessingErr> {
        let (line, parent) = (link.line.clone(), link.parent.clone());
        let link = AbortOnDropHandle::new(tokio::spawn(async move {
            let end = tokio::spawn(link.run());
            let end = AbortOnDropHandle::new(end).await.ok();
            // It fails only if the actor has ended, and the process with it.
            let _ = myself.cast(HostMessage::Ended(end));
        }));
        Ok(HostState { line, parent, link })
    }

    async fn handle(
        &self,
        _: ActorRef<HostMessage>,
        HostMessage::Ended(end): HostMessage,
        state: &mut HostState,
    ) -> Result<(), ActorProcessingErr> {
        let end = end.ok_or("the link to the plugin host panicked")?;
        let LinkEnd { cause, reason, running, stuck } = end;
        let lived = state.line.hang_up(&reason);
        let running =
            running.iter().filter_map(|(number, call)| Some((lived.get(number)?.shared.id, *call)));
        let ended = HostEnded {
            host: state.line.host,
            cause,
            reason,
            running: running.collect(),
            tenants: lived.values().map(|tenant| tenant.shared.id).collect(),
            stuck,
        };
        // The parent ends this actor: were it to end by itself, its end could overtake the news.
        Ok(state.parent.cast(PluginMessage::HostEnded(ended))?)
    }

    async fn post_stop(
        &self,
        _: ActorRef<HostMessage>,
        state: &mut HostState,
    ) -> Result<(), ActorProcessingErr> {
        state.line.stop();
        // The link keeps to its own limit; this one is for a link that does not.
        let _ = timeout(DESTROY_DEADLINE + Duration::from_millis(300), &mut state.link).await;
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<HostMessage>,
        _: SupervisionEvent,
        _: &mut HostState,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}
