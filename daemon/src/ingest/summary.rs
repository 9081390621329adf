//! What ingest says of itself.

use super::refusal::Refused;

/// Of all tokens together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Requests that were understood.
    pub requests: u64,
    /// Samples that were stored.
    pub stored: u64,
    /// Samples that were here before.
    pub known: u64,
    /// Samples that said that their series has ended.
    pub stale: u64,
    /// What was not stored, by reason.
    pub refused: Refused,
}

/// Of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What the token is called.
    pub token: String,
    /// The server that it is for, or a pattern of names.
    pub server: Option<String>,
    /// What it has brought since the start.
    pub totals: Totals,
    /// Servers that it has written.
    pub servers: usize,
    /// Series that it has written.
    pub series: usize,
    /// When it wrote last; 0 where it never did.
    pub last_ms: i64,
    /// The last refusal: when, its code, its words.
    pub last_error: Option<(i64, &'static str, String)>,
}
