//! Supervision: who runs under whom, and what happens when somebody falls.
//!
//! ```text
//!  parent ──Children::start──► child          falls: judged by its Restart rule
//!    ▲                           │             ├─ after a pause ─► started again
//!    └── SupervisionEvent ◄──────┘             └─ too often     ─► the parent gives up
//! ```
//!
//! # Invariants
//!
//! - This module knows no actor: it is used by every actor that has children.
//! - A child is known by its ractor id and by its incarnation, never by its
//!   name: a late word of a former one cannot hit the present one.
//! - A child that is asked to stop does not come back.
//! - Stopping is graceful first, then a kill, and both have a deadline; ractor
//!   by itself kills the children of whoever ends.
//! - Whoever runs has a [`Node`] in the one [`Tree`], for exactly as long as it
//!   is somebody's child; what people see of the tree is read from there.

mod children;
mod pulse;
mod restart;
mod spec;
#[cfg(test)]
mod tests;
mod tree;

pub use children::{ChildEvent, Children, Fallen};
pub use pulse::{PULSE_MS, until_pulse};
pub use restart::{Fall, History, Restart};
pub use spec::{ChildSpec, Start, Starting, start_with};
pub use tree::{ActorState, Node, NodeView, Tree};
