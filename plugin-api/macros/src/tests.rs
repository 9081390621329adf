//! What the macros refuse, and in which words.
#![expect(clippy::unwrap_used, reason = "a test that fails says so by panicking")]

use crate::{config, plugin};

/// What `plugin!` says of this.
fn plugin_error(text: &str) -> String {
    let error = syn::parse_str::<plugin::Plugin>(text).and_then(|plugin| plugin::expand(&plugin));
    error.unwrap_err().to_string()
}

/// What `derive(Config)` says of this.
fn config_error(text: &str) -> String {
    config::derive(&syn::parse_str(text).unwrap()).unwrap_err().to_string()
}

const METRICS: &str = r#"metrics { Load: gauge "load" "" [] "Load"; }"#;

#[test]
fn a_description_that_breaks_a_rule_is_refused() {
    for (keys, said) in [
        (r#"license: "MIT","#, "a plugin has an `id`"),
        (r#"id: "Org","#, "an id has 1 to 128 of a-z"),
        (r#"id: "a", id: "b","#, "`id` stands twice"),
        (r#"id: "a", colour: "red","#, "unknown key, expected `id`, `license`"),
        (r#"id: "a", threads: "many","#, "expected \"multi\" or \"single\""),
        (r#"id: "a", config: "{","#, "not JSON: EOF"),
        (r#"id: "a", config: "[]","#, "a schema is a JSON object"),
        (r#"id: "a", needs { write: [] },"#, "expected `read`, `connect`, `exec` or `caps`"),
    ] {
        let error = plugin_error(&format!("Collector, {keys} {METRICS}"));
        assert!(error.contains(said), "{keys}: {error}");
    }
    assert!(plugin_error(r#"Collector, id: "a""#).starts_with("a plugin has `metrics {"));
}

#[test]
fn a_metric_that_breaks_a_rule_is_refused() {
    let many: Vec<_> = (0..17).map(|at| format!("\"l{at}\"")).collect();
    let many = format!(r#"A: gauge "a" "" [{}] "";"#, many.join(","));
    for (metrics, said) in [
        (r#"A: histogram "a" "" [] "";"#, "expected `gauge` or `counter`"),
        (r#"A: gauge "a-b" "" [] "";"#, "a name has 1 to 128"),
        (r#"A: gauge "a" "" ["9"] "";"#, "a name has 1 to 128"),
        (r#"A: gauge "a" "" ["l", "l"] "";"#, "this label stands twice"),
        (r#"A: gauge "a" "" [] ""; B: gauge "a" "" [] "";"#, "this name stands twice"),
        (r#"A: gauge "a" "" [] "" most: 3;"#, "expected `;` or `max_series: N;`"),
        (many.as_str(), "a metric has at most 16 labels"),
    ] {
        let error = plugin_error(&format!("Collector, id: \"a\", metrics {{ {metrics} }}"));
        assert!(error.contains(said), "{metrics}: {error}");
    }
}

#[test]
fn a_configuration_that_no_schema_can_follow_is_refused() {
    for (text, said) in [
        ("struct C<T> { a: T }", "a configuration has no generic parameters"),
        ("struct C(u8);", "a configuration is a struct with named fields"),
        ("union C { a: u8 }", "a configuration is a struct or an enum"),
        ("enum C { A(u8) }", "a choice in a configuration has no fields"),
        ("struct C { #[serde(flatten)] a: u8 }", "the schema cannot follow this attribute"),
        ("struct C { #[serde(default = \"f\")] a: u8 }", "the schema cannot follow this attribute"),
        (
            "struct C { #[config(fallback = 1)] a: u8 }",
            "expected `default`, `default = …` or `secret`",
        ),
        (
            "struct C { #[config(default = f())] a: u8 }",
            "a default is text, a number, a boolean or a list",
        ),
    ] {
        let error = config_error(text);
        assert!(error.contains(said), "{text}: {error}");
    }
}
