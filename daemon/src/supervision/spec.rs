//! What a parent says of a child before there is one.

use std::{pin::Pin, sync::Arc, time::Duration};

use ractor::{Actor, ActorCell, SpawnErr};

use super::{Node, Restart};

/// Makes a child: given its parent and its place in the tree, spawns it linked.
/// Called again for every restart. Does no I/O.
pub type Start = Arc<dyn Fn(ActorCell, Node) -> Starting + Send + Sync>;

/// A start under way.
pub type Starting = Pin<Box<dyn Future<Output = Result<ActorCell, SpawnErr>> + Send>>;

/// What a parent says of a child.
#[derive(Clone)]
pub struct ChildSpec {
    /// Its name, unique among its siblings.
    pub id: String,
    /// What it is, such as `collector`.
    pub kind: &'static str,
    /// Makes it.
    pub start: Start,
    /// What happens when it falls.
    pub restart: Restart,
    /// How long it may take to stop before it is killed.
    pub shutdown: Duration,
}

/// A [`Start`] that spawns `actor()` with `arguments(node)`, linked to the parent.
pub fn start_with<A, F>(actor: fn() -> A, arguments: F) -> Start
where
    A: Actor,
    F: Fn(Node) -> A::Arguments + Send + Sync + 'static,
{
    Arc::new(move |parent, node| {
        let arguments = arguments(node);
        Box::pin(async move {
            let (child, _) = Actor::spawn_linked(None, actor(), arguments, parent).await?;
            Ok(child.get_cell())
        })
    })
}
