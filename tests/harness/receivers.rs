//! Real receivers of remote writes: Prometheus and VictoriaMetrics, and what they answer about what they got.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    Point,
    http::{self, escape},
    peer::{Peer, free_port, need},
};

/// Labels of a series, by name.
pub type LabelSet = BTreeMap<String, String>;

/// A receiver in a folder of its own.
pub struct Receiver {
    kind: Kind,
    folder: PathBuf,
    peer: Option<Peer>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Prometheus with its receiver of remote writes.
    Prometheus,
    /// A single node of VictoriaMetrics.
    VictoriaMetrics,
}

impl Receiver {
    /// Chooses a port for it, and does not start it yet.
    pub fn prepare(kind: Kind, folder: &Path) -> Self {
        let folder = folder.join(format!("{kind:?}"));
        std::fs::create_dir(&folder).unwrap();
        let address = (Ipv4Addr::LOCALHOST, free_port()).into();
        Self { kind, folder, peer: None, address }
    }

    /// Where it takes remote writes.
    pub fn url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// Starts it, and waits until it listens.
    pub async fn start(&mut self) {
        let listen = self.address.to_string();
        let data = self.folder.join("data");
        let (name, command) = match self.kind {
            Kind::Prometheus => {
                let config = self.folder.join("prometheus.yml");
                std::fs::write(&config, "global: {}\n").unwrap();
                let mut command = Command::new(need("prometheus", "prometheus"));
                command.arg(format!("--config.file={}", config.display()));
                command.arg(format!("--storage.tsdb.path={}", data.display()));
                command.arg(format!("--web.listen-address={listen}"));
                command.arg("--web.enable-remote-write-receiver");
                ("prometheus", command)
            }
            Kind::VictoriaMetrics => {
                let mut command = Command::new(need("victoria-metrics", "victoria-metrics"));
                command.arg(format!("-storageDataPath={}", data.display()));
                command.arg(format!("-httpListenAddr={listen}"));
                command.arg("-search.latencyOffset=0s");
                // What is sent again after a crash is kept twice otherwise.
                command.arg("-dedup.minScrapeInterval=1ms");
                ("victoria-metrics", command)
            }
        };
        let mut peer = Peer::start(name, command, &self.folder);
        peer.listens(self.address.port()).await;
        self.peer = Some(peer);
    }

    /// Ends it.
    pub fn end(&mut self) {
        self.peer = None;
    }

    /// Every sample of every series that `selector` selects, of the last quarter of an hour, by labels.
    pub async fn samples(&self, selector: &str) -> BTreeMap<LabelSet, Vec<Point>> {
        match self.kind {
            Kind::Prometheus => {
                let path = format!("/api/v1/query?query={}", escape(&format!("{selector}[15m]")));
                let answer = http::get(self.address, &path).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
                let answer = answer.json();
                answer["data"]["result"].as_array().unwrap().iter().map(of_prometheus).collect()
            }
            Kind::VictoriaMetrics => {
                // What has just arrived is searched only after this.
                http::get(self.address, "/internal/force_flush").await.unwrap();
                let path = format!("/api/v1/export?match[]={}", escape(selector));
                let answer = http::get(self.address, &path).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
                answer.text().lines().map(of_victoria_metrics).collect()
            }
        }
    }
}

fn of_prometheus(series: &Value) -> (LabelSet, Vec<Point>) {
    let point = |pair: &Value| {
        let at_ms = (pair[0].as_f64().unwrap() * 1000.0).round() as i64;
        (at_ms, Some(pair[1].as_str().unwrap().parse().unwrap()))
    };
    let points = series["values"].as_array().unwrap().iter().map(point).collect();
    (labels(&series["metric"]), points)
}

fn of_victoria_metrics(line: &str) -> (LabelSet, Vec<Point>) {
    let series: Value = serde_json::from_str(line).unwrap();
    let times = series["timestamps"].as_array().unwrap().iter().map(|at| at.as_i64().unwrap());
    let values = series["values"].as_array().unwrap().iter().map(Value::as_f64);
    (labels(&series["metric"]), times.zip(values).collect())
}

fn labels(object: &Value) -> LabelSet {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    object.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
