//! How the bundled plugins read the kernel's files: once opened, read again and again, taken apart without allocation.
//!
//! ```text
//!  KernelFile ──bytes──► a plugin's pure parser (Lines, Line) ──► numbers ──► Roster: what appeared, what is gone
//! ```
//!
//! # Invariants
//!
//! - Nothing here allocates once it is warm: buffers and rosters are kept from one reading to the next.
//! - No input makes it panic. What cannot be understood is a [`ParseError`] that names file and line.
//! - A file that does not end with a line end was cut short, and is an error rather than a smaller number.
//! - It knows the form of these files, and no metric. What a number means stands in the plugin.

mod file;
mod lines;
mod roots;
mod roster;

pub use file::{KernelFile, ReadError, read_value};
pub use lines::{Line, Lines, ParseError};
pub use roots::Roots;
pub use roster::Roster;
