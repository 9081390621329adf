//! Prometheus and Alertmanager as Debian installs them, and the exporter that they read.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
};

use bartizan_tests::{
    Setup,
    mail::{DUTY, Mail, PASSWORD, USERNAME},
    peer::{Peer, find, free_port},
    sink::Sink,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Both, with what they read.
pub(super) struct Peers {
    exported: Arc<Mutex<String>>,
    _prometheus: Peer,
    _alertmanager: Peer,
}

impl Peers {
    /// Starts both; nothing where they are not installed.
    pub(super) async fn start(setup: &Setup, mail: &Mail, sink: &Sink) -> Option<Self> {
        let programs = (find("prometheus")?, find("prometheus-alertmanager")?);
        let exported = Arc::new(Mutex::new(String::new()));
        let exporter = export(Arc::clone(&exported)).await;
        let [served, notified] = [(); 2].map(|()| free_port());

        let config = write(setup, "alertmanager.yml", &routes(mail, sink));
        let mut command = Command::new(programs.1);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", setup.folder().join("alertmanager").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{notified}"));
        // One alone: without this it looks for others, on every address.
        command.arg("--cluster.listen-address=");
        let mut alertmanager = Peer::start("alertmanager", command, setup.folder());
        alertmanager.listens(notified).await;

        let rules = write(setup, "rules.yml", RULES);
        let scrape = format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: ['{}']\n\
             scrape_configs:\n  - job_name: dial\n    static_configs:\n      - targets: ['{exporter}']\n\
             alerting:\n  alertmanagers:\n    - static_configs:\n        - targets: ['127.0.0.1:{notified}']\n",
            rules.display(),
        );
        let config = write(setup, "prometheus.yml", &scrape);
        let mut command = Command::new(programs.0);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", setup.folder().join("prometheus").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{served}"));
        let mut prometheus = Peer::start("prometheus", command, setup.folder());
        prometheus.listens(served).await;
        Some(Self { exported, _prometheus: prometheus, _alertmanager: alertmanager })
    }

    /// From now on the exporter shows this dial beyond its limit.
    pub(super) fn fire(&mut self, dial: &str) {
        *self.exported.lock().unwrap() = format!("dial_value{{dial=\"{dial}\"}} 42\n");
    }

    /// From now on it shows none.
    pub(super) fn calm(&mut self) {
        self.exported.lock().unwrap().clear();
    }
}

const RULES: &str =
    "groups:\n  - name: dial\n    rules:\n      - alert: dial\n        expr: dial_value > 10\n";

fn routes(mail: &Mail, sink: &Sink) -> String {
    format!(
        "global:\n  smtp_smarthost: 'localhost:{}'\n  smtp_from: 'alertmanager@example.test'\n\
         \x20 smtp_auth_username: '{USERNAME}'\n  smtp_auth_password: '{PASSWORD}'\n\
         route:\n  receiver: all\n  group_by: ['...']\n  group_wait: 0s\n  group_interval: 1s\n  repeat_interval: 4h\n\
         receivers:\n  - name: all\n    webhook_configs:\n      - url: '{}'\n        send_resolved: false\n\
         \x20   email_configs:\n      - to: '{DUTY}'\n        send_resolved: false\n\
         \x20       text: '{{{{ range .Alerts }}}}dial {{{{ .Labels.dial }}}} fires{{{{ end }}}}'\n\
         \x20       tls_config:\n          ca_file: '{}'\n",
        mail.starttls,
        sink.url("/theirs"),
        mail.authority().display(),
    )
}

fn write(setup: &Setup, name: &str, text: &str) -> PathBuf {
    let path = setup.folder().join(name);
    fs::write(&path, text).unwrap();
    path
}

/// Serves the text to whoever asks; returns where.
async fn export(text: Arc<Mutex<String>>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let text = Arc::clone(&text);
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                while connection.read(&mut asked).await.is_ok_and(|length| length > 0) {
                    let body = text.lock().unwrap().clone();
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if connection.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
