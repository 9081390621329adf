//! A plan in the words of the Prometheus query API. Pure.
//!
//! Series are found by the names under which this node forwards them: `__name__`, `server`, and the labels of their own,
//! of which one called `server` or `collector` goes by as `exported_server` or `exported_collector`.

use super::plan::{Form, Plan};
use crate::store::messages::Query;

/// One request: what comes behind `/api/v1/`, and what it is asked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: &'static str,
    pub(super) pairs: Vec<(&'static str, String)>,
}

/// The requests of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Requests {
    /// One, for values that are mean, smallest and largest at once.
    One(Request),
    /// Mean, smallest, largest.
    Three([Request; 3]),
}

impl Requests {
    /// Those of `plan`; `None` if no series there can be what `query` means.
    pub(super) fn of(plan: &Plan, query: &Query) -> Option<Self> {
        let selector = selector(query)?;
        Some(match (plan.form, plan.rate) {
            (Form::Samples, rate) => {
                // A rate needs the sample before the first.
                let before_ms = if rate { 3 * i64::from(plan.interval_ms) } else { 0 };
                let span_ms = plan.to_ms.saturating_sub(plan.from_ms).saturating_add(before_ms);
                // Both ends of a stretch may count; times are whole milliseconds.
                let time = seconds(plan.to_ms.saturating_sub(1));
                let pairs = vec![("query", format!("{selector}[{span_ms}ms]")), ("time", time)];
                Self::One(Request { path: "query", pairs })
            }
            (Form::Buckets(step_ms), true) => {
                Self::One(range(plan, step_ms, format!("rate({selector}[{step_ms}ms])")))
            }
            (Form::Buckets(step_ms), false) => {
                let over = ["avg_over_time", "min_over_time", "max_over_time"];
                Self::Three(
                    over.map(|over| {
                        range(plan, step_ms, format!("{over}({selector}[{step_ms}ms])"))
                    }),
                )
            }
        })
    }
}

/// Asks of each stretch at its last millisecond, so that it holds what lies within it and nothing else. Stretches stand
/// on the clock, as those of the store do.
fn range(plan: &Plan, step_ms: i64, query: String) -> Request {
    let last_of = |at_ms: i64| at_ms - at_ms.rem_euclid(step_ms) + step_ms - 1;
    let (first, last) = (last_of(plan.from_ms), last_of(plan.to_ms - 1));
    let pairs = vec![
        ("query", query),
        ("start", seconds(first)),
        ("end", seconds(last)),
        ("step", seconds(step_ms)),
        // VictoriaMetrics moves the ends otherwise.
        ("nocache", "1".into()),
    ];
    Request { path: "query_range", pairs }
}

/// The label under which others have it.
pub(super) fn outside(label: &str) -> &str {
    match label {
        "server" => "exported_server",
        "collector" => "exported_collector",
        label => label,
    }
}

/// The label as it is called here.
pub(super) fn inside(label: &str) -> &str {
    match label {
        "exported_server" => "server",
        "exported_collector" => "collector",
        label => label,
    }
}

fn selector(query: &Query) -> Option<String> {
    let fixed = [("__name__", &query.metric), ("server", &query.server)];
    let own = query.labels.iter().map(|(name, value)| (outside(name), value));
    let mut matchers = Vec::new();
    for (name, value) in fixed.into_iter().chain(own) {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty()
            || name.starts_with(|c: char| c.is_ascii_digit())
            || !name.chars().all(fits)
        {
            return None;
        }
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        matchers.push(format!("{name}=\"{value}\""));
    }
    Some(format!("{{{}}}", matchers.join(",")))
}

/// Milliseconds as seconds with three decimals.
fn seconds(milliseconds: i64) -> String {
    let sign = if milliseconds < 0 { "-" } else { "" };
    let whole = milliseconds.unsigned_abs();
    format!("{sign}{}.{:03}", whole / 1000, whole % 1000)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    fn query(labels: &[(&str, &str)]) -> Query {
        Query {
            server: "web \"1\"".into(),
            metric: "disk_usage_ratio".into(),
            labels: labels.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            from_ms: 1_000_500,
            to_ms: 5_000_000,
            points: None,
            raw: false,
            stats: Vec::new(),
        }
    }

    fn plan(form: Form, rate: bool) -> Plan {
        Plan { from_ms: 1_000_500, to_ms: 1_130_000, form, rate, interval_ms: 10_000 }
    }

    fn pairs(request: &Request) -> Vec<String> {
        request.pairs.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    const SELECTOR: &str = r#"{__name__="disk_usage_ratio",server="web \"1\"",mount="/"}"#;

    #[test]
    fn a_stretch_is_asked_of_at_its_last_millisecond() {
        let query = query(&[("mount", "/")]);
        let Some(Requests::Three(three)) =
            Requests::of(&plan(Form::Buckets(60_000), false), &query)
        else {
            panic!("a gauge has three values");
        };
        assert_eq!(
            pairs(&three[1]),
            [
                &format!("query=min_over_time({SELECTOR}[60000ms])"),
                "start=1019.999",
                "end=1139.999",
                "step=60.000",
                "nocache=1",
            ]
        );
        let rate = Requests::of(&plan(Form::Buckets(60_000), true), &query).unwrap();
        let Requests::One(rate) = rate else { panic!("a rate has one value") };
        assert_eq!(pairs(&rate)[0], format!("query=rate({SELECTOR}[60000ms])"));
        assert_eq!(rate.path, "query_range");
    }

    #[test]
    fn samples_are_asked_for_as_they_are_and_a_rate_needs_one_more() {
        let query = query(&[("mount", "/")]);
        let asked = |rate| match Requests::of(&plan(Form::Samples, rate), &query) {
            Some(Requests::One(request)) => pairs(&request),
            other => panic!("{other:?}"),
        };
        assert_eq!(asked(false), [&format!("query={SELECTOR}[129500ms]"), "time=1129.999"]);
        assert_eq!(asked(true), [&format!("query={SELECTOR}[159500ms]"), "time=1129.999"]);
    }

    #[test]
    fn a_label_is_asked_for_by_its_name_outside_and_no_label_is_code() {
        let found = |labels: &[(&str, &str)]| selector(&query(labels));
        assert!(found(&[("server", "nas")]).unwrap().ends_with(r#",exported_server="nas"}"#));
        assert_eq!(found(&[("a\"} or up{b", "x")]), None);
        assert_eq!(found(&[("1a", "x")]), None);
        assert!(found(&[("a", "x\n\\\"}")]).unwrap().ends_with(r#",a="x\n\\\"}"}"#));
        assert_eq!([inside("exported_collector"), inside("mount")], ["collector", "mount"]);
    }
}
