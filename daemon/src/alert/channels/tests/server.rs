//! A server that does what a test tells it, and remembers what it was told.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream},
    net::TcpListener,
    task::JoinHandle,
    time::sleep,
};

use super::tls;

/// What the server does next.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Says a line, or several.
    Say(&'static str),
    /// Hears a line, which begins with this.
    Hear(&'static str),
    /// Hears until these bytes come.
    HearUntil(&'static str),
    /// Hears an HTTP request, its body included.
    HearRequest,
    /// Goes on with TLS.
    Encrypt,
    /// Says a byte, waits, says the next, for ever.
    Trickle,
    /// Is silent until the other side has gone.
    Hang,
}

/// A server with one connection's script.
pub(super) struct Server {
    pub(super) port: u16,
    heard: JoinHandle<String>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Server {
    pub(super) async fn start(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream: Box<dyn Stream> = Box::new(BufStream::new(stream));
            let mut heard = String::new();
            for act in script {
                match act {
                    Act::Encrypt => match tls::acceptor().accept(stream).await {
                        Ok(encrypted) => stream = Box::new(BufStream::new(encrypted)),
                        Err(_) => return heard,
                    },
                    act => {
                        if !play(act, &mut stream, &mut heard).await {
                            return heard;
                        }
                    }
                }
            }
            heard
        });
        Self { port, heard }
    }

    /// Stops listening before anybody has come.
    pub(super) async fn abort(self) {
        self.heard.abort();
        assert!(self.heard.await.is_err());
    }

    /// All that it was told, once its script is over or the other side has gone.
    pub(super) async fn heard(self) -> String {
        self.heard.await.unwrap()
    }
}

/// Returns whether the other side is still there.
async fn play(act: Act, stream: &mut Box<dyn Stream>, heard: &mut String) -> bool {
    match act {
        Act::Say(text) => say(stream, text).await,
        Act::Hear(begin) => {
            let from = heard.len();
            let there = hear(stream, heard, |heard| heard.ends_with('\n'), from).await;
            let line = &heard[from..];
            assert!(!there || line.starts_with(begin), "heard {line:?} instead of {begin:?}");
            there
        }
        Act::HearUntil(end) => hear(stream, heard, |heard| heard.ends_with(end), heard.len()).await,
        Act::HearRequest => {
            let from = heard.len();
            hear(stream, heard, |heard| heard.ends_with("\r\n\r\n"), from).await;
            let length = heard[from..].to_lowercase();
            let length = length
                .split("content-length: ")
                .nth(1)
                .map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
            let mut body = vec![0; length];
            let there = stream.read_exact(&mut body).await.is_ok();
            heard.push_str(&String::from_utf8(body).unwrap());
            there
        }
        Act::Trickle => {
            while say(stream, "2").await {
                sleep(Duration::from_millis(20)).await;
            }
            false
        }
        Act::Hang => {
            while hear(stream, heard, |_| false, heard.len()).await {}
            false
        }
        Act::Encrypt => unreachable!("the caller does that"),
    }
}

async fn say(stream: &mut Box<dyn Stream>, text: &str) -> bool {
    stream.write_all(text.as_bytes()).await.is_ok() && stream.flush().await.is_ok()
}

/// Reads into `heard` until what is there since `from` is enough; false when the other side has gone.
async fn hear(
    stream: &mut Box<dyn Stream>,
    heard: &mut String,
    enough: impl Fn(&str) -> bool,
    from: usize,
) -> bool {
    let mut byte = [0];
    while !enough(&heard[from..]) {
        match stream.read(&mut byte).await {
            Ok(1) => heard.push(char::from(byte[0])),
            _ => return false,
        }
    }
    true
}
