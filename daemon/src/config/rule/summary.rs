//! `rule.summary`: a template that is checked before anybody needs it.
//!
//! What may stand in it is a small part of what templates can do, so that every
//! one that passes here can be filled in, in a time and a size that are known:
//! names and filters that exist, `if`, and no loops.

use minijinja::{Environment, Value};
use toml::de::DeValue;

use crate::config::value;

/// What a template may name.
const NAMES: [&str; 7] = ["server", "labels", "value", "limit", "metric", "rule", "level"];
/// What it may put a value through.
const FILTERS: [&str; 4] = ["ratio", "bytes", "duration", "round"];
/// Statements between `{%` and `%}`.
const STATEMENTS: [&str; 4] = ["if", "elif", "else", "endif"];
const LENGTH_MAX: usize = 500;

/// A template, if it can be filled in.
pub(super) fn summary(value: &DeValue<'_>) -> Result<String, String> {
    let text = value::line(value, LENGTH_MAX)?;
    check(&text)?;
    Ok(text)
}

fn check(text: &str) -> Result<(), String> {
    let mut environment = Environment::empty();
    for filter in FILTERS {
        environment.add_filter(filter, |number: f64| number.to_string());
    }
    environment.add_filter("round", |number: f64, _digits: Option<i32>| number);
    let template = environment.template_from_str(text).map_err(|error| wrong(&error))?;
    let mut named: Vec<_> = template.undeclared_variables(false).into_iter().collect();
    named.sort();
    if let Some(unknown) = named.iter().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(not_known("`", unknown, &NAMES));
    }
    check_words(text)?;
    let values = NAMES.map(|name| match name {
        "labels" => (name, Value::from_pairs([("label", "value")])),
        "value" | "limit" => (name, Value::from(0.5)),
        _ => (name, Value::from(name)),
    });
    template.render(Value::from_pairs(values)).map_err(|error| wrong(&error))?;
    Ok(())
}

/// Judges filters and statements where they are written: filling in would pass
/// over those in a branch that is not taken.
fn check_words(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some(at) = ["{{", "{%", "{#"].iter().filter_map(|open| rest.find(open)).min() {
        let (open, inside) = rest[at..].split_at(2);
        if open == "{#" {
            rest = inside.split_once("#}").map_or("", |(_, after)| after);
            continue;
        }
        if open == "{%" {
            let statement = word(inside.trim_start_matches(['-', '+']));
            if !STATEMENTS.contains(&statement) {
                return Err(not_known("statement `", statement, &STATEMENTS));
            }
        }
        rest = check_filters(inside)?;
    }
    Ok(())
}

/// Judges the filters up to the end of this expression or statement; gives what follows.
fn check_filters(inside: &str) -> Result<&str, String> {
    let (mut quote, mut escaped) = (None, false);
    for (at, letter) in inside.char_indices() {
        let rest = &inside[at..];
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if letter == '\\' => escaped = true,
            Some(open) if open == letter => quote = None,
            Some(_) => {}
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            None if rest.starts_with("}}") || rest.starts_with("%}") => return Ok(&rest[2..]),
            None if letter == '|' => {
                let filter = word(&rest[1..]);
                if !FILTERS.contains(&filter) {
                    return Err(not_known("filter `", filter, &FILTERS));
                }
            }
            None => {}
        }
    }
    Ok("")
}

fn word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    &text[..end.unwrap_or(text.len())]
}

fn not_known(kind: &str, word: &str, known: &[&str]) -> String {
    let meant = value::meant(word, known.iter().copied());
    format!("has {kind}{word}`, which is unknown{meant}; known here: {}", known.join(", "))
}

fn wrong(error: &minijinja::Error) -> String {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    format!("is no template: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_filled_in_is_accepted() {
        for text in [
            "no braces at all",
            "disk {{ labels.mount }} on {{ server }} is {{ value | ratio }} full",
            "{{ rule }}: {{ metric }} is {{ value|round(1) }}, over {{ limit | bytes }}",
            "{% if level == 'critical' %}act{% else %}look{% endif %}",
            "{{ labels.not_there }} and {{ '|no filter' }}",
            "{{ value * 100 }} {# a note | {{ of mine #}",
            r#"{{ "a \" | b" }}"#,
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused_with_the_word() {
        let refused = |text: &str| check(text).err().unwrap_or_default();
        assert_eq!(
            refused("{{ host }}"),
            "has `host`, which is unknown; known here: server, labels, value, limit, metric, rule, level"
        );
        assert!(refused("{{ servr }}").contains("did you mean `server`?"));
        assert!(refused("{{ value | ration }}").contains("filter `ration`"));
        let untaken = refused("{% if level == 'never' %}{{ value | ration }}{% endif %}");
        assert!(untaken.contains("did you mean `ratio`?"), "{untaken}");
        assert!(refused("{% for x in labels %}{% endfor %}").contains("statement `for`"));
        assert!(refused("{{ range(9) }}").contains("`range`"));
        assert!(refused("{{ value").starts_with("is no template: "));
        assert!(refused("{{ server | ratio }}").starts_with("is no template: "));
        assert!(refused("{% if %}").starts_with("is no template: "));
    }
}
