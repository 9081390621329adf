//! Where others write: remote write, JSON push, OTLP. Nothing of a body is read before its sender was judged.

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;
use warp::{
    Filter, Rejection,
    filters::BoxedFilter,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    reply::{Reply, Response},
};

use super::{
    access::{Right, bearer_or_password},
    context::{Context, Visit},
    ingest_views::{IngestView, PushView},
    reply::{Problem, body, json},
    routes::{raw_query, reading, settled, with},
};
use crate::ingest::{Form, Outcome, Reason, Refusal, Writer, otlp};

/// Time for a body to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Of the body of a request that is refused, so much is read and thrown away, so that its sender hears why.
const THROWN_AWAY_MAX: usize = 1 << 20;

/// And for so long.
const THROWN_AWAY_TIME: Duration = Duration::from_secs(2);

/// Longest body, in bytes.
const BODY_MAX: usize = 8 << 20;

/// What Prometheus is told of what was stored.
const WRITTEN: [HeaderName; 3] = [
    HeaderName::from_static("x-prometheus-remote-write-samples-written"),
    HeaderName::from_static("x-prometheus-remote-write-histograms-written"),
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written"),
];

/// Where a body was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Write,
    Push,
    Otlp,
}

/// Every address below `/api/v1` that is written to, and what tells of it.
pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let write = writing(context, warp::path!("write").boxed(), Place::Write);
    let push = writing(context, warp::path!("push").boxed(), Place::Push);
    write.or(push).unify().boxed()
}

/// Where OTLP's clients expect it.
pub(super) fn otlp_route(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    writing(context, warp::path!("v1" / "metrics").boxed(), Place::Otlp)
}

/// What each token has brought.
pub(super) fn view_route(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let route = warp::path!("ingest").and(reading()).and(raw_query()).and(with(context)).and_then(
        |text: String, context: Arc<Context>| async move {
            super::query::none(&text)?;
            let summaries = context.ingest.summaries().await;
            Ok::<_, Rejection>(json(&IngestView::new(&context.ingest.totals(), &summaries)))
        },
    );
    settled(route)
}

fn writing(
    context: &Arc<Context>,
    path: BoxedFilter<()>,
    place: Place,
) -> BoxedFilter<(Response,)> {
    let route = path
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Visit>())
        .and(warp::body::stream())
        .and(with(context))
        .then(move |method, headers, visit, stream, context| {
            answered(place, method, headers, visit, stream, context)
        });
    settled(route)
}

async fn answered<B: Buf>(
    place: Place,
    method: Method,
    headers: HeaderMap,
    visit: Visit,
    stream: impl Stream<Item = Result<B, warp::Error>>,
    context: Arc<Context>,
) -> Response {
    let mut stream = pin!(stream);
    match take(place, &method, &headers, &visit, stream.as_mut(), &context).await {
        Ok(response) => response,
        Err(problem) => {
            // Whoever is slower than that may not hear why.
            let _ = timeout(THROWN_AWAY_TIME, throw_away(stream)).await;
            problem.into_response()
        }
    }
}

async fn throw_away<B: Buf>(mut stream: impl Stream<Item = Result<B, warp::Error>> + Unpin) {
    let mut read = 0;
    while let Some(Ok(bytes)) = stream.next().await
        && read < THROWN_AWAY_MAX
    {
        read += bytes.remaining();
    }
}

async fn take<B: Buf>(
    place: Place,
    method: &Method,
    headers: &HeaderMap,
    visit: &Visit,
    stream: impl Stream<Item = Result<B, warp::Error>> + Unpin,
    context: &Context,
) -> Result<Response, Problem> {
    if *method != Method::POST {
        return Err(Problem::post_required());
    }
    let claimant = writer(visit, headers, context)?;
    let refused = |refusal: Refusal| {
        context.ingest.refused(&claimant, &refusal);
        problem(refusal)
    };
    let form = form(place, headers).map_err(refused)?;
    context.ingest.admit(&claimant).map_err(refused)?;
    let mut room = context.ingest.room(&claimant);
    let body = timeout(BODY_TIME, collect(stream, &mut room)).await.unwrap_or_else(|_| {
        let detail = format!("the body did not arrive within {} s", BODY_TIME.as_secs());
        Err(Unread::Problem(Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail)))
    });
    let body = match body {
        Ok(body) => body,
        Err(Unread::Refusal(refusal)) => return Err(refused(refusal)),
        Err(Unread::Problem(problem)) => return Err(problem),
    };
    // What was allowed when the body began to come may be revoked by now.
    let writer = writer(visit, headers, context)?;
    let outcome = context.ingest.take(&writer, form, body).await.map_err(refused)?;
    Ok(answer(form, &outcome))
}

/// Who writes, or asks for what only writers may know; nobody may without a right of their own, wherever they are.
pub(super) fn writer(
    visit: &Visit,
    headers: &HeaderMap,
    context: &Context,
) -> Result<Writer, Problem> {
    if visit.verdict.clone()? == Right::Administrator {
        return Ok(Writer::administrator());
    }
    let Some(token) = bearer_or_password(headers) else {
        let detail = "this needs a token, as `authorization: Bearer TOKEN` or as the password \
                      of basic authentication; `bartizan server add NAME` makes one";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "token_required", detail));
    };
    if context.access.token.is(&token) {
        return Ok(Writer::administrator());
    }
    Ok(Writer::token(context.judge_token(&token, visit)?))
}

