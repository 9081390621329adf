//! Which rules hold for a server, with its own limits over them.

use std::sync::Arc;

use super::{Limit, NoData, OwnLimit, RuleConfig, Take, Thresholds};
use crate::config::{Selector, ServerConfig, Severity};

/// The rules that hold for `server`, by its name and tags, with its own limits over theirs; then one
/// rule for each metric that it has limits for and no rule judges, with the metric's name.
///
/// What a limit of the server leaves open, its `for`, is as the rule has it. One that gives it is held against each
/// sample, whatever window the rule takes.
pub fn effective_rules(rules: &[RuleConfig], server: &ServerConfig) -> Vec<RuleConfig> {
    let mut effective: Vec<RuleConfig> =
        rules.iter().filter(|rule| rule.holds_for(server)).cloned().collect();
    for (metric, own) in &server.thresholds {
        let about = effective.iter_mut().filter(|rule| rule.metric == *metric);
        let mut about: Vec<&mut RuleConfig> = about.collect();
        if about.is_empty() {
            effective.push(RuleConfig::of_thresholds(metric, own));
        } else {
            put_over(&mut about, own);
        }
    }
    effective
}

/// The same where there are many servers: a rule that holds for several of them as it is, is there once.
pub fn shared_rules(rules: &[Arc<RuleConfig>], server: &ServerConfig) -> Vec<Arc<RuleConfig>> {
    if server.thresholds.is_empty() {
        return rules.iter().filter(|rule| rule.holds_for(server)).cloned().collect();
    }
    let rules: Vec<RuleConfig> = rules.iter().map(|rule| (**rule).clone()).collect();
    effective_rules(&rules, server).into_iter().map(Arc::new).collect()
}

/// Puts the limits of a server over those of `rules`, which are all about one metric.
///
/// A limit replaces that of its severity and its side. Where no rule has one, those get it that
/// have a limit on that side, or else all of them.
pub(super) fn put_over(rules: &mut [&mut RuleConfig], own: &Thresholds) {
    for severity in [Severity::Warning, Severity::Critical] {
        let Some(limit) = own.limit(severity) else { continue };
        let same = |theirs: Option<&Limit>| theirs.is_some_and(|theirs| theirs.side == limit.side);
        let replaced = |rule: &RuleConfig| same(rule.limit(severity));
        let on_its_side =
            |rule: &RuleConfig| same(rule.warning.as_ref()) || same(rule.critical.as_ref());
        let any_replaced = rules.iter().any(|rule| replaced(rule));
        let any_on_its_side = rules.iter().any(|rule| on_its_side(rule));
        for rule in rules.iter_mut() {
            let meant = match (any_replaced, any_on_its_side) {
                (true, _) => replaced(rule),
                (false, true) => on_its_side(rule),
                (false, false) => true,
            };
            if meant {
                rule.set(severity, *limit);
            }
        }
    }
    let patient = [own.warning, own.critical].into_iter().flatten().any(|own| own.hold.is_some());
    for rule in rules {
        rule.clear_for = own.clear_for.unwrap_or(rule.clear_for);
        // Whoever says how long a limit must be breached means the samples themselves, not a mean that comes late.
        if patient {
            (rule.take, rule.over) = (Take::Last, Default::default());
        }
    }
}

impl RuleConfig {
    /// Whether it holds for `server`, by its name and tags.
    pub fn holds_for(&self, server: &ServerConfig) -> bool {
        Selector::choose(&self.servers, &server.name, &server.tags)
    }

    /// A rule that has nothing but the limits of a server.
    fn of_thresholds(metric: &str, own: &Thresholds) -> Self {
        let limit = |limit: Option<OwnLimit>| limit.map(|own| own.or_hold(Default::default()));
        Self {
            name: metric.into(),
            metric: metric.into(),
            labels: Vec::new(),
            servers: Vec::new(),
            take: Take::Last,
            over: Default::default(),
            warning: limit(own.warning),
            critical: limit(own.critical),
            clear_for: own.clear_for.unwrap_or_default(),
            no_data: NoData::Keep,
            summary: None,
            runbook: None,
        }
    }

    fn set(&mut self, severity: Severity, own: OwnLimit) {
        // A severity that is new to the rule takes its `for` from the other one.
        let held = self.limit(severity).or(self.warning.as_ref()).or(self.critical.as_ref());
        let limit = own.or_hold(held.map(|limit| limit.hold).unwrap_or_default());
        match severity {
            Severity::Warning => self.warning = Some(limit),
            Severity::Critical => self.critical = Some(limit),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use std::time::Duration;

    use super::*;
    use crate::config::Config;

    /// The rules that hold for the first server of the file, by name.
    fn effective(text: &str) -> Vec<RuleConfig> {
        let config = Config::parse(text, "b.toml").unwrap();
        effective_rules(&config.rules, &config.servers[0])
    }

    fn find<'r>(rules: &'r [RuleConfig], name: &str) -> &'r RuleConfig {
        rules.iter().find(|rule| rule.name == name).unwrap()
    }

