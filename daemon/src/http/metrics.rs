//! What the daemon counts of itself, as OpenMetrics text.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    alert::messages::{AlertStats, WayView},
    fleet::FleetStats,
    history::PastStats,
    ingest::summary::Totals,
    live::LiveStats,
    supervision::NodeView,
};

use super::{
    messages::{HistoryStats, Target},
    targets,
};

/// What scrapers are told that the text is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What http itself counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: Mutex<BTreeMap<u16, u64>>,
    /// Connections that are open.
    pub(super) connections: AtomicU64,
    /// Connections that were accepted.
    pub(super) accepted: AtomicU64,
    /// Connections that were closed at once because there were too many.
    pub(super) refused: AtomicU64,
    /// Connections that were closed at once because their address had too many without a right.
    pub(super) refused_strangers: AtomicU64,
    /// Connections by TLS that did not come about.
    pub(super) failed_handshakes: AtomicU64,
    /// Viewers that were closed because they did not take their frames.
    pub(super) slow_viewers: AtomicU64,
    /// Viewers that were closed because of what they sent.
    pub(super) bad_viewers: AtomicU64,
}

impl Counters {
    /// Counts an answer.
    pub(super) fn count_request(&self, status: u16) {
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() +=
            1;
    }
}

/// What the text is made of.
pub(super) struct Facts<'a> {
    pub(super) version: &'a str,
    pub(super) uptime_seconds: f64,
    pub(super) history: HistoryStats,
    pub(super) live: LiveStats,
    pub(super) alerts: AlertStats,
    pub(super) targets: &'a [Target],
    pub(super) ingest: Totals,
    pub(super) fleet: FleetStats,
    pub(super) counters: &'a Counters,
    pub(super) certificate_ends_ms: Option<i64>,
    pub(super) wrong_tokens: u64,
    pub(super) tree: &'a NodeView,
}

