//! A plugin file's manifest, read without running any of the file, and the
//! judgement of a configuration against it.
//!
//! # Invariants
//!
//! - Nothing here runs foreign code, opens a file or knows an actor: bytes in, a verdict out.
//! - Whatever the bytes are, the answer is a manifest or a reason; never a panic.
//! - A configuration is judged as a whole: all problems come in one answer.

mod elf;
mod schema;

pub use elf::{ElfError, read_section};
pub use schema::{Problem, validate};
