//! A server over real sockets, with fakes behind it; and clients that speak to it.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use ractor::{Actor, ActorRef};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, client::IntoClientRequest, handshake::client::Response},
};

use crate::{
    alert::Alert,
    enrol::TokenPort,
    fleet::FleetPort,
    http::{
        HttpActor, HttpArguments, Listener, Names, Tls, Token, bind, bind_control,
        messages::{HttpMessage, Limits, Plugin, PluginList, RefusedPlugin, Target},
    },
    ingest::Ingest,
    live::{
        Live, LiveActor, LiveArguments,
        messages::{LivePort, LiveUpdate, Origin, ServerState, ServerStatus},
    },
    series::{Catalog, Frame, Kind, Labels, Sample, Series, SeriesId, now_ms},
    store::{StorePort, StoreReader, messages::Query, upkeep::UpkeepPort},
    supervision::{ActorState, Node, Tree},
};

use super::past::FakeHistory;

/// No wait of a test is longer.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

pub(super) type Socket = WebSocketStream<TcpStream>;

/// A server with fakes behind it.
pub(super) struct Rig {
    pub(super) address: SocketAddr,
    pub(super) control: PathBuf,
    pub(super) token: String,
    pub(super) port: LivePort,
    pub(super) alert: Alert,
    pub(super) tokens: TokenPort,
    pub(super) asked: Arc<Mutex<Vec<Query>>>,
    pub(super) services: Vec<Node>,
    pub(super) http: ActorRef<HttpMessage>,
    pub(super) fleet: FleetPort,
    catalog: Arc<Catalog>,
    /// Root's, which outlive the actor.
    _listeners: (Listener<TcpListener>, Listener<UnixListener>),
    _state: tempfile::TempDir,
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(super) async fn with(limits: Limits) -> Self {
        Self::start(limits, "127.0.0.1:0", None, TokenPort::default()).await
    }

    /// Speaks TLS.
    pub(super) async fn encrypted(tls: Tls, limits: Limits) -> Self {
        Self::start(limits, "127.0.0.1:0", Some(tls), TokenPort::default()).await
    }

    /// Knows tokens.
    pub(super) async fn enrolling(tokens: TokenPort) -> Self {
        Self::start(Limits::default(), "127.0.0.1:0", None, tokens).await
    }

    /// Listens on every address, as the configuration would with `insecure`.
    pub(super) async fn exposed() -> Self {
        Self::start(Limits::default(), "0.0.0.0:0", None, TokenPort::default()).await
    }

    async fn start(limits: Limits, listen: &str, tls: Option<Tls>, tokens: TokenPort) -> Self {
        let tls = tls.map(Arc::new);
        let state = tempfile::tempdir().unwrap();
        let token = Token::load_or_create(state.path()).unwrap();
        let listener = bind(listen.parse().unwrap()).unwrap();
        let bound = listener.address().unwrap();
        let control = state.path().join("control.sock");
        let listeners = (listener, bind_control(&control).unwrap());
        let tree = Tree::default();
        let (port, updates) = LivePort::new(100_000);
        let catalog = Arc::new(Catalog::default());
        let live = Live::new(port.clone(), updates, catalog.clone(), tree.clone());
        let services = ["store", "plugin", "live", "http", "fleet", "alert"];
        let services = Vec::from(services.map(|name| tree.root().child(name, "service")));
        services.iter().for_each(|service| service.set_state(ActorState::Up));
        let alert = Alert::restored(Default::default(), Arc::default(), "hub".into());
        let asked = Arc::<Mutex<Vec<Query>>>::default();
        let names = Names::new(bound, "Monitor.example.org", Some("https://bartizan.example.org"));
        let (fleet, (store, intake)) = (FleetPort::default(), StorePort::new(1 << 20));
        let (config, known) = (Arc::default(), catalog.clone());
        let ingest = Ingest::new(config, known, store, fleet.clone(), tokens.clone());
        let arguments = HttpArguments {
            listener: listeners.0.clone(),
            control: listeners.1.clone(),
            names: match &tls {
                Some(tls) => names.with_tls(tls.clone()),
                None => names,
            },
            token: token.clone(),
            live: live.reader(),
            history: Arc::new(FakeHistory(asked.clone())),
            upkeep: UpkeepPort::new(StoreReader::new(catalog.clone(), intake)),
            plugins: Arc::new(plugins),
            targets: Arc::new(targets),
            alerts: alert.desk(),
            tokens: tokens.clone(),
            fleet: fleet.clone(),
            tls,
            ingest,
            tree,
            assets: asset,
            version: "0.1.0",
            started: Instant::now(),
            limits,
            node: services[3].clone(),
        };
        let moved = LiveArguments { live, node: services[2].clone() };
        Actor::spawn(None, LiveActor, moved).await.unwrap();
        let (http, _) = Actor::spawn(None, HttpActor, arguments).await.unwrap();
        let token = token.signin_url("").trim_start_matches("/signin?token=").to_owned();
        let address = SocketAddr::from(([127, 0, 0, 1], bound.port()));
        Self {
            address,
            control,
            token,
            port,
            asked,
            alert,
            tokens,
            services,
            http,
            fleet,
            catalog,
            _listeners: listeners,
            _state: state,
        }
    }

