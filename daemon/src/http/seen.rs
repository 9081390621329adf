//! What another hub asks before it calls servers offline: for how long has nothing come of them here?

use std::{collections::HashMap, sync::Arc};

use serde::Deserialize;
use warp::{
    Filter, Rejection, filters::BoxedFilter, http::HeaderMap, hyper::body::Bytes, reply::Response,
};

use super::{
    alerts::{changing, wish},
    context::{Context, Visit},
    ingest::writer,
    reply::{Problem, json},
    routes::{no_query, settled, with},
    views::{SeenView, SightingView},
};
use crate::{ingest::Writer, series::now_ms};

/// Longest body, in bytes: the longest names of as many servers as a hub watches.
const BODY_MAX: u64 = 8 << 20;

/// `POST /api/v1/seen`. Whoever may write a server may ask for it; of others nothing is said.
pub(super) fn route(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let judge = |headers: HeaderMap, visit: Visit, context: Arc<Context>| async move {
        writer(&visit, &headers, &context).map_err(Rejection::from)
    };
    let route = warp::path!("api" / "v1" / "seen")
        .and(no_query())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Visit>())
        .and(with(context))
        .and_then(judge)
        .and(changing(BODY_MAX))
        .and(with(context))
        .and_then(|asker, body, context: Arc<Context>| async move {
            seen(&asker, &body, &context).map_err(Rejection::from)
        });
    settled(route)
}

fn seen(asker: &Writer, body: &Bytes, context: &Context) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        servers: Vec<String>,
    }
    let Asked { servers } = wish(body, r#"{"servers": ["web-1"]}"#)?;
    let asked = servers.iter().filter_map(|name| Some((asker.stored_as(name)?, name.as_str())));
    let asked: HashMap<&str, &str> = asked.collect();
    let now_ms = now_ms();
    let known = context.live.servers(|status, _| asked.contains_key(&*status.name));
    let sightings = known.iter().filter_map(|server| {
        let silent_ms = now_ms.saturating_sub(server.last_seen_ms?).max(0);
        Some(SightingView { name: asked.get(&*server.name)?, silent_ms })
    });
    Ok(json(&SeenView { servers: sightings.collect() }))
}
