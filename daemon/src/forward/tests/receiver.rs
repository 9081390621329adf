//! A receiver of remote writes: keeps what it takes, and behaves as it is told.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::wire::{Request as Write, read_1, read_2};

/// How a request is answered.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// With a status and words; nothing is taken.
    Status(u16, &'static str),
    /// With a status and `Retry-After`.
    Wait(u16, &'static str),
    /// Nothing is taken, but it says that so many samples were written.
    Wrote(u16, u64, &'static str),
    /// With a redirect.
    Moved(&'static str),
    /// Not at all: the connection is cut.
    Cut,
    /// It is taken, and the connection is cut.
    Lost,
    /// It is taken, with success, and nobody says how much.
    Unproven,
    /// With the beginning of an answer; then the connection is cut.
    Part(&'static str),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    head: String,
    body: Vec<u8>,
}

/// A receiver on a port of its own, until this is dropped.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Reply>,
    after_metadata: VecDeque<Reply>,
    at_most: Option<usize>,
    rolls_back: Option<String>,
    nothing_twice: bool,
    refuses: bool,
    requests: Vec<Request>,
    stored: BTreeMap<String, BTreeMap<i64, f64>>,
    metadata: BTreeMap<String, (u64, String)>,
    twice: usize,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    }
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Self { address, state: Arc::default() };
        let accepting = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        receiver
    }

    /// The next requests are answered so.
    pub(super) fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().script.extend(replies);
    }

    /// The next requests that hold samples are answered so.
    pub(super) fn after_metadata(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().after_metadata.extend(replies);
    }

    /// More samples in a request are too many.
    pub(super) fn takes_at_most(&self, samples: usize) {
        self.state.lock().unwrap().at_most = Some(samples);
    }

    /// A request with a series whose labels contain this is not stored at all.
    pub(super) fn rolls_back_with(&self, labels: &str) {
        self.state.lock().unwrap().rolls_back = Some(labels.to_owned());
    }

    /// A request with a sample that is there already is not stored at all.
    pub(super) fn takes_nothing_twice(&self) {
        self.state.lock().unwrap().nothing_twice = true;
    }

    /// Everybody gets 401.
    pub(super) fn refuses_everybody(&self, refuses: bool) {
        self.state.lock().unwrap().refuses = refuses;
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// What was stored, by labels.
    pub(super) fn stored(&self) -> BTreeMap<String, BTreeMap<i64, f64>> {
        self.state.lock().unwrap().stored.clone()
    }

    pub(super) fn metadata(&self) -> BTreeMap<String, (u64, String)> {
        self.state.lock().unwrap().metadata.clone()
    }

    /// Samples that came though they were here already.
    pub(super) fn twice(&self) -> usize {
        self.state.lock().unwrap().twice
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        loop {
            let Some(request) = read(&mut stream, &mut bytes).await else { return };
            let (answer, goes_on) = self.state.lock().unwrap().answer(request);
            if stream.write_all(answer.as_bytes()).await.is_err() || !goes_on {
                return;
            }
        }
    }
}

impl State {
    /// The answer, and whether the connection goes on.
    fn answer(&mut self, request: Request) -> (String, bool) {
        self.requests.push(request.clone());
        if self.refuses {
            return (reply(401, "", "who are you"), true);
        }
        let plain = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
        let version_2 = request.header("content-type").unwrap().contains("write.v2");
        let write = if version_2 { read_2(&plain) } else { read_1(&plain) };
        let scripted = self.script.pop_front();
        let has_samples = !write.series.is_empty();
        match scripted.or_else(|| self.after_metadata.pop_front_if(|_| has_samples)) {
            Some(Reply::Status(status, said)) => (reply(status, "", said), true),
            Some(Reply::Wait(status, after)) => {
                (reply(status, &format!("retry-after: {after}\r\n"), ""), true)
            }
            Some(Reply::Wrote(status, samples, said)) => {
                (reply(status, &written(samples), said), true)
            }
            Some(Reply::Moved(to)) => (reply(302, &format!("location: {to}\r\n"), ""), true),
            Some(Reply::Cut) => (String::new(), false),
            Some(Reply::Lost) => {
                self.take(write, version_2);
                (String::new(), false)
            }
            Some(Reply::Unproven) => {
                self.take(write, version_2);
                (reply(204, "", ""), true)
            }
            Some(Reply::Part(part)) => (part.into(), false),
            None => (self.take(write, version_2), true),
        }
    }

    fn take(&mut self, write: Write, version_2: bool) -> String {
        let samples: usize = write.series.iter().map(|(_, samples)| samples.len()).sum();
        if self.at_most.is_some_and(|most| samples > most) {
            return reply(413, "", "too much");
        }
        let bad = |labels: &str| self.rolls_back.as_ref().is_some_and(|bad| labels.contains(bad));
        let known = |(labels, samples): &(String, Vec<(i64, f64)>)| {
            let last = self.stored.get(labels).and_then(|stored| stored.keys().last());
            self.nothing_twice
                && samples.iter().any(|(at_ms, _)| last.is_some_and(|last| at_ms <= last))
        };
        if write.series.iter().any(|series| bad(&series.0) || known(series)) {
            return reply(400, "", "out of order sample");
        }
        self.metadata.extend(write.metadata);
        for (labels, samples) in write.series {
            let stored = self.stored.entry(labels).or_default();
            for (at_ms, value) in samples {
                self.twice += usize::from(stored.insert(at_ms, value).is_some());
            }
        }
        reply(204, &if version_2 { written(samples as u64) } else { String::new() }, "")
    }
}

fn written(samples: u64) -> String {
    format!("X-Prometheus-Remote-Write-Samples-Written: {samples}\r\n")
}

fn reply(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// One request; `bytes` keeps what was read beyond it.
async fn read(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Request> {
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let request = Request { head, body: Vec::new() };
            let length: usize = request.header("content-length").unwrap().parse().unwrap();
            let whole = end + 4 + length;
            if bytes.len() >= whole {
                let rest = bytes.split_off(whole);
                let body = std::mem::replace(bytes, rest).split_off(end + 4);
                return Some(Request { body, ..request });
            }
        }
        let mut part = [0; 8192];
        match stream.read(&mut part).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&part[..read]),
            _ => return None,
        }
    }
}
