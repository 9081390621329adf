//! What ingest is given, and what it says.

use std::sync::Arc;

use super::{Reason, Refusal, refusal::Refused};
use crate::{enrol::Grant, store::messages::Kept};

/// What the administrator's account is called.
pub(super) const ADMINISTRATOR: &str = "administrator";

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    grant: Grant,
    is_administrator: bool,
}

impl Writer {
    /// Who may do anything.
    pub fn administrator() -> Self {
        let servers = ["*".to_owned()].into();
        let grant = Grant { id: ADMINISTRATOR.into(), servers, renamed: false };
        Self { grant, is_administrator: true }
    }

    /// Who has a token.
    pub fn token(grant: Grant) -> Self {
        Self { grant, is_administrator: false }
    }

    /// What it is called.
    pub fn id(&self) -> &Arc<str> {
        &self.grant.id
    }

    pub(super) fn servers(&self) -> &Arc<[String]> {
        &self.grant.servers
    }

    /// What its token grants, where it has one.
    pub(super) fn grant(&self) -> Option<&Grant> {
        (!self.is_administrator).then_some(&self.grant)
    }

    /// The server whose samples they are that it sends for `server`; `None` if it may not.
    pub fn stored_as<'a>(&'a self, server: &'a str) -> Option<&'a str> {
        if self.is_administrator { Some(server) } else { self.grant.stored_as(server) }
    }

    /// Whether it may write whatever there is.
    pub fn may_write_all(&self) -> bool {
        self.is_administrator || self.grant.servers.iter().any(|name| name == "*")
    }

    /// The one server that it may write, where there is but one.
    pub(super) fn only_server(&self) -> Option<&str> {
        self.grant.only_server()
    }

    /// What is said of a server that it may not write.
    pub(super) fn foreign(&self, server: &str) -> Refusal {
        let names: Vec<&str> = self.grant.servers.iter().take(5).map(String::as_str).collect();
        let more = if self.grant.servers.len() > names.len() { ", …" } else { "" };
        let detail = format!(
            "token `{}` may not write `{server}`, only {}{more}; `bartizan server add` makes a \
             token for it",
            self.grant.id,
            names.join(", ")
        );
        Refusal::new(Reason::NotYourServer, detail)
    }
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Prometheus remote write 1.0.
    WriteV1,
    /// Prometheus remote write 2.0.
    WriteV2,
    /// A JSON push.
    Push,
    /// OTLP as protocol buffers; by gzip or not.
    Otlp {
        /// Whether it is packed by gzip.
        gzip: bool,
    },
    /// OTLP as JSON; by gzip or not.
    OtlpJson {
        /// Whether it is packed by gzip.
        gzip: bool,
    },
}

/// What became of a request whose body could be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// What the store has of it.
    pub kept: Kept,
    /// Samples that said that their series has ended.
    pub stale: u64,
    /// Samples that told of gaps and states, and were taken as such.
    pub signals: u64,
    /// What was not stored, by reason.
    pub refused: Refused,
    /// Why the first of it was not.
    pub first: Option<Refusal>,
}

impl Outcome {
    /// What is said where not everything was stored.
    pub fn complaint(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        if self.refused.total() <= 1 && self.kept == Kept::default() {
            return Some(first.to_string());
        }
        let counts: Vec<String> = self
            .refused
            .iter()
            .map(|(reason, times)| format!("{} {times}", reason.code()))
            .collect();
        let Kept { stored, known, .. } = self.kept;
        Some(format!(
            "{first}; not stored: {}; stored: {stored}, here before: {known}",
            counts.join(", ")
        ))
    }
}
