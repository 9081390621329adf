//! Asks the running daemon, over its control socket.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HOST},
    http::request::Builder,
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{net::UnixStream, task::JoinHandle, time::timeout};

/// Name of the control socket within the state folder.
const SOCKET: &str = "control.sock";

/// How long an answer may take: a test of a contact waits for its channels.
const PATIENCE: Duration = Duration::from_secs(60);
/// And one to what the daemon has to seal, settle or copy first.
const LONG_PATIENCE: Duration = Duration::from_secs(310);

/// How many samples a daemon says it has of those that were written to it.
const SAMPLES_WRITTEN: &str = "x-prometheus-remote-write-samples-written";

/// Too many requests, and no room: whoever writes may come again.
const RETRIED: [u16; 2] = [429, 503];

/// Longest answer that is read: every point that one may hold, for hundreds of series.
const ANSWER_MAX_BYTES: usize = 256 << 20;

/// Why the daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Nobody listens: no daemon runs with this state folder.
    #[error("failed to find a running daemon at `{}`", .0.display())]
    Absent(PathBuf),
    /// Somebody listens, and may not be spoken to.
    #[error("failed to connect to the daemon at `{}`", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke, or the answer was too long.
    #[error("failed to ask the daemon")]
    Ask(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The daemon did not answer in time.
    #[error("failed to ask the daemon: no answer in time; it may still be at it")]
    Silent,
    /// The daemon refused, with its reason and what helps.
    #[error("refused by the daemon: {0}")]
    Refused(String),
}

/// The shape of a refusal.
#[derive(Deserialize)]
struct Refusal {
    detail: String,
}

/// The body of the answer to `GET path` of the daemon whose state is in `state`.
/// Waits for it; not to be called from within a tokio runtime.
pub(super) fn get(state: &Path, path: &str) -> Result<Bytes, ClientError> {
    send(state, Request::get(path), Bytes::new())
}

/// The body of the answer to `POST path` with `body`, JSON; otherwise as [`get`].
pub(super) fn post(state: &Path, path: &str, body: Vec<u8>) -> Result<Bytes, ClientError> {
    send(state, Request::post(path), body.into())
}

/// The body of the answer to `DELETE path`; otherwise as [`get`].
pub(super) fn delete(state: &Path, path: &str) -> Result<Bytes, ClientError> {
    send(state, Request::delete(path), Bytes::new())
}

fn send(state: &Path, request: Builder, body: Bytes) -> Result<Bytes, ClientError> {
    let broken = |error: io::Error| ClientError::Ask(error.into());
    let path = request.uri_ref().map_or("", |uri| uri.path());
    let is_long = path.starts_with("/api/v1/store/");
    let patience = if is_long { LONG_PATIENCE } else { PATIENCE };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(broken)?.block_on(async {
        let socket = state.join(SOCKET);
        let asked = ask(&socket, request, body);
        timeout(patience, asked).await.unwrap_or(Err(ClientError::Silent))
    })
}

/// Gives the body of the answer to `GET path` to `each` as it comes; each piece of it has to come in time.
pub(super) fn stream(
    state: &Path,
    path: &str,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), ClientError> {
    let broken = |error: io::Error| ClientError::Ask(error.into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(broken)?.block_on(async {
        let socket = state.join(SOCKET);
        let asked = begin(&socket, Request::get(path), Bytes::new());
        let (mut response, connection) =
            timeout(PATIENCE, asked).await.unwrap_or(Err(ClientError::Silent))?;
        if !response.status().is_success() {
            return Err(refusal(response.status(), &collected(response).await?));
        }
        while let Some(frame) =
            timeout(PATIENCE, response.frame()).await.map_err(|_| ClientError::Silent)?
        {
            let frame = frame.map_err(|error| ClientError::Ask(error.into()))?;
            if let Ok(bytes) = frame.into_data() {
                each(&bytes).map_err(broken)?;
            }
        }
        connection.abort();
        Ok(())
    })
}

/// What a daemon says to samples that were written to it.
#[derive(Debug)]
pub(super) enum Written {
    /// So many of them are stored, or were before.
    Stored(u64),
    /// It has no room for them now.
    Later(Duration),
    /// Some or all of them are refused.
    Refused(String),
}

/// Writes samples by the same way as other nodes do: `body` is a remote write 2.0 request.
pub(super) fn write_samples(state: &Path, body: Vec<u8>) -> Result<Written, ClientError> {
    let broken = |error: io::Error| ClientError::Ask(error.into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(broken)?.block_on(async {
        let request = Request::post("/api/v1/write")
            .header(CONTENT_TYPE, "application/x-protobuf;proto=io.prometheus.write.v2.Request")
            .header(CONTENT_ENCODING, "snappy");
        let socket = state.join(SOCKET);
        let asked = begin(&socket, request, body.into());
        let (response, connection) =
            timeout(PATIENCE, asked).await.unwrap_or(Err(ClientError::Silent))?;
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.and_then(|value| value.parse::<u64>().ok())
        };
        let (status, retry) = (response.status(), header("retry-after"));
        if status.is_success() {
            return Ok(Written::Stored(header(SAMPLES_WRITTEN).unwrap_or_default()));
        }
        if let Some(seconds) = retry.filter(|_| RETRIED.contains(&status.as_u16())) {
            return Ok(Written::Later(Duration::from_secs(seconds)));
        }
        let body = collected(response).await?;
        connection.abort();
        match refusal(status, &body) {
            ClientError::Refused(detail) => Ok(Written::Refused(detail)),
            error => Err(error),
        }
    })
}

async fn ask(socket: &Path, request: Builder, body: Bytes) -> Result<Bytes, ClientError> {
    let (response, connection) = begin(socket, request, body).await?;
    let status = response.status();
    let body = collected(response).await?;
    connection.abort();
    if status.is_success() { Ok(body) } else { Err(refusal(status, &body)) }
}

async fn collected(response: Response<Incoming>) -> Result<Bytes, ClientError> {
    let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES);
    Ok(body.collect().await.map_err(ClientError::Ask)?.to_bytes())
}

fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    let refusal = serde_json::from_slice(body).map(|refusal: Refusal| refusal.detail);
    ClientError::Refused(refusal.unwrap_or_else(|_| status.to_string()))
}

/// An answer that begins, and who brings the rest of it.
type Begun = (Response<Incoming>, JoinHandle<Result<(), hyper::Error>>);

async fn begin(socket: &Path, request: Builder, body: Bytes) -> Result<Begun, ClientError> {
    let stream = UnixStream::connect(socket).await.map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => ClientError::Absent(socket.into()),
        _ => ClientError::Connect { path: socket.into(), source },
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ClientError::Ask(error.into()))?;
    let connection = tokio::spawn(connection);
    let request = request
        .header(HOST, "localhost")
        .body(Full::new(body))
        .map_err(|error| ClientError::Ask(error.into()))?;
    let response =
        sender.send_request(request).await.map_err(|error| ClientError::Ask(error.into()))?;
    Ok((response, connection))
}

/// `text` as it may stand in the path or the query of a request (RFC 3986:
/// everything but unreserved characters is escaped).
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use std::{
        io::{Read, Write},
        os::unix::net::UnixListener,
        thread,
    };

    use super::*;

    #[test]
    fn the_answer_of_a_daemon_arrives() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let (got, asked) = exchange(answer);
        assert_eq!(got.unwrap(), "{}");
        assert!(
            asked.starts_with("GET /api/v1/servers HTTP/1.1\r\nhost: localhost\r\n"),
            "{asked}"
        );
    }

    #[test]
    fn a_refusal_arrives_with_its_reason() {
        let body = r#"{"error":"too_many_points","detail":"ask for fewer"}"#;
        let length = body.len();
        let head = "HTTP/1.1 400 Bad Request\r\ncontent-length:";
        let (got, _) = exchange(&format!("{head} {length}\r\n\r\n{body}"));
        assert_eq!(got.unwrap_err().to_string(), "refused by the daemon: ask for fewer");
    }

    #[test]
    fn where_none_runs_it_is_said_so() {
        let state = tempfile::tempdir().unwrap();
        assert!(matches!(get(state.path(), "/"), Err(ClientError::Absent(_))), "never run");
        drop(UnixListener::bind(state.path().join(SOCKET)).unwrap());
        assert!(matches!(get(state.path(), "/"), Err(ClientError::Absent(_))), "killed");
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("web-1.example_~"), "web-1.example_~");
        assert_eq!(escaped("/a b&ü"), "%2Fa%20b%26%C3%BC");
    }

    /// What a client makes of `answer`, and what it asked.
    fn exchange(answer: &str) -> (Result<Bytes, ClientError>, String) {
        let state = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(state.path().join(SOCKET)).unwrap();
        let answer = answer.to_owned();
        let daemon = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            let mut buffer = [0; 1024];
            while !asked.ends_with(b"\r\n\r\n") {
                let length = stream.read(&mut buffer).unwrap();
                asked.extend_from_slice(&buffer[..length]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(asked).unwrap()
        });
        (get(state.path(), "/api/v1/servers"), daemon.join().unwrap())
    }
}
