//! What is done to a store besides running it: counted, checked, repaired, taken out, put in, copied.
//!
//! ```text
//!  running store ◄─ UpkeepPort ─► inventory · dump · seal · checkpoint
//!  folder nobody has open ◄─ check · repair · Closed (inventory, dump, import) · backup · restore
//! ```
//!
//! # Invariants
//!
//! - Looking changes nothing: a check opens a copy of the state, and writes to no file of the store.
//! - A repair takes nothing away that could be read: the damaged original goes to `quarantine/`, and what is rewritten
//!   holds everything in it that passes its checksum.
//! - A backup or a restored folder has its name only once it is whole.
//! - Whatever writes here has the folder to itself; a daemon's folder is never written to from outside.
//! - Names no text format: samples leave and come as numbers.

mod backup;
mod check;
mod closed;
mod covered;
mod damage;
mod dump;
mod files;
mod finer;
mod inventory;
mod log_scan;
mod port;
mod quarantine;
mod repair;
mod restore;
mod rewrite;
mod segment_scan;
mod state_scan;

pub use backup::{BackupFacts, backup};
pub use check::check;
pub use closed::{ClosedStore, Imported, Incoming};
pub use damage::{Concerned, Damage, Findings};
pub use dump::{Dumped, Selection, TakeSamples};
pub use inventory::{Inventory, PartSize, TierFacts};
pub use port::{DumpTurn, UpkeepPort};
pub use repair::repair;
pub use restore::{Restored, restore};