/// What the body is, by its headers.
fn form(place: Place, headers: &HeaderMap) -> Result<Form, Refusal> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let full_type = text(header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let mut parts = full_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let encoding = text(header::CONTENT_ENCODING).unwrap_or_default().to_ascii_lowercase();
    let unsupported = |supported: &str| {
        let detail = format!(
            "content-type `{full_type}` with content-encoding `{encoding}` is not taken here; \
             send {supported}"
        );
        Err(Refusal { reason: Reason::Unsupported, detail, retry_after: None })
    };
    match place {
        Place::Write => {
            let supported = "application/x-protobuf, with proto=prometheus.WriteRequest or \
                             proto=io.prometheus.write.v2.Request, in snappy's block format";
            if !["", "application/x-protobuf"].contains(&media)
                || !["", "snappy"].contains(&&*encoding)
            {
                return unsupported(supported);
            }
            match parts.find_map(|part| part.strip_prefix("proto=")) {
                None | Some("prometheus.writerequest") => Ok(Form::WriteV1),
                Some("io.prometheus.write.v2.request") => Ok(Form::WriteV2),
                Some(_) => unsupported(supported),
            }
        }
        // curl says x-www-form-urlencoded of whatever it is given by `-d`.
        Place::Push => match (media, &*encoding) {
            ("" | "application/json" | "application/x-www-form-urlencoded", "" | "identity") => {
                Ok(Form::Push)
            }
            _ => unsupported("application/json, not compressed"),
        },
        Place::Otlp => {
            let supported = "application/x-protobuf or application/json, as it is or by gzip";
            let gzip = match &*encoding {
                "" | "identity" => false,
                "gzip" => true,
                _ => return unsupported(supported),
            };
            match media {
                "application/x-protobuf" => Ok(Form::Otlp { gzip }),
                "application/json" => Ok(Form::OtlpJson { gzip }),
                _ => unsupported(supported),
            }
        }
    }
}

/// Why a body was not read.
enum Unread {
    Refusal(Refusal),
    Problem(Problem),
}

/// The body, in room that is taken as it comes.
async fn collect<B: Buf>(
    mut stream: impl Stream<Item = Result<B, warp::Error>> + Unpin,
    room: &mut crate::ingest::Room,
) -> Result<Bytes, Unread> {
    let mut body = BytesMut::new();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|_| {
            Unread::Problem(Problem::bad_request("the body ended before its content-length"))
        })?;
        let length = bytes.remaining();
        if body.len() + length > BODY_MAX {
            let detail = format!("the body has more than {BODY_MAX} bytes; send it in parts");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            return Err(Unread::Problem(Problem::new(status, "body_too_large", detail)));
        }
        room.grow(length).await.map_err(Unread::Refusal)?;
        bytes::BufMut::put(&mut body, bytes);
    }
    Ok(body.freeze())
}

/// What the sender is told.
fn answer(form: Form, outcome: &Outcome) -> Response {
    let partly = outcome.first.as_ref().zip(outcome.complaint());
    let was_stored = outcome.kept.stored + outcome.kept.known > 0;
    let mut response = match (form, partly) {
        // What is fine was taken: OTLP knows an answer for that.
        (Form::Otlp { .. }, partly) if partly.is_none() || was_stored => {
            body(otlp::response(outcome), "application/x-protobuf")
        }
        (Form::OtlpJson { .. }, partly) if partly.is_none() || was_stored => {
            body(otlp::response_json(outcome), "application/json")
        }
        (_, Some((first, complaint))) => {
            problem(Refusal { detail: complaint, ..first.clone() }).into_response()
        }
        (Form::Push, None) => json(&PushView::new(outcome)),
        (_, None) => {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
    };
    if let Form::WriteV1 | Form::WriteV2 = form {
        // What was here before is as good as written.
        let samples = outcome.kept.stored + outcome.kept.known + outcome.stale + outcome.signals;
        let [written, histograms, exemplars] = WRITTEN;
        let headers = response.headers_mut();
        headers.insert(written, samples.into());
        headers.insert(histograms, 0.into());
        headers.insert(exemplars, 0.into());
    }
    response
}

/// A refusal as an answer.
fn problem(refusal: Refusal) -> Problem {
    let status = match refusal.reason {
        Reason::NotYourServer => StatusCode::FORBIDDEN,
        Reason::Rate => StatusCode::TOO_MANY_REQUESTS,
        Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::Busy | Reason::Store => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    let problem = Problem::new(status, refusal.reason.code(), refusal.detail);
    Problem { retry_after: refusal.retry_after, ..problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_known_by_its_headers_or_refused() {
        let v1 = "application/x-protobuf;proto=prometheus.WriteRequest";
        let v2 = "application/x-protobuf; proto=io.prometheus.write.v2.Request";
        check(Place::Write, "", "", Some(Form::WriteV1));
        check(Place::Write, "application/x-protobuf", "snappy", Some(Form::WriteV1));
        check(Place::Write, v1, "snappy", Some(Form::WriteV1));
        check(Place::Write, v2, "snappy", Some(Form::WriteV2));
        check(Place::Write, "application/x-protobuf;proto=v3", "snappy", None);
        check(Place::Write, v1, "zstd", None);
        check(Place::Write, "application/json", "", None);
        check(Place::Push, "application/x-www-form-urlencoded", "", Some(Form::Push));
        check(Place::Push, "application/json; charset=utf-8", "", Some(Form::Push));
        check(Place::Push, "application/json", "gzip", None);
        let otlp = Form::Otlp { gzip: true };
        check(Place::Otlp, "application/x-protobuf", "gzip", Some(otlp));
        check(Place::Otlp, "application/json", "", Some(Form::OtlpJson { gzip: false }));
        check(Place::Otlp, "text/plain", "", None);
    }

    #[track_caller]
    fn check(place: Place, media: &'static str, encoding: &'static str, expected: Option<Form>) {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::CONTENT_TYPE, media), (header::CONTENT_ENCODING, encoding)] {
            if !value.is_empty() {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        assert_eq!(form(place, &headers).ok(), expected, "{media} {encoding}");
    }
}
