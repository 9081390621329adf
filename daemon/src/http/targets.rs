//! Where samples go besides the store: how that looks in JSON and among the daemon's own metrics.

use serde::Serialize;

use super::metrics::Text;

/// Where samples go besides the store, and how that goes. Counts are since the daemon's start.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Target {
    /// What it is called.
    pub name: String,
    /// Where it can be reached.
    pub urls: Vec<String>,
    /// Where it is written to.
    pub url: String,
    /// In which version of remote write.
    pub protocol: &'static str,
    /// `starting`, `sending`, `waiting` or `held`.
    pub state: &'static str,
    /// Since when.
    pub since_ms: i64,
    /// Age of the oldest sample that it has not taken.
    pub lag_seconds: f64,
    /// Bytes of the log that it has not taken.
    pub lag_bytes: u64,
    /// Samples that it has taken.
    pub sent: u64,
    /// Requests that were answered with success.
    pub requests: u64,
    /// Samples that it had already, and has refused to take again.
    pub known: u64,
    /// Samples that it has refused for good.
    pub refused: u64,
    /// How often samples were deleted before they could be sent.
    pub lost: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// When it last took something.
    pub acknowledged_ms: Option<i64>,
    /// What went wrong last.
    pub error: Option<String>,
    /// When.
    pub error_ms: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct TargetsView {
    pub(super) targets: Vec<Target>,
}

/// Writes what there is to measure of each target.
pub(super) fn measure(text: &mut Text, targets: &[Target]) {
    let mut family = |name: &str, kind: &str, help: &str, of: &dyn Fn(&Target) -> f64| {
        text.family(name, kind, help);
        let sample = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        for target in targets {
            // A name has no sign that must be escaped.
            text.sample(&sample, &format!("{{target=\"{}\"}}", target.name), of(target));
        }
    };
    let count = |count: u64| count as f64;
    let help = "Samples that a target has taken.";
    family("bartizan_forward_samples", "counter", help, &|target| count(target.sent));
    let help = "Samples that a target had already, and has refused to take again.";
    family("bartizan_forward_known_samples", "counter", help, &|target| count(target.known));
    let help = "Samples that a target has refused for good.";
    family("bartizan_forward_refused_samples", "counter", help, &|target| count(target.refused));
    let help = "How often samples were deleted before a target had taken them.";
    family("bartizan_forward_losses", "counter", help, &|target| count(target.lost));
    let help = "Requests that a target has answered with success.";
    family("bartizan_forward_requests", "counter", help, &|target| count(target.requests));
    let help = "Attempts that failed.";
    family("bartizan_forward_failures", "counter", help, &|target| count(target.failures));
    let help = "Age of the oldest sample that a target has not taken.";
    family("bartizan_forward_lag_seconds", "gauge", help, &|target| target.lag_seconds);
    let help = "Bytes of the store's log that a target has not taken.";
    family("bartizan_forward_lag_bytes", "gauge", help, &|target| count(target.lag_bytes));
    let help = "Whether a target takes samples at present.";
    let takes = |target: &Target| f64::from(u8::from(target.state == "sending"));
    family("bartizan_forward_up", "gauge", help, &takes);
}
