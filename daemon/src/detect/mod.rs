//! From samples to levels: rules over series, judged sample by sample.
//!
//! ```text
//!            ┌─ value, rate ─► window ─► latch of warning  ─┐
//!  frames ─► series                                         ├─► level ─► Transition
//!  silence ─►└─ none for 3 intervals ──► latch of critical ─┘            (changes only)
//! ```
//!
//! # Invariants
//!
//! - Nothing here does I/O, knows an actor, or reads a clock: the same code runs live and in tests.
//! - A level changes by a value or by time, never by silence: without samples timers stand still, and the last level
//!   is kept and called unknown. (A rule may wish otherwise: `no_data`.)
//! - Each limit keeps its own time. Between a limit and its `clear` nothing changes; a breach that is not yet old
//!   enough goes on waiting there, and counts with the first value that is beyond again.
//! - What is remembered leaves with each transition; a restart goes on from there, as if the time without samples
//!   had not been.
//! - A sample that cannot be judged yet, because its window fills, says that its series is there, and nothing else.
//! - A clock that is set, either way, moves what is remembered along: it makes no time, and takes none.
//! - What is late is not judged.

mod detector;
mod latch;
mod memory;
mod normal;
mod recall;
mod sentinel;
mod subject;
mod summary;
#[cfg(test)]
mod tests;
mod transition;
mod watched;
mod window;

pub use memory::Memory;
pub use normal::normal;
pub use recall::Recall;
pub use sentinel::Sentinel;
pub use transition::{Key, Level, Subject, Transition};
