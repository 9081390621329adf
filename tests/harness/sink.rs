//! The other end of a webhook or an SMS gateway: records every request, and answers as it is told.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

use crate::{DEADLINE, now_ms, wait_for};

/// How a request is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// With this status and body.
    Say(u16, String),
    /// The same, after so long.
    Late(Duration, u16),
    /// A byte a second, for minutes.
    Trickle,
    /// Not at all; the connection stays.
    Hang,
    /// By closing the connection.
    Close,
}

/// One request, whole.
#[derive(Debug, Clone)]
pub struct Received {
    /// When its last byte was there.
    pub at: Instant,
    /// The same, in milliseconds since 1970.
    pub at_ms: i64,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header lines, their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// A listener on a port of its own; dropping it ends it.
pub struct Sink {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    reply: Mutex<Reply>,
    received: Mutex<Vec<Received>>,
}

impl Sink {
    /// A sink that answers 200 with `ok`.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let reply = Mutex::new(Reply::Say(200, "ok".into()));
        let shared = Arc::new(Shared { reply, received: Mutex::default() });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(Arc::clone(&serving), connection));
            }
        });
        Self { address, shared, task }
    }

    /// Its URL with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How every request is answered from now on.
    pub fn reply(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap() = reply;
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Waits until there are so many requests, and returns all.
    pub async fn arrived(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} requests at {}", self.address);
        let look = async || Some(self.received()).filter(|received| received.len() >= count);
        wait_for(&what, DEADLINE, look).await.0
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Received {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether `X-Bartizan-Signature` is that of the body with this key.
    pub fn is_signed_with(&self, key: &str) -> bool {
        let mut code = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
        code.update(&self.body);
        let digits: String =
            code.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        self.headers.get("x-bartizan-signature") == Some(&format!("sha256={digits}"))
    }
}

/// Serves one connection until it ends. What breaks it is the other side's affair.
async fn serve(shared: Arc<Shared>, connection: TcpStream) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut connection = BufReader::new(connection);
    loop {
        let received = read(&mut connection).await?;
        let reply = shared.reply.lock().unwrap().clone();
        shared.received.lock().unwrap().push(received);
        match reply {
            Reply::Say(status, body) => say(&mut connection, status, &body).await?,
            Reply::Late(after, status) => {
                sleep(after).await;
                say(&mut connection, status, "ok").await?;
            }
            Reply::Trickle => {
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{:100}", "ok");
                for byte in answer.into_bytes() {
                    connection.get_mut().write_all(&[byte]).await.ok()?;
                    sleep(Duration::from_secs(1)).await;
                }
            }
            Reply::Hang => sleep(Duration::from_secs(3600)).await,
            Reply::Close => return None,
        }
    }
}

async fn say(connection: &mut BufReader<TcpStream>, status: u16, body: &str) -> Option<()> {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\n\r\n{body}");
    connection.get_mut().write_all(answer.as_bytes()).await.ok()
}

/// Reads one request; nothing when the connection ends.
async fn read(connection: &mut BufReader<TcpStream>) -> Option<Received> {
    let first = line(connection).await?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let line = line(connection).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.ok()?;
    Some(Received { at: Instant::now(), at_ms: now_ms(), method, path, headers, body })
}

async fn line(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let length = connection.read_line(&mut line).await.ok()?;
    (length > 0).then(|| line.trim_end().to_owned())
}