    /// Monitors a server with one gauge, whose first value is `value`.
    pub(super) fn monitor(&self, name: &str, value: f64) -> SeriesId {
        self.port.publish(LiveUpdate::Server(ServerStatus {
            name: name.into(),
            tags: Arc::new([("env".to_owned(), "prod".to_owned())].into()),
            state: ServerState::Up,
            normal: Some(true),
            interval_ms: 1000,
            collectors_up: 5,
            collectors_down: 0,
            origin: Origin::Local,
            skew_ms: None,
            seen_ms: None,
            hub: None,
        }));
        let series = Series {
            server: name.into(),
            collector: "cpu".into(),
            metric: "cpu_usage_ratio".into(),
            labels: Labels::default(),
            unit: "ratio".into(),
            kind: Kind::Gauge,
            interval_ms: 1000,
        };
        let id = self.catalog.intern(series).unwrap();
        self.sample(name, id, value);
        id
    }

    pub(super) fn sample(&self, name: &str, series: SeriesId, value: f64) {
        self.port.publish(LiveUpdate::Frame(Arc::new(Frame {
            server: name.into(),
            collector: "cpu".into(),
            at_ms: now_ms(),
            samples: vec![Sample { series, value }],
        })));
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: {}\r\n", self.address)).await
    }

    /// Sends a head, given without its last empty line, on a connection of its own.
    pub(super) async fn ask(&self, head: &str) -> Reply {
        self.ask_with(head, "").await
    }

    /// The same, and `body` behind it.
    pub(super) async fn ask_with(&self, head: &str, body: &str) -> Reply {
        exchange(TcpStream::connect(self.address).await.unwrap(), head, body).await
    }

    pub(super) async fn ask_control(&self, head: &str) -> Reply {
        exchange(UnixStream::connect(&self.control).await.unwrap(), head, "").await
    }

    /// A viewer whose handshake has these headers as well.
    pub(super) async fn dial(
        &self,
        headers: &[(&'static str, &str)],
    ) -> Result<(Socket, Response), tungstenite::Error> {
        let url = format!("ws://{}/api/v1/stream", self.address);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "bartizan.v1".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        tokio_tungstenite::client_async(request, stream).await
    }

    /// A viewer that has been greeted.
    pub(super) async fn viewer(&self) -> (Socket, Value) {
        let (mut socket, _) = self.dial(&[]).await.unwrap();
        let hello = next(&mut socket).await;
        assert_eq!(hello["t"], "hello");
        (socket, hello)
    }

    /// Waits until a metric has a value of at least `least`.
    pub(super) async fn until_metric(&self, sample: &str, least: f64) {
        let reached = async {
            loop {
                let text = self.get("/metrics").await.body;
                let line = text.lines().find_map(|line| line.strip_prefix(sample)).unwrap();
                if line.trim().parse::<f64>().unwrap() >= least {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("{sample} stays below {least}"));
    }
}

/// An answer, as it was read from the socket.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub(super) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    head: &str,
    body: &str,
) -> Reply {
    let request = format!("{head}connection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

/// The next frame of a stream.
pub(super) async fn next(socket: &mut Socket) -> Value {
    let message = timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

/// Says something to the server.
pub(super) async fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

/// Reads on until the server closes, and with which code and reason.
pub(super) async fn closed(socket: &mut Socket) -> (u16, String) {
    let closed = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(_)) => {}
                other => panic!("no close frame but {other:?}"),
            }
        }
    };
    timeout(DEADLINE, closed).await.unwrap()
}

fn targets() -> Vec<Target> {
    let name = "hub".into();
    vec![Target { name, state: "held", sent: 7, lag_seconds: 1.5, ..Target::default() }]
}

fn plugins() -> PluginList {
    let plugin = Plugin {
        id: "cpu".to_owned(),
        name: "CPU".to_owned(),
        version: "0.1.0".to_owned(),
        description: "reads CPU use".to_owned(),
        abi: "1.0".to_owned(),
        path: "/usr/lib/bartizan/plugins/libcpu.so".into(),
        sha256: "00".to_owned(),
        bundled: true,
        instances: 1,
        host_pid: Some(42),
    };
    let refused = RefusedPlugin { path: "/tmp/x.so".into(), reason: "no manifest".to_owned() };
    PluginList { plugins: vec![plugin], refused: vec![refused] }
}

fn asset(path: &str) -> Option<bartizan_web::Asset> {
    let (text, content_type, immutable) = match path {
        "index.html" => ("<!doctype html>", "text/html; charset=utf-8", false),
        "assets/app-1.js" => ("let x", "text/javascript", true),
        _ => return None,
    };
    Some(bartizan_web::Asset {
        bytes: text.as_bytes().into(),
        gzip: path.starts_with("assets/").then(|| b"packed".into()),
        content_type,
        etag: "\"one\"".into(),
        immutable,
    })
}
