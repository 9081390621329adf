//! Whose a series is, from its labels. Pure.
//!
//! The label `server` (else `instance` without its port) names the server, `collector` (else `job`, else how it came)
//! the collector. Both are taken out of the labels; `instance` and `job` stay.
//!
//! Exporters have labels called `collector` of their own (node_exporter does), whose series would be one without
//! them. One is believed to be ours only beside a `server`, and beside no other `job`; any other is called
//! `exported_collector`, as Prometheus renames what is in its way.

use super::refusal::{Reason, Refusal};
use crate::series::check_server_name;

/// Longest name of a collector, in bytes.
const COLLECTOR_MAX: usize = 128;

/// What the label of a metric's name is called.
const METRIC: &str = "__name__";

/// How series come whose labels somebody else has made.
pub(super) const REMOTE_WRITE: &str = "write";

/// How many labels, and of which length, a series may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LabelLimits {
    /// On one series, its name among them.
    pub(super) count: usize,
    /// Longest name, in bytes; a metric's name too.
    pub(super) name: usize,
    /// Longest value, in bytes.
    pub(super) value: usize,
}

/// Whose a series is, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity<'a> {
    /// Name of the server.
    pub(super) server: &'a str,
    /// Name of the collector.
    pub(super) collector: &'a str,
    /// Name of the metric.
    pub(super) metric: &'a str,
}

/// Reads who a series is off its labels, and leaves in `labels` what tells it from the others of its metric, sorted.
pub(super) fn identify<'a>(
    labels: &mut Vec<(&'a str, &'a str)>,
    way: &'static str,
    limits: LabelLimits,
) -> Result<Identity<'a>, Refusal> {
    // A label without a value is no label.
    labels.retain(|(_, value)| !value.is_empty());
    check(labels, limits)?;
    if way == REMOTE_WRITE {
        set_aside(labels);
    }
    labels.sort_unstable();
    if let Some([(name, _), _]) = labels.array_windows().find(|[(a, _), (b, _)]| a == b) {
        let detail = format!("the label `{name}` stands twice on {}", shown(labels));
        return Err(Refusal::new(Reason::BadLabels, detail));
    }
    let find = |wanted: &str| labels.iter().find(|(name, _)| *name == wanted).map(|(_, v)| *v);
    let Some(metric) = find(METRIC) else {
        let detail = format!("a series has no name (label `{METRIC}`): {}", shown(labels));
        return Err(Refusal::new(Reason::BadLabels, detail));
    };
    let server = find("server").or_else(|| find("instance").map(without_port));
    let Some(server) = server.filter(|name| !name.is_empty()) else {
        let detail =
            format!("{} is nobody's: give it a label `server` or `instance`", shown(labels));
        return Err(Refusal::new(Reason::BadServer, detail));
    };
    let collector = find("collector").or_else(|| find("job")).unwrap_or(way);
    check_server(server)?;
    check_collector(collector)?;
    labels.retain(|(name, _)| ![METRIC, "server", "collector"].contains(name));
    Ok(Identity { server, collector, metric })
}

/// Renames a `collector` that is not ours.
fn set_aside(labels: &mut [(&str, &str)]) {
    let find = |wanted: &str| labels.iter().find(|(name, _)| *name == wanted).map(|(_, v)| *v);
    let collector = find("collector");
    let is_ours = find("server").is_some() && find("job").is_none_or(|job| Some(job) == collector);
    let is_taken = find("exported_collector").is_some();
    if !is_ours && let Some((name, _)) = labels.iter_mut().find(|(name, _)| *name == "collector") {
        *name = if is_taken { "exported_exported_collector" } else { "exported_collector" };
    }
}

fn check(labels: &[(&str, &str)], limits: LabelLimits) -> Result<(), Refusal> {
    let LabelLimits { count, name: name_max, value: value_max } = limits;
    if labels.len() > count {
        let (there, shown) = (labels.len(), shown(labels));
        let detail =
            format!("{shown} has {there} labels, at most {count} are allowed (ingest.max_labels)");
        return Err(Refusal::new(Reason::Labels, detail));
    }
    for (name, value) in labels {
        let longest = if *name == METRIC { name_max } else { value_max };
        if name.len() > name_max || value.len() > longest {
            let detail = format!(
                "the label `{}` is too long: names may have {name_max} bytes, values {value_max}, \
                 and a metric's name {name_max}",
                cut(name)
            );
            return Err(Refusal::new(Reason::LabelLength, detail));
        }
        if name.is_empty() || name.contains(char::is_control) {
            let detail = format!("a label is called `{}`", name.escape_debug());
            return Err(Refusal::new(Reason::BadLabels, detail));
        }
        if *name == METRIC && value.contains(char::is_control) {
            let detail = format!("a metric is called `{}`", value.escape_debug());
            return Err(Refusal::new(Reason::BadLabels, detail));
        }
    }
    Ok(())
}

fn check_server(server: &str) -> Result<(), Refusal> {
    check_server_name(server)
        .map_err(|reason| Refusal::new(Reason::BadServer, format!("the server's name {reason}")))
}

