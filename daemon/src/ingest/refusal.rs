//! Why something was not stored: for programs, for people, and to be counted.

use std::time::Duration;

/// Why something was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Reason {
    /// The token is not for this server.
    NotYourServer,
    /// No server, or none that can be one.
    BadServer,
    /// Labels that are no labels.
    BadLabels,
    /// More labels on a series than allowed.
    Labels,
    /// A name or value that is longer than allowed.
    LabelLength,
    /// More servers than allowed for the token.
    Servers,
    /// More collectors of a server, or of the token, than allowed.
    Collectors,
    /// More series of a server than allowed.
    SeriesOfServer,
    /// More series than allowed for the token.
    SeriesOfToken,
    /// More instants in one request than allowed.
    Instants,
    /// From the future.
    Future,
    /// From a time that no clock shows.
    Time,
    /// Older than what the series has.
    Late,
    /// A native histogram.
    Histogram,
    /// A change since the last time instead of a total.
    Delta,
    /// No number.
    NoNumber,
    /// More samples a second than allowed for the token.
    Rate,
    /// The body is not what it says.
    Malformed,
    /// The body is too large.
    TooLarge,
    /// The body is of a type that is not known.
    Unsupported,
    /// More is being worked on than there is room for.
    Busy,
    /// The store takes nothing at present.
    Store,
}

impl Reason {
    /// All of them, by their number.
    pub const ALL: [Self; 22] = [
        Self::NotYourServer,
        Self::BadServer,
        Self::BadLabels,
        Self::Labels,
        Self::LabelLength,
        Self::Servers,
        Self::Collectors,
        Self::SeriesOfServer,
        Self::SeriesOfToken,
        Self::Instants,
        Self::Future,
        Self::Time,
        Self::Late,
        Self::Histogram,
        Self::Delta,
        Self::NoNumber,
        Self::Rate,
        Self::Malformed,
        Self::TooLarge,
        Self::Unsupported,
        Self::Busy,
        Self::Store,
    ];

    /// What programs know it by.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotYourServer => "not_your_server",
            Self::BadServer => "bad_server",
            Self::BadLabels => "bad_labels",
            Self::Labels => "too_many_labels",
            Self::LabelLength => "label_too_long",
            Self::Servers => "too_many_servers",
            Self::Collectors => "too_many_collectors",
            Self::SeriesOfServer => "too_many_series",
            Self::SeriesOfToken => "too_many_series_of_token",
            Self::Instants => "too_many_instants",
            Self::Future => "future",
            Self::Time => "bad_time",
            Self::Late => "late",
            Self::Histogram => "native_histogram",
            Self::Delta => "delta_temporality",
            Self::NoNumber => "no_number",
            Self::Rate => "too_fast",
            Self::Malformed => "malformed",
            Self::TooLarge => "body_too_large",
            Self::Unsupported => "unsupported_type",
            Self::Busy => "busy",
            Self::Store => "store_unavailable",
        }
    }
}

/// Why a request, or a part of it, was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// For programs.
    pub reason: Reason,
    /// For people: what is wrong, and what to do.
    pub detail: String,
    /// When it may be tried again; never, unless given.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), retry_after: None }
    }

    pub(super) fn retry(reason: Reason, retry_after: Duration, detail: impl Into<String>) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(reason, detail) }
    }
}

/// How often something was refused, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refused([u64; Reason::ALL.len()]);

impl Refused {
    /// Counts `times` more.
    pub(super) fn count(&mut self, reason: Reason, times: u64) {
        self.0[reason as usize] += times;
    }

    /// Adds what another has counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Each that happened.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.0).filter(|(_, times)| *times > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_place_and_a_code_of_its_own() {
        let mut codes: Vec<_> = Reason::ALL.map(Reason::code).into();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }
}
