//! A small HTTP client: one connection for each request, nothing kept.

use std::{error::Error, net::SocketAddr, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, body::Bytes, client::conn::http1, header::HOST};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};

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
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header(HOST, address.to_string());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into()))?;
    timeout(Duration::from_secs(30), async {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(TcpStream::connect(address).await?)).await?;
        // Its errors come back through `sender` as well.
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.into_body().collect().await?.to_bytes();
        connection.abort();
        Ok(Answer { status, headers, body })
    })
    .await?
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
