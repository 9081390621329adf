//! What is shown of what others have written.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ingest::{
    Outcome,
    summary::{Summary, Totals},
};

/// The answer to a push.
#[derive(Serialize)]
pub(super) struct PushView {
    stored: u64,
    known: u64,
}

/// What has been written since the start: by all, and by each token.
#[derive(Serialize)]
pub(super) struct IngestView<'a> {
    #[serde(flatten)]
    totals: TotalsView,
    tokens: Vec<TokenView<'a>>,
}

#[derive(Serialize)]
struct TotalsView {
    requests: u64,
    samples: u64,
    known: u64,
    stale: u64,
    refused: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct TokenView<'a> {
    id: &'a str,
    /// The server that it is for, or a pattern of names; none where nobody knows it any more.
    server: Option<&'a str>,
    #[serde(flatten)]
    totals: TotalsView,
    servers: usize,
    series: usize,
    last_ms: Option<i64>,
    /// The last that was refused, when, and why for programs.
    error: Option<&'a str>,
    error_ms: Option<i64>,
    error_code: Option<&'a str>,
}

impl PushView {
    pub(super) fn new(outcome: &Outcome) -> Self {
        Self { stored: outcome.kept.stored, known: outcome.kept.known }
    }
}

impl<'a> IngestView<'a> {
    pub(super) fn new(totals: &Totals, summaries: &'a [Summary]) -> Self {
        Self { totals: totals.into(), tokens: summaries.iter().map(TokenView::from).collect() }
    }
}

impl From<&Totals> for TotalsView {
    fn from(totals: &Totals) -> Self {
        let Totals { requests, stored, known, stale, refused } = *totals;
        let refused = refused.iter().map(|(reason, times)| (reason.code(), times)).collect();
        Self { requests, samples: stored, known, stale, refused }
    }
}

impl<'a> From<&'a Summary> for TokenView<'a> {
    fn from(summary: &'a Summary) -> Self {
        let last_error = summary.last_error.as_ref();
        Self {
            id: &summary.token,
            server: summary.server.as_deref(),
            totals: (&summary.totals).into(),
            servers: summary.servers,
            series: summary.series,
            last_ms: (summary.last_ms > 0).then_some(summary.last_ms),
            error: last_error.map(|(_, _, detail)| &**detail),
            error_ms: last_error.map(|(at_ms, _, _)| *at_ms),
            error_code: last_error.map(|(_, code, _)| *code),
        }
    }
}