fn check_collector(collector: &str) -> Result<(), Refusal> {
    let has_fine_length = (1..=COLLECTOR_MAX).contains(&collector.len());
    if has_fine_length && !collector.contains(char::is_control) && !collector.contains('~') {
        return Ok(());
    }
    let detail = format!(
        "the collector `{}` must have 1 to {COLLECTOR_MAX} bytes, no control characters, and no `~`",
        cut(collector).escape_debug()
    );
    Err(Refusal::new(Reason::BadLabels, detail))
}

/// `web-1` of `web-1:9100`, `::1` of `[::1]:9100`; what has no port stays as it is.
fn without_port(instance: &str) -> &str {
    let host = match instance.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            // An address of IPv6 without brackets ends in digits too.
            if host.contains(':') && !host.ends_with(']') { instance } else { host }
        }
        _ => instance,
    };
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// A series as people write it, cut short.
fn shown(labels: &[(&str, &str)]) -> String {
    let metric = labels.iter().find(|(name, _)| *name == METRIC).map_or("", |(_, value)| value);
    let others = labels.iter().filter(|(name, _)| *name != METRIC).take(8);
    let others: Vec<String> =
        others.map(|(name, value)| format!("{}={:?}", cut(name), cut(value))).collect();
    format!("{}{{{}}}", cut(metric), others.join(","))
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(64)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    const LIMITS: LabelLimits = LabelLimits { count: 6, name: 20, value: 200 };

    #[test]
    fn server_and_collector_come_from_the_labels() {
        let labels =
            [("server", "web-1"), ("collector", "cpu"), ("__name__", "load1"), ("core", "0")];
        let (identity, left) = identified(&labels).unwrap();
        assert_eq!(
            (identity.server, identity.collector, identity.metric),
            ("web-1", "cpu", "load1")
        );
        assert_eq!(left, [("core", "0")]);

        let labels = [("job", "node"), ("instance", "db:9100"), ("__name__", "up"), ("x", "")];
        let (identity, left) = identified(&labels).unwrap();
        assert_eq!((identity.server, identity.collector), ("db", "node"));
        assert_eq!(left, [("instance", "db:9100"), ("job", "node")]);

        let (identity, _) = identified(&[("instance", "db"), ("__name__", "up")]).unwrap();
        assert_eq!(identity.collector, "write");
    }

    #[test]
    fn a_collector_of_the_exporter_is_no_collector_of_ours() {
        let arp = [
            ("__name__", "seconds"),
            ("collector", "arp"),
            ("instance", "db:9100"),
            ("job", "node"),
        ];
        let (identity, left) = identified(&arp).unwrap();
        assert_eq!((identity.server, identity.collector), ("db", "node"));
        let expected = [("exported_collector", "arp"), ("instance", "db:9100"), ("job", "node")];
        assert_eq!(left, expected);
        // The same by way of another hub.
        let mut relayed = expected.to_vec();
        relayed.extend([("__name__", "seconds"), ("server", "db"), ("collector", "node")]);
        let (identity, left) = identified(&relayed).unwrap();
        assert_eq!((identity.server, identity.collector), ("db", "node"));
        assert_eq!(left, expected);
    }

    #[test]
    fn an_instance_loses_its_port_and_nothing_else() {
        assert_eq!(without_port("10.0.0.5:9100"), "10.0.0.5");
        assert_eq!(without_port("[::1]:9100"), "::1");
        assert_eq!(without_port("fe80::1"), "fe80::1");
        assert_eq!(without_port("https://example.org/x"), "https://example.org/x");
        assert_eq!(without_port("db-1"), "db-1");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |labels: &[(&'static str, &'static str)], reason, words: &str| {
            let refusal = identified(labels).unwrap_err();
            assert_eq!(refusal.reason, reason);
            assert!(refusal.detail.contains(words), "{refusal}");
        };
        refused(&[("__name__", "up")], Reason::BadServer, "label `server`");
        refused(&[("server", "a")], Reason::BadLabels, "no name");
        let twice = [("__name__", "up"), ("server", "a"), ("x", "1"), ("x", "2")];
        refused(&twice, Reason::BadLabels, "`x` stands twice on up{");
        refused(&[("__name__", "up"), ("server", "a\n")], Reason::BadServer, "name is `a\\n`");
        refused(&[("__name__", "up"), ("server", "a*")], Reason::BadServer, "no `*`");
        let tilde = [("__name__", "up"), ("server", "a"), ("job", "a~2")];
        refused(&tilde, Reason::BadLabels, "`~`");
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        refused(&names.map(|name| (name, "1")), Reason::Labels, "at most 6");
        refused(&[("a_name_of_twenty_one_", "1")], Reason::LabelLength, "20 bytes");
    }

    type Identified<'a> = (Identity<'a>, Vec<(&'a str, &'a str)>);

    fn identified<'a>(labels: &[(&'a str, &'a str)]) -> Result<Identified<'a>, Refusal> {
        let mut labels = labels.to_vec();
        identify(&mut labels, "write", LIMITS).map(|identity| (identity, labels))
    }
}
