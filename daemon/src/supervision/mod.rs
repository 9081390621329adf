//! Supervision: who runs under whom, and what happens when somebody falls.
//!
//! # Invariants
//!
//! - This module knows no actor: it is used by every actor that has children.
//! - Whoever runs has a [`Node`] in the one [`Tree`], for exactly as long as it
//!   is somebody's child; what people see of the tree is read from there.

mod tree;

pub use tree::{ActorState, Node, NodeView, Tree};
