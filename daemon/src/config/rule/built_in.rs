//! The rules that hold where nobody says otherwise, in the file's own grammar.

use std::sync::LazyLock;

use super::RuleConfig;
use crate::config::section::Reader;

const TEXT: &str = include_str!("../builtin_rules.toml");

static RULES: LazyLock<Vec<RuleConfig>> = LazyLock::new(|| {
    let mut reader = Reader::new(TEXT, "builtin_rules.toml");
    reader.read(|file| RuleConfig::read_all(file, &[]))
});

/// The rules that are built in.
pub(in crate::config) fn built_in_rules() -> &'static [RuleConfig] {
    &RULES
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use std::time::Duration;

    use super::*;
    use crate::config::{COLLECTOR_STATE, Config, SERVER_STATE, STORE_STATE, Severity};

    #[test]
    fn they_stand_as_the_file_could_give_them() {
        let mut reader = Reader::new(TEXT, "builtin_rules.toml");
        let rules = reader.read(|file| RuleConfig::read_all(file, &[]));
        assert_eq!(reader.problems(), []);
        assert_eq!(rules, Config::default().rules);
        let names: Vec<_> = rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "cpu",
                "memory",
                "disk",
                "network-saturation",
                "network-receive-errors",
                "network-transmit-errors",
                "collector-silent",
                "store",
                "server-offline"
            ]
        );
    }

    /// A burst of work pages nobody.
    #[test]
    fn what_is_measured_must_last_minutes() {
        let judged = [COLLECTOR_STATE, SERVER_STATE, STORE_STATE];
        let measured = |rule: &&RuleConfig| !judged.contains(&&*rule.metric);
        for rule in built_in_rules().iter().filter(measured) {
            for limit in
                [Severity::Warning, Severity::Critical].iter().filter_map(|s| rule.limit(*s))
            {
                assert!(limit.hold >= Duration::from_secs(60), "{}", rule.name);
                assert!(limit.clear != limit.at, "{}: flutters at its limit", rule.name);
            }
        }
    }

    #[test]
    fn one_is_replaced_or_switched_off_by_its_name() {
        let text = "\
[[rule]]
name = 'cpu'
metric = 'cpu_core_usage_ratio'
critical = { above = 0.5 }
[[rule]]
name = 'memory'
enabled = false
[[rule]]
name = 'mine'
metric = 'x'
warning = { below = 1 }
[[rule]]
name = 'not-now'
enabled = false
metric = 'x'
warning = { below = 1 }
";
        let rules = Config::parse(text, "b.toml").unwrap().rules;
        let names: Vec<_> = rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!((names[0], names[1], *names.last().unwrap()), ("cpu", "disk", "mine"));
        assert_eq!(rules.len(), built_in_rules().len());
        assert_eq!(rules[0].metric, "cpu_core_usage_ratio");
        assert_eq!(rules[0].warning, None, "replaced as a whole");
    }
}
