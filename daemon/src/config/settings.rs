//! Plugins' own settings: judged by their schema, and found again in the file.
//!
//! The configuration knows no schema, so a [`Config`] may hold settings that a
//! plugin refuses. Whoever has the schemas brings the judgement, and gets
//! problems with their lines.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::{
    CollectorConfig, Config, Problem,
    section::{element, line_of},
};

impl Config {
    /// What is wrong with the settings of collectors, as `judge` says of each:
    /// the key within the settings, such as `tls.ca_file` or `urls[2]`, and the
    /// reason. `text` is what this configuration was parsed from, which problems
    /// call `file`.
    pub fn judge_settings(
        &self,
        text: &str,
        file: &str,
        mut judge: impl FnMut(&CollectorConfig) -> Vec<(String, String)>,
    ) -> Vec<Problem> {
        let (document, _) = DeTable::parse_recoverable(text);
        let mut problems = Vec::new();
        for (at, server) in self.servers.iter().enumerate() {
            for (inner, collector) in server.collectors.iter().enumerate() {
                let written = element(document.get_ref(), "server", at)
                    .and_then(|server| element(server, "collector", inner));
                for (key, reason) in judge(collector) {
                    let span = written.and_then(|table| place(table, &key)).unwrap_or_default();
                    let line = line_of(text, span.start);
                    let key = format!("server.collector.config.{key}");
                    problems.push(Problem { file: file.into(), line, key, reason });
                }
            }
        }
        problems.sort();
        problems
    }
}

/// The part of a collector's settings that `key` names, as far as it is
/// written: of one that is missing, the table it is missing from.
fn place(collector: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let entry =
        |table: &DeTable<'_>, key: &str| table.get_key_value(key).map(|(name, _)| name.span());
    let mut span = entry(collector, "config").or_else(|| entry(collector, "plugin"))?;
    let mut value = collector.get("config").map(|config| config.get_ref());
    for part in key.split(['.', '[']) {
        match value {
            Some(DeValue::Table(table)) => {
                span = entry(table, part).unwrap_or(span);
                value = table.get(part).map(|value| value.get_ref());
            }
            Some(DeValue::Array(elements)) => {
                let at = part.trim_end_matches(']').parse().unwrap_or(usize::MAX);
                let element = elements.get(at);
                span = element.map_or(span, |element| element.span());
                value = element.map(|element| element.get_ref());
            }
            _ => break,
        }
    }
    Some(span)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn a_setting_is_found_where_it_is_written() {
        let text = "\
[[server]]
name = 'web-1'
[[server]]
name = 'web-2'
[[server.collector]]
plugin = 'load'
[[server.collector]]
plugin = 'nginx'
[server.collector.config]
tls = { verfy = true }
urls = [
    'http://a',
    'b',
]
";
        let config = Config::parse(text, "b.toml").unwrap();
        let problems = config.judge_settings(text, "b.toml", |collector| {
            let keys: &[&str] = match collector.name.as_str() {
                "load" => &["procfs"],
                _ => &["tls.verfy", "urls[1]", "port", "urls[7]"],
            };
            keys.iter().map(|key| (key.to_string(), "is wrong".to_string())).collect()
        });

        let said: Vec<_> = problems.iter().map(|problem| problem.to_string()).collect();
        assert_eq!(
            said,
            [
                "b.toml:6: server.collector.config.procfs: is wrong",
                "b.toml:9: server.collector.config.port: is wrong",
                "b.toml:10: server.collector.config.tls.verfy: is wrong",
                "b.toml:11: server.collector.config.urls[7]: is wrong",
                "b.toml:13: server.collector.config.urls[1]: is wrong",
            ]
        );
    }
}
