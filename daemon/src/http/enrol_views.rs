//! The shapes of answers about tokens and the machines that have them.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;

use crate::enrol::{Enrolment, Grant};

/// A server that was just given a token: the one answer that holds it.
#[derive(Serialize)]
pub(super) struct AddedView<'a> {
    pub(super) name: &'a str,
    pub(super) token: &'a str,
    pub(super) url: &'a str,
    /// One line to be run on the machine.
    pub(super) command: &'a str,
    /// Why it may not work there, or not safely.
    pub(super) note: Option<&'a str>,
}

/// How far a machine has come.
#[derive(Serialize)]
pub(super) struct EnrolmentView<'a> {
    name: &'a str,
    steps: [StepView; 4],
    error: Option<ErrorView<'a>>,
}

#[derive(Serialize)]
struct StepView {
    step: &'static str,
    at_ms: Option<i64>,
}

#[derive(Serialize)]
struct ErrorView<'a> {
    detail: &'a str,
    at_ms: i64,
}

impl<'a> EnrolmentView<'a> {
    pub(super) fn new(enrolment: &'a Enrolment) -> Self {
        let step = |step, at_ms| StepView { step, at_ms };
        let error = enrolment.error.as_ref();
        Self {
            name: &enrolment.name,
            steps: [
                step("created", Some(enrolment.made_ms)),
                step("connected", enrolment.connected_ms),
                step("token_known", enrolment.known_ms),
                step("first_sample", enrolment.first_sample_ms),
            ],
            error: error.map(|(detail, at_ms)| ErrorView { detail, at_ms: *at_ms }),
        }
    }
}

/// All tokens; of none what proves it.
#[derive(Serialize)]
pub(super) struct TokensView<'a> {
    tokens: Vec<TokenView<'a>>,
}

#[derive(Serialize)]
struct TokenView<'a> {
    id: &'a str,
    server: &'a str,
    former_names: &'a [String],
    tags: &'a BTreeMap<String, String>,
    made_ms: i64,
    last_used_ms: Option<i64>,
    first_sample_ms: Option<i64>,
    revoked_ms: Option<i64>,
    error: Option<&'a str>,
}

impl<'a> TokensView<'a> {
    pub(super) fn new(tokens: &'a [Enrolment]) -> Self {
        let view = |token: &'a Enrolment| TokenView {
            id: &token.id,
            server: &token.name,
            former_names: &token.former,
            tags: &token.tags,
            made_ms: token.made_ms,
            last_used_ms: token.used_ms,
            first_sample_ms: token.first_sample_ms,
            revoked_ms: token.revoked_ms,
            error: token.error.as_ref().map(|(detail, _)| &**detail),
        };
        Self { tokens: tokens.iter().map(view).collect() }
    }
}

/// What a machine is told of its own token.
#[derive(Serialize)]
pub(super) struct GrantView<'a> {
    id: &'a str,
    servers: &'a [String],
}

impl<'a> GrantView<'a> {
    pub(super) fn new(grant: &'a Grant) -> Self {
        Self { id: &grant.id, servers: &grant.servers }
    }
}

/// What came of a removal.
#[derive(Serialize)]
pub(super) struct RemovedView {
    pub(super) name: String,
    /// What follows from it that may be unexpected.
    pub(super) note: String,
    /// Servers that are watched no longer because a token for many is revoked.
    pub(super) removed: Vec<Arc<str>>,
    /// Servers that it was for too, and that stay.
    pub(super) staying: Vec<StayingView>,
}

/// A server that stays.
#[derive(Serialize)]
pub(super) struct StayingView {
    pub(super) name: Arc<str>,
    pub(super) why: String,
}

/// What was done to a server.
#[derive(Serialize)]
pub(super) struct ChangedView<'a> {
    pub(super) name: &'a str,
    /// What follows from it that may be unexpected.
    pub(super) note: &'a str,
}
