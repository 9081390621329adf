//! What a check has found: each damage with its file, its place, and the series and times concerned.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// More damages are only counted.
const DAMAGES_MAX: usize = 10_000;
/// So many series of a damage are named; more are only counted.
const CONCERNED_MAX: usize = 100;

/// What a check has found, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Findings {
    /// Files that were read.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// What is damaged, by file.
    pub damages: Vec<Damage>,
    /// Damages beyond those.
    pub more_damages: u64,
    /// What is no damage and worth knowing.
    pub notes: Vec<String>,
    /// Whether nothing is damaged any more.
    pub repaired: bool,
    /// What was repaired: what was saved and what is lost.
    pub repairs: Vec<String>,
}

/// Bytes that are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where it begins.
    pub at: u64,
    /// How long it is.
    pub bytes: u64,
    /// What is wrong.
    pub what: String,
    /// Whose samples it costs, as far as that is known.
    pub concerned: Vec<Concerned>,
    /// More series than those.
    pub more_concerned: u64,
}

/// A series, or all of a collector, and the time of which samples may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Concerned {
    /// A series as `server: metric{label="value"}`, or `server: all of collector`.
    pub series: String,
    /// First instant concerned, in milliseconds since 1970, if that is known.
    pub from_ms: Option<i64>,
    /// Last instant concerned, if that is known.
    pub to_ms: Option<i64>,
}

impl Findings {
    /// Whether nothing is damaged.
    pub fn is_whole(&self) -> bool {
        self.damages.is_empty()
    }

    /// A file is being read.
    pub(super) fn reads(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }

    /// Takes a damage in.
    pub(super) fn add(&mut self, damage: Damage) {
        if self.damages.len() < DAMAGES_MAX {
            self.damages.push(damage);
        } else {
            self.more_damages += 1;
        }
    }

    /// Takes in that a whole file is damaged.
    pub(super) fn whole_file(&mut self, file: &Path, bytes: u64, what: impl Into<String>) {
        self.add(Damage::new(file, (0, bytes), what));
    }
}

impl Damage {
    /// A damage of nobody known, at a place and of a length.
    pub(super) fn new(file: &Path, (at, bytes): (u64, u64), what: impl Into<String>) -> Self {
        let (file, what) = (file.to_owned(), what.into());
        Self { file, at, bytes, what, concerned: Vec::new(), more_concerned: 0 }
    }

    /// Says that it concerns this series too.
    pub(super) fn concerns(&mut self, concerned: Concerned) {
        if self.concerned.len() < CONCERNED_MAX {
            self.concerned.push(concerned);
        } else {
            self.more_concerned += 1;
        }
    }
}
