//! What each address answers.

use std::{borrow::Cow, sync::Arc};

use sha2::{Digest, Sha256};
use tokio::time::timeout;
use warp::{
    Rejection,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use crate::{live::LiveReader, series::now_ms, store::messages::Query, supervision::ActorState};

use super::{
    access::is_reading,
    assets::file_of,
    context::Context,
    history_view::HistoryView,
    messages::HistoryError,
    metrics::{self, Facts},
    query::{self, POINTS_MAX},
    reply::{Problem, body, is_known, json, json_bytes},
    token::hex,
    views::{ReadyView, SeriesListView},
};

/// Stretches stand on the clock: at either end one reaches beyond what was asked for.
const ENDS: usize = 2;

/// Services without which the daemon is not ready: children of the root.
const SERVICES: [&str; 6] = ["store", "plugin", "alert", "live", "http", "fleet"];

type Answered = Result<Response, Rejection>;

pub(super) async fn sign_in(text: String, context: Arc<Context>) -> Answered {
    let pairs = query::pairs(&text)?;
    let [(name, token)] = pairs.as_slice() else {
        return Err(Problem::bad_request("give `token`, and nothing else").into());
    };
    if name != "token" {
        return Err(Problem::bad_request(format!("unknown key `{name}`; give `token`")).into());
    }
    let Some(cookie) = context.access.sign_in(token) else {
        let detail =
            "this token is not the administrator's; the right one is in `<state>/admin-token`";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong_token", detail).into());
    };
    let cookie = HeaderValue::try_from(cookie)
        .map_err(|_| Problem::bad_request("the token cannot be made a cookie"))?;
    let mut response = body("", "text/plain; charset=utf-8");
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/"));
    tracing::info!("a browser was signed in");
    Ok(response)
}

pub(super) fn ready(context: Arc<Context>) -> Response {
    let root = context.tree.root().view();
    let mut view = ReadyView { ready: true, services: Default::default() };
    for name in SERVICES {
        let child = root.children.iter().find(|child| &*child.name == name);
        let state = child.map_or(ActorState::Stopped, |child| child.state);
        // Whoever is down is at work and says what does not answer: a store whose disk is full still serves.
        view.ready &= matches!(state, ActorState::Up | ActorState::Down);
        view.services.insert(name.into(), state);
    }
    let mut response = json(&view);
    if !view.ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

pub(super) fn metrics(context: Arc<Context>) -> Response {
    let text = metrics::text(&Facts {
        version: context.version,
        uptime_seconds: context.started.elapsed().as_secs_f64(),
        history: context.history.stats(),
        live: context.live.stats(),
        alerts: context.alerts.stats(),
        targets: &(context.targets)(),
        ingest: context.ingest.totals(),
        fleet: context.fleet.stats(),
        counters: &context.counters,
        certificate_ends_ms: context.tls.as_ref().and_then(|tls| tls.ends_ms()),
        wrong_tokens: context.tokens.wrong(),
        tree: &context.tree.root().view(),
    });
    body(text, metrics::CONTENT_TYPE)
}

pub(super) async fn series_list(server: String, context: Arc<Context>) -> Answered {
    let server = query::decode(&server)?;
    let series = context.live.series(&server).ok_or_else(|| no_server(&server))?;
    Ok(json(&SeriesListView::new(&series)))
}

pub(super) async fn series(text: String, headers: HeaderMap, context: Arc<Context>) -> Answered {
    let now_ms = now_ms();
    let query = query::series(&text, now_ms)?;
    let is_closed = query.to_ms < now_ms;
    check_points(&query, &context.live)?;
    let stats = query.stats.clone();
    let told = match timeout(context.limits.answer, context.history.query(query)).await {
        Ok(Ok(told)) => told,
        Ok(Err(HistoryError::Question(detail))) => {
            return Err(Problem::bad_request(detail).into());
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "question about the past was not answered");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Problem::new(status, "history_unavailable", error.to_string()).into());
        }
        Err(_) => {
            let detail = "the history did not answer in time; ask for less, or again later";
            let status = StatusCode::GATEWAY_TIMEOUT;
            return Err(Problem::new(status, "history_slow", detail).into());
        }
    };
    let most = told.answer.series.iter().map(|series| series.points.len()).max().unwrap_or(0);
    if most > POINTS_MAX + ENDS {
        return Err(Problem::too_many_points(format!("the answer has {most} points")).into());
    }
    Ok(history_reply(&HistoryView::new(&told, &stats), is_closed, &headers))
}

/// Refuses a question for every sample of a time that holds too many, before
/// anything is read.
fn check_points(query: &Query, live: &LiveReader) -> Result<(), Problem> {
    let known = live.series(&query.server).ok_or_else(|| no_server(&query.server))?;
    if query.points.is_some() {
        return Ok(());
    }
    let mut intervals = known.iter().filter(|(_, series)| *series.metric == *query.metric);
    let span_ms = query.to_ms.saturating_sub(query.from_ms);
    let most = intervals.try_fold(0, |most: i64, (_, series)| {
        let points = span_ms / i64::from(series.interval_ms).max(1);
        (points <= POINTS_MAX as i64).then_some(most.max(points)).ok_or(points)
    });
    most.map(drop)
        .map_err(|points| Problem::too_many_points(format!("this would be {points} points")))
}

/// The answer; of a time that is over, with a mark by which it need not be sent twice.
fn history_reply(view: &HistoryView<'_>, is_closed: bool, headers: &HeaderMap) -> Response {
    let bytes = match json_bytes(view, view.length()) {
        Ok(bytes) => bytes,
        Err(failed) => return failed,
    };
    if !is_closed {
        return body(bytes, "application/json");
    }
    let hash = Sha256::digest(&bytes);
    let etag = format!("\"{}\"", hex(hash.get(..16).unwrap_or_default()));
    let mut response = if is_known(headers.get(header::IF_NONE_MATCH), &etag) {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        body(bytes, "application/json")
    };
    mark(&mut response, &etag, "private, no-cache");
    response
}

fn mark(response: &mut Response, etag: &str, cache: &'static str) {
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
}

fn no_server(name: &str) -> Problem {
    Problem::not_found(format!("no server is called `{name}`; GET /api/v1/servers names them all"))
}

pub(super) async fn page(
    path: warp::path::FullPath,
    method: Method,
    headers: HeaderMap,
    context: Arc<Context>,
) -> Answered {
    let path = query::decode(path.as_str())?;
    let Some(asset) = (context.assets)(file_of(&path)) else {
        return Err(Problem::not_found("there is nothing at this address").into());
    };
    if !is_reading(&method) {
        return Err(Problem::method_not_allowed().into());
    }
    let cache =
        if asset.immutable { "private, max-age=31536000, immutable" } else { "private, no-cache" };
    let mut response = if is_known(headers.get(header::IF_NONE_MATCH), &asset.etag) {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        match asset.gzip.filter(|_| takes_gzip(&headers)) {
            Some(packed) => {
                let mut response = file(packed, asset.content_type);
                let gzip = HeaderValue::from_static("gzip");
                response.headers_mut().insert(header::CONTENT_ENCODING, gzip);
                response
            }
            None => file(asset.bytes, asset.content_type),
        }
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    mark(&mut response, &asset.etag, cache);
    Ok(response)
}

fn file(bytes: Cow<'static, [u8]>, content_type: &'static str) -> Response {
    match bytes {
        Cow::Borrowed(bytes) => body(bytes, content_type),
        Cow::Owned(bytes) => body(bytes, content_type),
    }
}

/// Whether the client takes gzip; one that says `q=0` does not.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings =
        accepted.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}
