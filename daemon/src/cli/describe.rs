//! What a plugin says of itself, for people.

use std::time::Duration;

use bartizan_plugin::manifest::{Kind, Manifest, Metric, Needs};
use humantime::format_duration;
use serde_json::Value;

use super::table;

/// A manifest in words: identity, then settings, then metrics.
pub(super) fn describe(manifest: &Manifest) -> String {
    let Manifest { id, name, version, authors, license, description, abi, .. } = manifest;
    let or_default = |duration: Option<Duration>| {
        duration
            .map_or_else(|| "the daemon's".into(), |duration| format_duration(duration).to_string())
    };
    let Needs { read, connect, exec, caps } = &manifest.needs;
    let needs: Vec<&str> =
        [read, connect, exec, caps].into_iter().flatten().map(String::as_str).collect();
    let facts = [
        ("id", id.clone()),
        ("version", version.clone()),
        ("authors", authors.join(", ")),
        ("license", license.clone()),
        ("abi", format!("{}.{}", abi.major, abi.min_minor)),
        ("interval", or_default(manifest.interval)),
        ("timeout", or_default(manifest.timeout)),
        ("needs", needs.join(", ")),
    ];
    let facts: Vec<Vec<String>> = facts
        .into_iter()
        .filter(|(_, fact)| !fact.is_empty())
        .map(|(name, fact)| vec![format!("  {name}"), fact])
        .collect();
    let mut text = format!("{name}: {description}\n{}", table::columns(&facts, false));
    let settings = settings(&manifest.config_schema, "");
    if !settings.is_empty() {
        text.push_str(&format!("\nSettings\n{}", table::columns(&settings, false)));
    }
    let metrics: Vec<Vec<String>> = manifest.metrics.iter().map(metric).collect();
    text.push_str(&format!("\nMetrics\n{}", table::columns(&metrics, false)));
    text
}

fn metric(metric: &Metric) -> Vec<String> {
    let Metric { name, kind, unit, labels, help, .. } = metric;
    let kind = match kind {
        Kind::Gauge => "gauge",
        Kind::Counter => "counter",
    };
    let labels =
        if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    vec![format!("  {name}{labels}"), kind.into(), unit.clone(), help.clone()]
}

/// A line for each setting: name, type, whether it must be given or what it is otherwise, meaning.
fn settings(schema: &Value, above: &str) -> Vec<Vec<String>> {
    let required = |name: &str| {
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        names.filter_map(Value::as_str).any(|required| required == name)
    };
    let word = |setting: &Value, key: &str| {
        setting.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut lines = Vec::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, setting) in properties.into_iter().flatten() {
        let path = format!("{above}{name}");
        let given = match setting.get("default") {
            Some(default) => format!("default {default}"),
            None if required(name) => "required".into(),
            None => String::new(),
        };
        let meaning = word(setting, "description");
        lines.push(vec![format!("  {path}"), word(setting, "type"), given, meaning]);
        // Manifests are bounded, and so is their depth: serde_json reads 128 levels at most.
        lines.extend(self::settings(setting, &format!("{path}.")));
    }
    lines
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn a_manifest_is_told_in_words() {
        let manifest = Manifest::parse(
            br#"{"abi": {"major": 1, "min_minor": 0}, "id": "org.example.nginx", "name": "nginx",
                "version": "1.2.0", "authors": ["A <a@example.org>"], "license": "MIT",
                "description": "nginx stub_status", "interval": "10s", "needs": {"connect": ["tcp:80"]},
                "config_schema": {"type": "object", "required": ["url"], "properties": {
                    "url": {"type": "string", "format": "uri"},
                    "tls": {"type": "object", "properties": {"verify": {"type": "boolean", "default": true}}}}},
                "metrics": [{"name": "nginx_connections_active", "kind": "gauge", "unit": "connections",
                    "labels": ["port"], "help": "Open client connections"}]}"#,
        )
        .unwrap();
        assert_eq!(
            describe(&manifest),
            "nginx: nginx stub_status
  id        org.example.nginx
  version   1.2.0
  authors   A <a@example.org>
  license   MIT
  abi       1.0
  interval  10s
  timeout   the daemon's
  needs     tcp:80

Settings
  tls         object
  tls.verify  boolean  default true
  url         string   required

Metrics
  nginx_connections_active{port}  gauge  connections  Open client connections
"
        );
    }
}
