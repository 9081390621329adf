//! Dials that a test turns: the plugin `dial/dial.rs` and the file that it reads.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{Daemon, daemon::built, now_ms};

/// What the dials are read as; its label `dial` names the dial.
pub const METRIC: &str = "dial_value";

/// The dials of one server.
pub struct Dials {
    /// Name of the server.
    pub server: String,
    file: PathBuf,
    values: BTreeMap<String, f64>,
}

impl Dials {
    /// Those of a server, in a file in `folder`; none yet.
    pub fn new(folder: &Path, server: &str) -> Self {
        let file = folder.join(format!("dials-of-{server}"));
        let dials = Self { server: server.into(), file, values: BTreeMap::new() };
        dials.write();
        dials
    }

    /// The server that has these dials and nothing else, read every `interval`.
    pub fn server(&self, interval: &str) -> String {
        format!(
            "[[server]]\nname = \"{}\"\n\n[[server.collector]]\nplugin = \"test.dial\"\n\
             interval = \"{interval}\"\nconfig = {{ path = \"{}\" }}\n\n",
            self.server,
            self.file.display()
        )
    }

    /// Turns one dial, adding it where there was none; returns when, in milliseconds since 1970.
    pub fn turn(&mut self, dial: &str, value: f64) -> i64 {
        self.values.insert(dial.into(), value);
        self.write();
        now_ms()
    }

    /// Takes a dial away.
    pub fn take_away(&mut self, dial: &str) {
        self.values.remove(dial);
        self.write();
    }

    /// What is written for a dial.
    pub fn value(&self, dial: &str) -> Option<f64> {
        self.values.get(dial).copied()
    }

    /// The daemon's samples of a dial since `from_ms`: when, and what.
    pub async fn samples(&self, daemon: &Daemon, dial: &str, from_ms: i64) -> Vec<(i64, f64)> {
        let series = daemon.raw(&self.server, METRIC, from_ms).await;
        let of_dial = series.iter().filter(|series| series.labels["dial"] == dial);
        of_dial
            .flat_map(|series| &series.points)
            .filter_map(|(at, value)| Some((*at, (*value)?)))
            .collect()
    }

    /// Waits for the first sample since `from_ms` that holds `value`; returns when it was read.
    pub async fn read(&self, daemon: &Daemon, dial: &str, value: f64, from_ms: i64) -> i64 {
        let what = format!("a sample {value} of dial {dial} of {}", self.server);
        let look = async || {
            let samples = self.samples(daemon, dial, from_ms).await;
            samples.into_iter().find(|(_, read)| *read == value)
        };
        crate::wait_for(&what, Duration::from_secs(60), look).await.0.0
    }

    /// Whoever reads sees the file before or after, never in between.
    fn write(&self) {
        let mut text = String::new();
        for (dial, value) in &self.values {
            writeln!(text, "{dial} {value}").unwrap();
        }
        let new = self.file.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &self.file).unwrap();
    }
}

/// The plugin, which cargo builds as an example of this crate.
pub fn plugin() -> PathBuf {
    let path = built("examples/libdial.so");
    let fix = "cargo build --release --package bartizan-tests --examples";
    assert!(path.exists(), "{} is not built: run `{fix}` first", path.display());
    path
}

/// A rule over every dial: critical above 10, fine at 5 and below, at once in both directions.
pub const RULE: &str = "[[rule]]\nname = \"dial\"\nmetric = \"dial_value\"\n\
    critical = { above = 10, clear = 5, for = \"0s\" }\nclear_for = \"0s\"\n\
    summary = \"dial={{ labels.dial }} value={{ value }} on {{ server }}\"\n\
    runbook = \"https://wiki.example.test/dial\"\n\n";