    #[test]
    fn rules_are_chosen_by_name_and_tag() {
        let text = "\
[[rule]]
name = 'prod'
metric = 'x'
servers = ['tag:env=prod']
warning = { above = 1 }
[[rule]]
name = 'web'
metric = 'x'
servers = ['web-*', '!tag:env=dev']
warning = { above = 1 }
[[server]]
name = 'web-1'
tags = { env = 'dev' }
[[server]]
name = 'web-2'
tags = { env = 'prod' }
";
        let config = Config::parse(text, "b.toml").unwrap();
        let held = |at: usize| -> Vec<String> {
            let rules = effective_rules(&config.rules, &config.servers[at]);
            let named = rules.into_iter().filter(|rule| rule.metric == "x");
            named.map(|rule| rule.name).collect()
        };
        assert_eq!(held(0), [""; 0]);
        assert_eq!(held(1), ["prod", "web"]);
    }

    #[test]
    fn a_rule_that_holds_as_it_is_is_shared() {
        let text = "[[server]]\nname = 'a'\nthresholds = { cpu_usage_ratio = { warning = 0.5 } }\n[[server]]\nname = 'b'\n";
        let config = Config::parse(text, "b.toml").unwrap();
        let rules: Vec<_> = config.rules.iter().cloned().map(Arc::new).collect();
        let [own, shared] = [0, 1].map(|at| shared_rules(&rules, &config.servers[at]));
        assert!(shared.iter().zip(&rules).all(|(held, rule)| Arc::ptr_eq(held, rule)));
        let own: Vec<_> = own.iter().map(|rule| (**rule).clone()).collect();
        assert_eq!(own, effective_rules(&config.rules, &config.servers[0]));
    }

    #[test]
    fn a_servers_limit_stands_over_the_rules_and_keeps_its_times() {
        let rules = effective(
            "[[server]]\nname = 'a'\nthresholds = { cpu_usage_ratio = { warning = 0.5 } }",
        );
        let (cpu, default) = (find(&rules, "cpu"), Config::default());
        let built_in = find(&default.rules, "cpu");
        let warning = cpu.warning.unwrap();
        assert_eq!((warning.at, warning.clear), (0.5, 0.5));
        assert_eq!(warning.hold, built_in.warning.unwrap().hold);
        assert_eq!((cpu.critical, cpu.clear_for), (built_in.critical, built_in.clear_for));
        assert_eq!(rules.len(), default.rules.len());

        let own = "{ warning = 0.5, critical = { above = 0.6, for = '2s' }, for = '1s', clear_for = '3s' }";
        let rules =
            effective(&format!("[[server]]\nname = 'a'\nthresholds.cpu_usage_ratio = {own}"));
        let cpu = find(&rules, "cpu");
        let holds = [cpu.warning.unwrap().hold, cpu.critical.unwrap().hold, cpu.clear_for];
        assert_eq!(holds, [1, 2, 3].map(Duration::from_secs));
    }

    #[test]
    fn a_limit_without_a_rule_is_a_rule() {
        let text = "\
[[rule]]
name = 'cpu'
enabled = false
[[server]]
name = 'a'
thresholds = { queue_length = { critical = { below = 1 } }, cpu_usage_ratio = { warning = 0.9 } }
";
        let rules = effective(text);
        let queue = find(&rules, "queue_length");
        assert_eq!((queue.metric.as_str(), queue.warning), ("queue_length", None));
        assert_eq!(queue.critical.unwrap().hold, Duration::ZERO);
        assert!(find(&rules, "cpu_usage_ratio").warning.is_some(), "the rule is switched off");
    }

    #[test]
    fn rules_of_one_metric_share_its_severities_as_they_did() {
        let text = "\
[[rule]]
name = 'soft'
metric = 'x'
warning = { above = 1, for = '1m' }
[[rule]]
name = 'hard'
metric = 'x'
critical = { above = 2 }
[[rule]]
name = 'other'
metric = 'y'
warning = { above = 1, for = '1m' }
[[server]]
name = 'a'
thresholds = { x = { warning = 3, critical = 4 }, y = { critical = 5 } }
";
        let rules = effective(text);
        let at = |name| {
            let rule = find(&rules, name);
            [rule.warning, rule.critical].map(|limit| limit.map(|limit| limit.at))
        };
        assert_eq!(at("soft"), [Some(3.0), None]);
        assert_eq!(at("hard"), [None, Some(4.0)]);
        assert_eq!(at("other"), [Some(1.0), Some(5.0)], "nobody had it");
        assert_eq!(find(&rules, "other").critical.unwrap().hold, Duration::from_secs(60));
    }

    #[test]
    fn a_limit_leaves_the_rule_of_the_other_side_alone() {
        let rules = "[[rule]]
name = 'hot'
metric = 'x'
warning = { above = 30 }
[[rule]]
name = 'cold'
metric = 'x'
warning = { below = 5 }
critical = { below = 0 }
[[server]]
name = 'a'
";
        let limits = |own: &str| {
            let rules = effective(&format!("{rules}thresholds.x = {own}"));
            ["hot", "cold"].map(|name| {
                let rule = find(&rules, name);
                [rule.warning, rule.critical].map(|limit| limit.map(|limit| limit.at))
            })
        };
        let cold = [Some(5.0), Some(0.0)];
        assert_eq!(limits("{ warning = 25 }"), [[Some(25.0), None], cold]);
        assert_eq!(limits("{ critical = 40 }"), [[Some(30.0), Some(40.0)], cold]);
        assert_eq!(
            limits("{ critical = { below = -9 } }"),
            [[Some(30.0), None], [Some(5.0), Some(-9.0)]]
        );
    }
}
