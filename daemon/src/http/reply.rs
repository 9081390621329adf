//! How an answer leaves: errors as JSON, and the headers that every answer has.

use std::time::Duration;

use warp::{
    http::{
        HeaderValue, StatusCode,
        header::{self, HeaderName},
    },
    hyper::body::Bytes,
    reject::{self, MethodNotAllowed, Reject, Rejection},
    reply::{Reply, Response},
};

use serde::Serialize;

use super::{query::POINTS_MAX, views::ErrorView};

/// Why a request is not answered as its sender wished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    /// For programs.
    pub(super) code: &'static str,
    /// For people: what is wrong, and what to do.
    pub(super) detail: String,
    /// When it may be asked again.
    pub(super) retry_after: Option<Duration>,
}

impl Reject for Problem {}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after: None }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(super) fn too_many_points(what: impl std::fmt::Display) -> Self {
        let detail = format!(
            "{what}; a series has at most {POINTS_MAX} points in one answer, and at least 1: ask \
             for a shorter time, or give `points`"
        );
        Self::new(StatusCode::BAD_REQUEST, "too_many_points", detail)
    }

    pub(super) fn signin_required() -> Self {
        let detail = "this needs the administrator's right: open the sign-in address that the \
                      start of bartizan printed, or send the token of `<state>/admin-token` as \
                      `authorization: Bearer …`";
        Self::new(StatusCode::UNAUTHORIZED, "signin_required", detail)
    }

    pub(super) fn method_not_allowed() -> Self {
        let detail = "this address is read by GET or HEAD";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    pub(super) fn post_required() -> Self {
        let detail = "this address takes POST alone";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "post_required", detail)
    }

    /// What a rejected request is told.
    pub(super) fn of(rejection: &Rejection) -> Self {
        if let Some(problem) = rejection.find::<Self>() {
            return problem.clone();
        }
        let is_upgrade = rejection.find::<warp::ws::MissingConnectionUpgrade>().is_some()
            || rejection.find::<reject::MissingHeader>().is_some()
            || rejection.find::<reject::InvalidHeader>().is_some();
        if is_upgrade {
            let detail = "the stream is a WebSocket, version 13: send the headers of its handshake";
            return Self::new(StatusCode::BAD_REQUEST, "websocket_required", detail);
        }
        if rejection.find::<reject::PayloadTooLarge>().is_some() {
            let detail = "the body is longer than what is wanted here";
            return Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail);
        }
        if rejection.find::<reject::LengthRequired>().is_some() {
            let detail = "send the body in one piece, with its content-length";
            return Self::new(StatusCode::LENGTH_REQUIRED, "length_required", detail);
        }
        if rejection.find::<MethodNotAllowed>().is_some() {
            return Self::method_not_allowed();
        }
        if rejection.is_not_found() {
            return Self::not_found("there is nothing at this address");
        }
        tracing::error!(?rejection, "request was rejected for a reason nobody gave");
        let detail = "bartizan failed to answer; its log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl Reply for Problem {
    fn into_response(self) -> Response {
        let view = ErrorView { error: self.code, detail: &self.detail };
        let mut response = json(&view);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED => {
                let allowed = if self.code == "post_required" { "POST" } else { "GET, HEAD" };
                headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // Its body was not read: the connection cannot be used for another request.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::LENGTH_REQUIRED => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        if let Some(pause) = self.retry_after {
            headers.insert(header::RETRY_AFTER, pause.as_secs().max(1).into());
        }
        response
    }
}

/// `value` as JSON, to be asked for anew each time.
pub(super) fn json(value: &impl Serialize) -> Response {
    json_bytes(value, 128).map_or_else(|failed| failed, |bytes| body(bytes, "application/json"))
}

/// `value` as JSON, of about `length` bytes: to make room again and again takes longer than to write into it. If that
/// fails, what is answered.
#[expect(clippy::result_large_err, reason = "it never happens, and is handed on as it is")]
pub(super) fn json_bytes(value: &impl Serialize, length: usize) -> Result<Vec<u8>, Response> {
    let mut bytes = Vec::with_capacity(length);
    serde_json::to_writer(&mut bytes, value).map_err(|error| {
        tracing::error!(%error, "failed to write an answer as JSON");
        let mut response = Response::default();
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })?;
    Ok(bytes)
}

/// `bytes` of a type, to be asked for anew each time.
pub(super) fn body(bytes: impl Into<Bytes>, content_type: &'static str) -> Response {
    let mut response = Response::new(bytes.into().into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether `asked`, an If-None-Match, names `etag`.
pub(super) fn is_known(asked: Option<&HeaderValue>, etag: &str) -> bool {
    let asked = asked.and_then(|asked| asked.to_str().ok()).unwrap_or_default();
    let mut known = asked.split(',').map(|known| known.trim().trim_start_matches("W/"));
    known.any(|known| known == etag || known == "*")
}

/// Adds what every answer has: the page may load and be framed by nothing but itself.
pub(super) fn secured(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