/// The text.
pub(super) fn text(facts: &Facts<'_>) -> String {
    let Facts { version, history, live, fleet, counters, .. } = facts;
    let mut text = Text(String::with_capacity(4096));
    text.family("bartizan_build", "info", "Which program this is.");
    text.sample("bartizan_build_info", &format!("{{version=\"{version}\"}}"), 1);
    text.gauge("bartizan_uptime_seconds", "Time since the start.", facts.uptime_seconds);
    text.counter("bartizan_store_samples", "Samples stored.", history.samples);
    text.counter("bartizan_store_dropped_samples", "Samples lost.", history.dropped);
    text.gauge("bartizan_store_sealed_samples", "Samples in segments.", history.sealed);
    text.gauge("bartizan_store_size_bytes", "Size of the state folder.", history.bytes);
    let help = "Samples that wait for the disk.";
    text.gauge("bartizan_store_waiting_bytes", help, history.waiting_bytes);
    let help = "1 while the disk fails, is full or nearly so, else 0.";
    text.gauge("bartizan_store_degraded", help, u8::from(history.is_degraded));
    let rest = history.bytes.saturating_sub(history.bytes_log + history.bytes_segments);
    text.family("bartizan_store_part_bytes", "gauge", "Size of the state folder, by part.");
    let parts = [("log", history.bytes_log), ("segments", history.bytes_segments), ("rest", rest)];
    for (part, bytes) in parts {
        text.sample("bartizan_store_part_bytes", &format!("{{part=\"{part}\"}}"), bytes);
    }
    if let Some(PastStats { asked, failed, seconds }) = history.others {
        let help = "Questions to those of [history] about what is older than the store.";
        text.counter("bartizan_history_questions", help, asked);
        let help = "Those of them that had no whole answer, or none in time.";
        text.counter("bartizan_history_failed_questions", help, failed);
        text.counter("bartizan_history_seconds", "Time waited for answers to them.", seconds);
    }
    text.gauge("bartizan_live_viewers", "Viewers that are connected.", live.viewers);
    text.gauge("bartizan_live_topics", "Topics that are kept up to date.", live.topics);
    let help = "Ticks that the slowest viewer is behind.";
    text.gauge("bartizan_live_worst_lag_ticks", help, live.worst_lag_ticks);
    let help = "Updates lost because the live view had fallen behind.";
    text.counter("bartizan_live_dropped_updates", help, live.dropped);
    let help = "Updates about a server whose status is not known.";
    text.counter("bartizan_live_unplaced_updates", help, live.unplaced);

    text.gauge("bartizan_fleet_servers", "Servers that are watched.", fleet.servers);
    let help = "Samples stored, but neither judged nor shown: their server had fallen behind.";
    text.counter("bartizan_fleet_dropped_samples", help, fleet.dropped_samples);
    let help = "Samples stored, but neither judged nor shown: there are too many servers.";
    text.counter("bartizan_fleet_refused_samples", help, fleet.refused_samples);

    text.gauge("bartizan_alert_incidents", "Incidents that last.", facts.alerts.open);
    let help = "Times that a server had to offer its transitions again because alerts were busy.";
    text.counter("bartizan_alert_refused_updates", help, facts.alerts.refused);
    text.family("bartizan_alert_notices", "gauge", "Notices that are kept, by way and progress.");
    for WayView { way, count, .. } in &facts.alerts.ways {
        for (progress, count) in count {
            let labels = format!("{{way=\"{}\",progress=\"{progress}\"}}", way.name());
            text.sample("bartizan_alert_notices", &labels, count);
        }
    }

    if !facts.targets.is_empty() {
        targets::measure(&mut text, facts.targets);
    }
    let Totals { requests, stored, known, stale, refused } = facts.ingest;
    text.counter("bartizan_ingest_requests", "Requests of writers.", requests);
    text.counter("bartizan_ingest_stored_samples", "Samples of writers stored.", stored);
    let help = "Samples of writers that had been stored before.";
    text.counter("bartizan_ingest_known_samples", help, known);
    let help = "Samples of writers that said that their series has ended.";
    text.counter("bartizan_ingest_stale_markers", help, stale);
    let help = "Samples and requests of writers that were refused, by reason.";
    text.family("bartizan_ingest_refused", "counter", help);
    for (reason, times) in refused.iter() {
        let labels = format!("{{reason=\"{}\"}}", reason.code());
        text.sample("bartizan_ingest_refused_total", &labels, times);
    }

    text.family("bartizan_http_requests", "counter", "Requests, by status of the answer.");
    for (status, count) in &*counters.requests.lock().unwrap_or_else(PoisonError::into_inner) {
        text.sample("bartizan_http_requests_total", &format!("{{status=\"{status}\"}}"), count);
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    text.gauge("bartizan_http_connections", "Connections.", count(&counters.connections));
    let help = "Connections accepted.";
    text.counter("bartizan_http_accepted_connections", help, count(&counters.accepted));
    let help = "Connections closed at once because there were too many.";
    text.counter("bartizan_http_refused_connections", help, count(&counters.refused));
    let help = "Connections closed unheard because their address had too many without a right.";
    text.counter("bartizan_http_refused_strangers", help, count(&counters.refused_strangers));
    let help = "Connections by TLS that did not come about.";
    text.counter("bartizan_http_failed_handshakes", help, count(&counters.failed_handshakes));
    if let Some(ends_ms) = facts.certificate_ends_ms {
        let help = "When the certificate of http.tls ends, in seconds since 1970.";
        let name = "bartizan_http_certificate_end_timestamp_seconds";
        text.gauge(name, help, ends_ms as f64 / 1000.0);
    }
    let help = "Requests with a token that is none of ours, or no longer.";
    text.counter("bartizan_enrol_wrong_tokens", help, facts.wrong_tokens);
    let help = "Viewers closed because they did not take their frames.";
    text.counter("bartizan_http_slow_viewers", help, count(&counters.slow_viewers));
    let help = "Viewers closed because of what they sent.";
    text.counter("bartizan_http_bad_viewers", help, count(&counters.bad_viewers));

    let help = "Starts after the first, of those in the tree, by kind.";
    text.family("bartizan_supervision_restarts", "counter", help);
    let mut restarts = BTreeMap::new();
    count_restarts(facts.tree, &mut restarts);
    for (kind, count) in restarts {
        text.sample("bartizan_supervision_restarts_total", &format!("{{kind=\"{kind}\"}}"), count);
    }
    if let Some(seconds) = cpu_seconds() {
        text.counter("process_cpu_seconds", "CPU time used, by the daemon itself.", seconds);
    }
    if let Some(bytes) = resident_bytes() {
        text.gauge("process_resident_memory_bytes", "Memory in use, by the daemon itself.", bytes);
    }
    text.0.push_str("# EOF\n");
    text.0
}

/// OpenMetrics text in the making.
pub(super) struct Text(String);

impl Text {
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}");
    }

    pub(super) fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, "gauge", help);
        self.sample(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, "counter", help);
        self.sample(&format!("{name}_total"), "", value);
    }
}

fn count_restarts(node: &NodeView, restarts: &mut BTreeMap<&'static str, u64>) {
    *restarts.entry(node.kind).or_default() += node.restarts;
    node.children.iter().for_each(|child| count_restarts(child, restarts));
}

/// User and system time of this process: proc(5), fields 14 and 15 of `stat`.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Resident pages of this process: proc(5), field 2 of `statm`.
fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
