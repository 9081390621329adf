//! A small HTTP client: one connection for each request, nothing kept.

use std::{error::Error, net::SocketAddr, path::Path, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

/// Longest that an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the daemon answered.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header lines.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// Why there is no whole answer.
pub type Failure = Box<dyn Error + Send + Sync>;

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in answer {}: {}", self.status, self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request and reads the whole answer. `headers` come on top of `Host`, and may replace it.
pub async fn request(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&'static str, &str)],
    body: impl Into<Bytes>,
) -> Result<Answer, Failure> {
    let request = made(&address.to_string(), method, path, headers, body.into())?;
    timeout(PATIENCE, async { exchange(TcpStream::connect(address).await?, request).await }).await?
}

/// The same through a daemon's control socket.
pub async fn over_control(
    socket: &Path,
    method: Method,
    path: &str,
    body: impl Into<Bytes>,
) -> Result<Answer, Failure> {
    let request = made("localhost", method, path, &[], body.into())?;
    timeout(PATIENCE, async { exchange(UnixStream::connect(socket).await?, request).await }).await?
}

fn made(
    host: &str,
    method: Method,
    path: &str,
    headers: &[(&'static str, &str)],
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Failure> {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header(HOST, host);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.body(Full::new(body))?)
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its errors come back through `sender` as well.
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok(Answer { status, headers, body })
}

/// Reads `path`.
pub async fn get(address: SocketAddr, path: &str) -> Result<Answer, Failure> {
    request(address, Method::GET, path, &[], Bytes::new()).await
}

/// `text` as it may stand in the query of a URL.
pub fn escape(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    escaped.collect()
}
