//! Why a configuration was refused.

use std::{fmt, io, net::SocketAddr, path::PathBuf};

use super::PlaceError;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// Line in the file, from 1.
    pub line: usize,
    /// The key with its sections, such as `store.retention.raw`; empty where the
    /// text is not TOML.
    pub key: String,
    /// What is wrong with it, and what it must be.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, key, reason } = self;
        write!(f, "{file}:{line}: ")?;
        if key.is_empty() { f.write_str(reason) } else { write!(f, "{key}: {reason}") }
    }
}

/// Why there is no configuration. Fatal at the start; a reload keeps the one before.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("failed to read configuration `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// All that is wrong with the file, by line.
    #[error("failed to accept configuration:{}", lines(.0))]
    Invalid(Vec<Problem>),
    /// The address given with `--listen` is not allowed.
    #[error("failed to accept `--listen {listen}`: {reason}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why not, and what helps.
        reason: String,
    },
    /// A folder given with `--plugins` is none.
    #[error("failed to accept `--plugins {}`: no such folder", .0.display())]
    Plugins(PathBuf),
    /// No state folder could be chosen.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

/// Each problem on a line of its own, where editors find file and line.
fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n{problem}")).collect()
}

/// The word of `known` that `word` was most likely meant to be, if any is close:
/// at most one wrong letter in three.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let close = |candidate: &&str| distance(word, candidate) <= candidate.len().div_ceil(3);
    known.into_iter().filter(close).min_by_key(|candidate| distance(word, candidate))
}

/// Letters to insert, delete or replace to come from one word to the other
/// (Levenshtein), row by row.
pub(crate) fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.chars().enumerate() {
        let mut left = row + 1;
        let mut line = vec![left];
        for (pair, &wanted) in above.windows(2).zip(&to) {
            let [diagonal, over] = *pair else { continue };
            left = (diagonal + usize::from(letter != wanted)).min(over + 1).min(left + 1);
            line.push(left);
        }
        above = line;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        assert_eq!(nearest("lisen", ["public_url", "listen", "insecure"]), Some("listen"));
        assert_eq!(nearest("intervall", ["plugins", "interval"]), Some("interval"));
        assert_eq!(nearest("thresholds", ["name", "tags"]), None);
        assert_eq!(nearest("x", ["name", "id"]), None);
    }

    #[test]
    fn a_distance_counts_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
