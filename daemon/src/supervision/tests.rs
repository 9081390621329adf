//! Drives [`Children`] with a parent and children that do as they are told.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::mpsc;

use super::{ActorState, ChildEvent, ChildSpec, Children, Node, Restart, Tree, start_with};

#[tokio::test(start_paused = true)]
async fn a_child_that_panics_is_started_again_and_counted() {
    let mut family = Family::new(Restart::WithBackoff).await;
    family.child().await.cast(Order::Panic).unwrap();

    family.child().await;
    let view = &family.tree.root().view().children[0];
    assert_eq!(view.restarts, 1);
    assert_eq!(view.last_error.as_deref(), Some("as told"));
    assert_eq!(view.state, ActorState::Up);
}

#[tokio::test(start_paused = true)]
async fn a_killed_child_has_fallen_too() {
    let mut family = Family::new(Restart::WithBackoff).await;
    family.child().await.kill();

    family.child().await;
    assert_eq!(family.tree.root().view().children[0].restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_keeps_falling_takes_its_parent_along() {
    let once = Restart::AtOnce { most: 1, window: Duration::from_secs(60) };
    let mut family = Family::new(once).await;
    family.child().await.cast(Order::Panic).unwrap();
    family.child().await.cast(Order::Panic).unwrap();

    let end = family.parent_ended.recv().await;
    assert_eq!(end.as_deref(), Some("`child` fell too often, last because: as told"));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_asked_to_stop_does_not_come_back() {
    let mut family = Family::new(Restart::WithBackoff).await;
    let child = family.child().await;
    family.parent.cast(ParentMessage::Stop).unwrap();

    assert_eq!(family.stopped.recv().await, Some(child.get_id()), "stopped, not killed");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(family.born.try_recv().is_err(), "nobody was started again");
    assert_eq!(family.tree.root().view().children, []);
}

#[tokio::test(start_paused = true)]
async fn a_child_stopped_during_its_pause_does_not_come_back() {
    let mut family = Family::new(Restart::WithBackoff).await;
    family.child().await.cast(Order::Panic).unwrap();
    while family.tree.root().view().children[0].state != ActorState::Backoff {
        tokio::task::yield_now().await;
    }
    family.parent.cast(ParentMessage::Stop).unwrap();

    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(family.born.try_recv().is_err(), "nobody was started again");
}

/// A parent with one child, seen from outside.
struct Family {
    parent: ActorRef<ParentMessage>,
    tree: Tree,
    born: mpsc::UnboundedReceiver<ActorRef<Order>>,
    stopped: mpsc::UnboundedReceiver<ractor::ActorId>,
    parent_ended: mpsc::UnboundedReceiver<String>,
}

impl Family {
    async fn new(restart: Restart) -> Self {
        let tree = Tree::default();
        let (tell_born, born) = mpsc::unbounded_channel();
        let (tell_stopped, stopped) = mpsc::unbounded_channel();
        let (tell_ended, parent_ended) = mpsc::unbounded_channel();
        let spec = ChildSpec {
            id: "child".into(),
            kind: "child",
            start: start_with(
                || ChildActor,
                move |_| Ears { born: tell_born.clone(), stopped: tell_stopped.clone() },
            ),
            restart,
            shutdown: Duration::from_secs(1),
        };
        let arguments = (spec, tree.root().clone());
        let (parent, ended) = Actor::spawn(None, ParentActor(tell_ended), arguments).await.unwrap();
        drop(ended);
        Self { parent, tree, born, stopped, parent_ended }
    }

    /// The child that was born last, once there is one that is up.
    async fn child(&mut self) -> ActorRef<Order> {
        let child = self.born.recv().await.unwrap();
        while self.tree.root().view().children[0].state != ActorState::Up {
            tokio::task::yield_now().await;
        }
        child
    }
}

struct ParentActor(mpsc::UnboundedSender<String>);

enum ParentMessage {
    Child(ChildEvent),
    Stop,
}

impl Actor for ParentActor {
    type Msg = ParentMessage;
    type State = Children;
    type Arguments = (ChildSpec, Node);

    async fn pre_start(
        &self,
        myself: ActorRef<ParentMessage>,
        (spec, node): Self::Arguments,
    ) -> Result<Children, ActorProcessingErr> {
        let mailbox = myself.clone();
        let mut children = Children::new(myself.get_cell(), node, move |event| {
            let _ = mailbox.cast(ParentMessage::Child(event));
        });
        children.start(spec);
        Ok(children)
    }

    async fn handle(
        &self,
        _: ActorRef<ParentMessage>,
        message: ParentMessage,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ParentMessage::Child(event) => children.handle(event)?,
            ParentMessage::Stop => children.stop("child").await,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<ParentMessage>,
        event: SupervisionEvent,
        children: &mut Children,
    ) -> Result<(), ActorProcessingErr> {
        children.supervise(event).map_err(|fallen| {
            let _ = self.0.send(fallen.to_string());
            fallen.into()
        })
    }
}

struct ChildActor;

enum Order {
    Panic,
}

/// Where a child says that it was born, and that it was stopped gracefully.
struct Ears {
    born: mpsc::UnboundedSender<ActorRef<Order>>,
    stopped: mpsc::UnboundedSender<ractor::ActorId>,
}

impl Actor for ChildActor {
    type Msg = Order;
    type State = Ears;
    type Arguments = Ears;

    async fn pre_start(
        &self,
        myself: ActorRef<Order>,
        ears: Ears,
    ) -> Result<Ears, ActorProcessingErr> {
        ears.born.send(myself)?;
        Ok(ears)
    }

    async fn handle(
        &self,
        _: ActorRef<Order>,
        order: Order,
        _: &mut Ears,
    ) -> Result<(), ActorProcessingErr> {
        match order {
            Order::Panic => panic!("as told"),
        }
    }

    async fn post_stop(
        &self,
        myself: ActorRef<Order>,
        ears: &mut Ears,
    ) -> Result<(), ActorProcessingErr> {
        Ok(ears.stopped.send(myself.get_id())?)
    }
}
