//! A viewer: the stream's client, which keeps the picture as the page does.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue},
};

/// Longer than the stream is ever silent: it says something every second.
const SILENCE: Duration = Duration::from_secs(30);

/// One viewer with its picture.
pub struct Viewer {
    socket: WebSocketStream<TcpStream>,
    /// The daemon's life that this picture belongs to.
    pub epoch: String,
    topics: BTreeMap<String, Picture>,
}

/// What a viewer sees of one topic.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// The tick it stands at.
    pub seq: u64,
    /// The daemon's clock at that tick.
    pub at_ms: i64,
    columns: Vec<String>,
    rows: BTreeMap<String, Vec<Value>>,
}

/// What a frame did to the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The topic was drawn anew.
    Snapshot(String),
    /// These rows of the topic changed.
    Changed(String, Vec<String>),
    /// The daemon could not go on from where the viewer stood.
    Resync(String),
}

/// Why the stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The daemon closed it, with this code.
    Closed(u16),
    /// The connection broke.
    Broken(String),
}

impl Viewer {
    /// Opens the stream as a page served from the same address does, and reads its greeting.
    pub async fn open(address: SocketAddr) -> Result<Self, Ended> {
        let mut socket = connect(address, &format!("http://{address}"))
            .await
            .map_err(|error| Ended::Broken(error.to_string()))?;
        let hello = next_json(&mut socket).await?;
        assert_eq!((&hello["t"], &hello["v"]), (&json!("hello"), &json!(1)), "{hello}");
        let epoch = hello["epoch"].as_str().unwrap().to_owned();
        Ok(Self { socket, epoch, topics: BTreeMap::new() })
    }

    /// Asks for these topics instead of those before.
    pub async fn subscribe(&mut self, topics: &[&str]) -> Result<(), Ended> {
        self.send(&json!({ "t": "sub", "topics": topics, "hz": 1 }).to_string()).await
    }

    /// Sends a text frame as it is.
    pub async fn send(&mut self, text: &str) -> Result<(), Ended> {
        let sent = self.socket.send(Message::text(text)).await;
        sent.map_err(|error| Ended::Broken(error.to_string()))
    }

    /// Waits for the next frame and lets it change the picture.
    ///
    /// # Panics
    ///
    /// When the frame does not follow from the one before, or is not of the protocol.
    pub async fn next(&mut self) -> Result<Event, Ended> {
        let frame = next_json(&mut self.socket).await?;
        let text = |key: &str| frame[key].as_str().unwrap_or_else(|| panic!("{frame}")).to_owned();
        match text("t").as_str() {
            "snap" => {
                self.topics.insert(text("topic"), Picture::drawn(&frame));
                Ok(Event::Snapshot(text("topic")))
            }
            "d" => {
                let topic = text("topic");
                let picture = self.topics.get_mut(&topic);
                let picture = picture.unwrap_or_else(|| panic!("change before snapshot: {frame}"));
                let changed = picture.change(&frame);
                Ok(Event::Changed(topic, changed))
            }
            "resync" => Ok(Event::Resync(text("reason"))),
            other => panic!("frame of unknown kind {other}: {frame}"),
        }
    }

    /// What is seen of a topic so far; nothing before its snapshot.
    pub fn picture(&self, topic: &str) -> Option<&Picture> {
        self.topics.get(topic)
    }
}

impl Picture {
    fn drawn(frame: &Value) -> Self {
        let columns = list(&frame["cols"]).iter().map(|name| name.as_str().unwrap().to_owned());
        let mut picture = Self { columns: columns.collect(), ..Self::default() };
        (picture.seq, picture.at_ms) = (number(&frame["seq"]), frame["at"].as_i64().unwrap());
        for row in list(&frame["rows"]) {
            let (id, values) = list(row).split_first().unwrap();
            assert_eq!(values.len(), picture.columns.len(), "a row has a value for each column");
            picture.rows.insert(key(id), values.to_vec());
        }
        picture
    }

    fn change(&mut self, frame: &Value) -> Vec<String> {
        assert_eq!(number(&frame["from"]), self.seq, "a change follows the one before: {frame}");
        (self.seq, self.at_ms) = (number(&frame["to"]), frame["at"].as_i64().unwrap());
        let mut changed = Vec::new();
        for row in list(&frame["rows"]) {
            let [id, mask, values @ ..] = list(row) else { panic!("{row}") };
            let (id, mask, mut values) = (key(id), number(mask), values.iter());
            let known = self.rows.entry(id.clone()).or_default();
            if known.is_empty() {
                let all = (1_u64 << self.columns.len()) - 1;
                assert_eq!(mask, all, "a new row comes whole: {row}");
                known.resize(self.columns.len(), Value::Null);
            }
            for (at, value) in known.iter_mut().enumerate().filter(|(at, _)| mask >> at & 1 == 1) {
                *value =
                    values.next().unwrap_or_else(|| panic!("no value for {at}: {row}")).clone();
            }
            assert!(values.next().is_none(), "more values than the mask says: {row}");
            changed.push(id);
        }
        for id in list(&frame["gone"]) {
            self.rows.remove(&key(id));
        }
        changed
    }

    /// The value in a row's column; nothing where there is no such row.
    pub fn value(&self, id: &str, column: &str) -> Option<&Value> {
        let at = self.columns.iter().position(|name| name == column);
        let at = at.unwrap_or_else(|| panic!("no column {column} among {:?}", self.columns));
        self.rows.get(id).map(|row| &row[at])
    }

    /// The names of all rows.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.rows.keys().map(String::as_str)
    }
}

/// Opens the WebSocket from a page of `origin`, before any frame.
pub async fn connect(
    address: SocketAddr,
    origin: &str,
) -> Result<WebSocketStream<TcpStream>, tungstenite::Error> {
    let mut request = format!("ws://{address}/api/v1/stream").into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", HeaderValue::from_static("bartizan.v1"));
    headers.insert("origin", HeaderValue::from_str(origin)?);
    let connection = TcpStream::connect(address).await?;
    Ok(client_async(request, connection).await?.0)
}

async fn next_json(socket: &mut WebSocketStream<TcpStream>) -> Result<Value, Ended> {
    loop {
        let message = timeout(SILENCE, socket.next()).await;
        let message = message.map_err(|_| Ended::Broken(format!("silent for {SILENCE:?}")))?;
        let message = message.ok_or_else(|| Ended::Broken("end of stream".into()))?;
        match message.map_err(|error| Ended::Broken(error.to_string()))? {
            Message::Text(text) => return Ok(serde_json::from_str(&text).unwrap()),
            Message::Close(frame) => {
                return Err(Ended::Closed(frame.map_or(1005, |frame| frame.code.into())));
            }
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("every frame is text, this one is {other:?}"),
        }
    }
}

/// A row's name: text as it is, a number in digits.
fn key(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}
