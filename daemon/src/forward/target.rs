//! A target's actor: starts its line, watches it, stops it.

use std::{sync::Arc, time::Duration};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use super::{
    line::{Line, LineArguments},
    messages::TargetMessage,
};
use crate::{store::StoreReader, supervision::Node};

/// How long the line may take to keep its cursor when it is stopped.
const STOP_LIMIT: Duration = Duration::from_millis(1_000);

/// The behaviour; everything that changes lives in [`Target`].
#[derive(Default)]
pub(super) struct TargetActor;

/// What a target's actor remembers between messages.
pub(super) struct Target {
    node: Node,
    again: Arc<Notify>,
    /// Stops the line, also when the actor is killed.
    stop: Option<DropGuard>,
    /// Ends when the line has.
    watcher: Option<JoinHandle<()>>,
}

impl Actor for TargetActor {
    type Msg = TargetMessage;
    type State = Target;
    type Arguments = LineArguments<StoreReader>;

    async fn pre_start(
        &self,
        myself: ActorRef<TargetMessage>,
        arguments: LineArguments<StoreReader>,
    ) -> Result<Target, ActorProcessingErr> {
        let (node, again) = (arguments.node.clone(), arguments.again.clone());
        let stop = CancellationToken::new();
        let line = tokio::spawn(Line::new(arguments).run(stop.clone()));
        let watcher = tokio::spawn(async move {
            let ended = match line.await {
                Ok(Ok(())) => return,
                Ok(Err(why)) => why,
                Err(error) => error.to_string(),
            };
            // The cast fails only if the actor has stopped, and then nobody needs a line.
            let _ = myself.cast(TargetMessage::Ended(ended));
        });
        Ok(Target { node, again, stop: Some(stop.drop_guard()), watcher: Some(watcher) })
    }

    async fn handle(
        &self,
        _: ActorRef<TargetMessage>,
        message: TargetMessage,
        target: &mut Target,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            TargetMessage::Again => {
                target.again.notify_one();
                Ok(())
            }
            TargetMessage::Ended(why) => Err(why.into()),
        }
    }

    async fn post_stop(
        &self,
        _: ActorRef<TargetMessage>,
        target: &mut Target,
    ) -> Result<(), ActorProcessingErr> {
        drop(target.stop.take());
        if let Some(watcher) = target.watcher.take()
            && timeout(STOP_LIMIT, watcher).await.is_err()
        {
            let name = target.node.name();
            warn!(name, "cursor could not be kept in time, what was sent last is sent again");
        }
        Ok(())
    }
}
