//! What others ask of enrolment, and what it answers. Questions about a token do not wait; changes wait for the disk.

use std::sync::Arc;

use crate::{config::stands_for, store::StoreError};

pub use super::{
    entry::Enrolment,
    port::{Made, TokenPort},
};

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Names the token without giving it away.
    pub id: Arc<str>,
    /// The servers that it may write; `*` in a name is anything.
    pub servers: Arc<[String]>,
    /// Whether the first of them is what its server is called now, and the others what it was called before.
    pub renamed: bool,
}

impl Grant {
    /// The server whose samples they are that come for `server`; `None` if it may not write them.
    pub fn stored_as<'a>(&'a self, server: &'a str) -> Option<&'a str> {
        match self.servers.first() {
            Some(now) if self.renamed && self.may_write(server) => Some(now),
            _ => self.may_write(server).then_some(server),
        }
    }

    /// Whether samples of `server` may be stored by it, as that server's.
    pub(super) fn feeds(&self, server: &str) -> bool {
        self.stored_as(server) == Some(server)
    }

    /// The one server that it may write, where there is but one.
    pub fn only_server(&self) -> Option<&str> {
        match &*self.servers {
            [only] if !only.contains('*') => Some(only),
            [now, ..] if self.renamed => Some(now),
            _ => None,
        }
    }

    /// Whether it may write `server`.
    pub fn may_write(&self, server: &str) -> bool {
        self.servers.iter().any(|name| stands_for(name, server))
    }
}

/// Why a token allows nothing. Said to whoever sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// It has another form.
    #[error(
        "this is no token of a server: they begin with `bz_` and have 76 characters; copy the whole \
         line that `bartizan server add` printed"
    )]
    Malformed,
    /// No token of that name is known.
    #[error(
        "this hub knows no such token; it may be another hub's, or its server was removed: make a \
         new one by `bartizan server add NAME --again` on this hub"
    )]
    Unknown,
    /// A token of that name is known, and it is another one.
    #[error(
        "this is not the token that begins so, but another; copy the whole line that `bartizan \
         server add` printed, or make a new one by `bartizan server add NAME --again`"
    )]
    Wrong,
    /// It was revoked.
    #[error(
        "this token was revoked; use the one that was made instead, on this hub or another of its group, or make a new one \
         by `bartizan server add NAME --again`"
    )]
    Revoked,
}

impl TokenFault {
    /// For programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed_token",
            Self::Unknown => "unknown_token",
            Self::Wrong => "wrong_token",
            Self::Revoked => "revoked_token",
        }
    }
}

/// Why a change of tokens was not made. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The name cannot be a server's.
    #[error("{0}")]
    Name(String),
    /// The tags cannot be a server's.
    #[error("{0}")]
    Tags(String),
    /// The name has a token.
    #[error(
        "`{name}` has token {id} already; with `--again` (`\"again\": true`) it gets a new one, \
         and the former is revoked"
    )]
    Exists {
        /// The name.
        name: String,
        /// Its token.
        id: Arc<str>,
    },
    /// The name is what another server was called, whose machine still writes by it.
    #[error(
        "`{name}` is what `{now}` was called before, and its machine may still write by that name; \
         with `--again` (`\"again\": true`) the name is free for another"
    )]
    Former {
        /// The name.
        name: String,
        /// What it is called now.
        now: String,
    },
    /// No token is this server's.
    #[error("no token is known for `{0}`; `bartizan server list` shows those that there are")]
    Unknown(String),
    /// There are too many.
    #[error("there are {0} tokens, which is the limit; remove servers that are gone")]
    Full(usize),
    /// The system has no randomness.
    #[error("failed to make a token: the system gives no random numbers")]
    Random,
    /// The disk did not take it.
    #[error("failed to keep the token on the disk; see the log, and try again")]
    Unkept(#[source] Option<StoreError>),
}
