//! What another hub of the group asks again and again: which tokens are known here?
//!
//! It is answered with hashes; from 256 random bits nobody gets the token. Whoever asks needs a right to write every
//! server, and believes what is answered because its own configuration names this hub.

use std::sync::Arc;

use serde::Serialize;
use warp::{
    Filter, Rejection,
    filters::BoxedFilter,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reply::{Reply, Response},
};

use super::{
    context::{Context, Visit},
    ingest::writer,
    reply::{Problem, json},
    routes::{no_query, reading, settled, with},
};
use crate::enrol::SharedToken;

/// The answer.
#[derive(Serialize)]
struct SharedView {
    tokens: Vec<SharedToken>,
}

/// `GET /api/v1/tokens/shared`, which answers 304 to whoever has the present revision.
pub(super) fn route(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let route = warp::path!("api" / "v1" / "tokens" / "shared")
        .and(reading())
        .and(no_query())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Visit>())
        .and(with(context))
        .and_then(|headers, visit, context: Arc<Context>| async move {
            shared(&headers, &visit, &context).map_err(Rejection::from)
        });
    settled(route)
}

fn shared(headers: &HeaderMap, visit: &Visit, context: &Context) -> Result<Response, Problem> {
    if !writer(visit, headers, context)?.may_write_all() {
        let detail = "tokens are told only to whoever may write every server: the administrator, \
                      or who has the token that `bartizan server add '*'` makes";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not_every_server", detail));
    }
    // Read first: what changes meanwhile is told once more.
    let revision = HeaderValue::try_from(format!("\"{}\"", context.tokens.revision()));
    let known = headers.get(header::IF_NONE_MATCH);
    let mut response = match (&revision, known) {
        (Ok(revision), Some(known)) if revision == known => {
            StatusCode::NOT_MODIFIED.into_response()
        }
        _ => json(&SharedView { tokens: context.tokens.shared() }),
    };
    if let Ok(revision) = revision {
        response.headers_mut().insert(header::ETAG, revision);
    }
    Ok(response)
}
