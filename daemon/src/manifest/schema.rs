//! Judges a plugin's configuration against the schema of its manifest.
//!
//! The schema is the subset of JSON Schema that plugins declare: `type`,
//! `properties`, `required`, `default`, `enum`, `minimum`, `maximum`, `items` and
//! `format`; other keywords are ignored. An object takes the keys it declares and
//! no others; one inside that declares none takes any.

use bartizan_plugin::manifest::parse_duration;
use serde_json::{Map, Value};

use crate::config::distance;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {text}")]
pub struct Problem {
    /// Which key: `tls.ca_file`, `urls[2]`.
    pub key: String,
    /// Value and rule: `is 70000, must be at most 65535`.
    pub text: String,
}

/// Values deeper than this are taken as they are: no plugin needs them judged.
const DEPTH_MAX: usize = 16;

/// The configuration with its defaults filled in.
///
/// # Errors
///
/// All problems at once: values by their keys, then what is missing, then what is not known.
pub fn validate(
    schema: &Value,
    config: &Map<String, Value>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut judge = Judge::default();
    let none = Map::new();
    let properties = properties(schema).unwrap_or(&none);
    let filled = judge.object(schema, properties, config, "", 0);
    if judge.problems.is_empty() { Ok(filled) } else { Err(judge.problems) }
}

#[derive(Default)]
struct Judge {
    problems: Vec<Problem>,
}

impl Judge {
    fn say(&mut self, key: &str, text: String) {
        self.problems.push(Problem { key: key.to_owned(), text });
    }

    fn object(
        &mut self,
        schema: &Value,
        properties: &Map<String, Value>,
        config: &Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Map<String, Value> {
        let mut filled = Map::new();
        for (name, schema) in properties {
            if let Some(value) = config.get(name).or_else(|| schema.get("default")) {
                let value = self.value(schema, value, &join(path, name), depth + 1);
                filled.insert(name.clone(), value);
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if !filled.contains_key(name) {
                self.say(&join(path, name), "is missing".into());
            }
        }
        for name in config.keys().filter(|name| !properties.contains_key(*name)) {
            self.say(&join(path, name), unknown(name, properties));
        }
        filled
    }

    fn value(&mut self, schema: &Value, value: &Value, key: &str, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return value.clone();
        }
        let expected = schema.get("type").and_then(Value::as_str).unwrap_or("");
        if !has_type(value, expected) {
            let article = if expected.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
            self.say(key, format!("is {value}, must be {article} {expected}"));
            return value.clone();
        }
        self.limits(schema, value, key);
        match value {
            Value::Object(fields) => match properties(schema) {
                Some(properties) => {
                    Value::Object(self.object(schema, properties, fields, key, depth))
                }
                None => value.clone(),
            },
            Value::Array(items) => match schema.get("items") {
                Some(schema) => {
                    let items = items.iter().enumerate();
                    items
                        .map(|(at, item)| {
                            self.value(schema, item, &format!("{key}[{at}]"), depth + 1)
                        })
                        .collect()
                }
                None => value.clone(),
            },
            _ => value.clone(),
        }
    }

    fn limits(&mut self, schema: &Value, value: &Value, key: &str) {
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && !allowed.contains(value)
        {
            let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
            self.say(key, format!("is {value}, must be one of {}", allowed.join(", ")));
        }
        if let Some(number) = value.as_f64() {
            if let Some(least) = schema.get("minimum")
                && least.as_f64().is_some_and(|least| number < least)
            {
                self.say(key, format!("is {value}, must be at least {least}"));
            }
            if let Some(most) = schema.get("maximum")
                && most.as_f64().is_some_and(|most| number > most)
            {
                self.say(key, format!("is {value}, must be at most {most}"));
            }
        }
        let Some(text) = value.as_str() else { return };
        match schema.get("format").and_then(Value::as_str) {
            Some("duration") if parse_duration(text).is_none() => {
                self.say(key, format!("is {value}, must be a duration such as \"10s\""));
            }
            Some("uri") if !is_uri(text) => {
                self.say(key, format!("is {value}, must be an address such as \"http://host/\""));
            }
            _ => {}
        }
    }
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn has_type(value: &Value, expected: &str) -> bool {
    match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        // No type, or one we do not know: the plugin itself will judge.
        _ => true,
    }
}

/// A scheme, a colon and something after it.
fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && !rest.is_empty()
            && !rest.contains(char::is_whitespace)
    })
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn unknown(name: &str, properties: &Map<String, Value>) -> String {
    // A name comes from outside: its whole length is not worth comparing.
    let begin: String = name.chars().take(128).collect();
    let near = properties.keys().map(|known| (distance(&begin, known), known));
    match near.filter(|(distance, known)| *distance * 3 <= known.len().max(3)).min() {
        Some((_, meant)) => format!("is not known, did you mean `{meant}`?"),
        None if properties.is_empty() => "is not known, this plugin has no keys".into(),
        None => {
            let known: Vec<_> = properties.keys().map(|known| format!("`{known}`")).collect();
            format!("is not known, known are {}", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({"type": "object", "required": ["url"], "properties": {
            "url": {"type": "string", "format": "uri"},
            "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 80},
            "timeout": {"type": "string", "format": "duration", "default": "5s"},
            "mode": {"type": "string", "enum": ["fast", "slow"]},
            "password": {"type": "string", "format": "secret"},
            "mounts": {"type": "array", "items": {"type": "string"}},
            "tls": {"type": "object", "properties": {"verify": {"type": "boolean", "default": true}}},
            "env": {"type": "object"},
        }})
    }

    fn check(config: Value) -> Result<Value, Vec<String>> {
        validate(&schema(), config.as_object().unwrap())
            .map(Value::Object)
            .map_err(|problems| problems.iter().map(Problem::to_string).collect())
    }

    #[test]
    fn defaults_are_filled_in_also_inside() {
        let filled = check(json!({"url": "http://x/", "tls": {}, "env": {"A": 1}})).unwrap();
        assert_eq!(
            filled,
            json!({"url": "http://x/", "port": 80, "timeout": "5s", "tls": {"verify": true},
                   "env": {"A": 1}})
        );
    }

    #[test]
    fn all_problems_come_at_once() {
        let config = json!({"port": 70000, "timeout": "soon", "mode": "quick", "mounts": ["/", 3],
                            "tls": {"verfy": false}, "passwort": "x", "zzz": 1});
        assert_eq!(
            check(config).unwrap_err(),
            [
                "mode is \"quick\", must be one of \"fast\", \"slow\"",
                "mounts[1] is 3, must be a string",
                "port is 70000, must be at most 65535",
                "timeout is \"soon\", must be a duration such as \"10s\"",
                "tls.verfy is not known, did you mean `verify`?",
                "url is missing",
                "passwort is not known, did you mean `password`?",
                "zzz is not known, known are `env`, `mode`, `mounts`, `password`, `port`, \
                 `timeout`, `tls`, `url`",
            ],
        );
    }

    #[test]
    fn a_plugin_without_a_schema_has_no_keys() {
        let config = json!({"a": 1});
        let problems = validate(&json!({"type": "object"}), config.as_object().unwrap());
        assert_eq!(problems.unwrap_err()[0].to_string(), "a is not known, this plugin has no keys");
    }
}
