//! The daemon's side of plugins: which files there are, the processes they run in, and who
//! is to blame when one of those dies.
//!
//! ```text
//!  collector ─► Instance ══ frames ══► plugin host (a process)
//!                  │            ▲
//!  PluginPort ─────┘       Line │ queue and table, shared
//!      │                        │
//!  PluginActor ─supervises─► HostActor ─► link: socket, deadlines, reaping
//! ```
//!
//! # Invariants
//!
//! - The daemon loads no plugin. What a host loads are the bytes that were judged here.
//! - What a collector wants stands in the [`PluginPort`], not in the actor: a new actor takes
//!   over what the old one left.
//! - Samples pass no mailbox. An instance has one call in flight; each call has a deadline, and
//!   a host that keeps one beyond it is killed.
//! - Only the blamed instance pauses after a crash; the others of its host resume at once.
//! - Nothing that a host sends is believed: lengths, handles, labels and values are checked, and
//!   one that breaks the protocol is killed.
//! - Nothing here knows a server, a store, or the web.

mod actor;
mod answers;
pub(crate) mod black_box;
mod catalog;
mod folders;
pub(crate) mod frames;
mod host;
mod image;
mod instance;
mod judgement;
mod line;
mod link;
pub(crate) mod log_budget;
mod messages;
mod placement;
mod process;
mod record;
mod roster;
mod series_table;

pub use actor::{PluginActor, PluginArguments};
pub use catalog::{FoundPlugin, PluginCatalog, RefusedFile};
pub use folders::{FolderKind, PluginFolder};
pub use instance::Instance;
pub use messages::{
    CollectError, InstanceSpec, InstanceState, PluginMessage, PluginPort, PluginUses, Reading,
};
