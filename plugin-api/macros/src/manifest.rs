//! The JSON of a manifest, and the rules that can be judged while compiling.
//!
//! The rules are those of `bartizan_plugin::manifest`, said again at the token that breaks them.

use std::{collections::HashSet, env};

use serde_json::{Map, Value, json};
use syn::{Error, LitStr, Result};

use crate::plugin::{Metric, Plugin};

/// The manifest but for its schema and its closing brace.
pub(crate) fn head(plugin: &Plugin) -> Result<String> {
    let mut manifest = Map::new();
    manifest.insert("abi".into(), json!({ "major": 1, "min_minor": 0 }));
    manifest.insert("id".into(), id(plugin)?.into());
    let cargo = |key: &str| env::var(format!("CARGO_PKG_{key}")).unwrap_or_default();
    let or_cargo =
        |key: &str, variable: &str| plugin.text(key).map_or_else(|| cargo(variable), LitStr::value);
    manifest.insert("name".into(), or_cargo("name", "NAME").into());
    manifest.insert("version".into(), cargo("VERSION").into());
    let authors = cargo("AUTHORS");
    let authors: Vec<_> = authors.split(':').filter(|author| !author.is_empty()).collect();
    manifest.insert("authors".into(), authors.into());
    manifest.insert("description".into(), or_cargo("description", "DESCRIPTION").into());
    manifest.insert("license".into(), or_cargo("license", "LICENSE").into());
    for key in ["interval", "timeout"] {
        if let Some(text) = plugin.text(key) {
            manifest.insert(key.into(), text.value().into());
        }
    }
    if let Some(threads) = plugin.text("threads") {
        require(
            ["multi", "single"].contains(&threads.value().as_str()),
            threads,
            "expected \"multi\" or \"single\"",
        )?;
        manifest.insert("threads".into(), threads.value().into());
    }
    manifest.insert("needs".into(), needs(plugin)?);
    manifest.insert("metrics".into(), metrics(plugin)?);
    let mut text = Value::from(manifest).to_string();
    text.pop();
    Ok(text)
}

/// The schema that stands in `config`, where there is one.
pub(crate) fn schema(plugin: &Plugin) -> Result<Option<String>> {
    let Some(text) = plugin.text("config") else { return Ok(None) };
    match serde_json::from_str::<Value>(&text.value()) {
        Ok(schema @ Value::Object(_)) => Ok(Some(schema.to_string())),
        Ok(_) => Err(Error::new(text.span(), "a schema is a JSON object")),
        Err(error) => Err(Error::new(text.span(), format!("not JSON: {error}"))),
    }
}

fn id(plugin: &Plugin) -> Result<String> {
    let Some(text) = plugin.text("id") else {
        return Err(Error::new(
            proc_macro2::Span::call_site(),
            "a plugin has an `id`: \"org.example.name\"",
        ));
    };
    let id = text.value();
    let good = (1..=128).contains(&id.len())
        && id.starts_with(|first: char| first.is_ascii_lowercase())
        && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c));
    require(good, text, "an id has 1 to 128 of a-z 0-9 . _ - and begins with a letter")?;
    Ok(id)
}

fn needs(plugin: &Plugin) -> Result<Value> {
    let mut needs = Map::new();
    for (key, values) in &plugin.needs {
        let word = key.to_string();
        if !["read", "connect", "exec", "caps"].contains(&word.as_str()) {
            return Err(Error::new(key.span(), "expected `read`, `connect`, `exec` or `caps`"));
        }
        needs.insert(word, values.iter().map(LitStr::value).collect());
    }
    Ok(needs.into())
}

fn metrics(plugin: &Plugin) -> Result<Value> {
    if plugin.metrics.is_empty() {
        let text = "a plugin has `metrics { Name: gauge \"name\" \"unit\" [] \"help\"; }`";
        return Err(Error::new(proc_macro2::Span::call_site(), text));
    }
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for metric in &plugin.metrics {
        require(seen.insert(metric.name.value()), &metric.name, "this name stands twice")?;
        all.push(metric_json(metric)?);
    }
    Ok(all.into())
}

fn metric_json(metric: &Metric) -> Result<Value> {
    let kind = metric.kind.to_string();
    if !["gauge", "counter"].contains(&kind.as_str()) {
        return Err(Error::new(metric.kind.span(), "expected `gauge` or `counter`"));
    }
    require_name(&metric.name)?;
    let mut seen = HashSet::new();
    for label in &metric.labels {
        require_name(label)?;
        require(seen.insert(label.value()), label, "this label stands twice")?;
    }
    require(metric.labels.len() <= 16, &metric.name, "a metric has at most 16 labels")?;
    let labels: Vec<_> = metric.labels.iter().map(LitStr::value).collect();
    let mut object = Map::new();
    object.insert("name".into(), metric.name.value().into());
    object.insert("kind".into(), kind.into());
    object.insert("unit".into(), metric.unit.value().into());
    object.insert("labels".into(), labels.into());
    object.insert("help".into(), metric.help.value().into());
    if let Some(most) = metric.max_series {
        object.insert("max_series".into(), most.into());
    }
    Ok(object.into())
}

fn require_name(text: &LitStr) -> Result<()> {
    let name = text.value();
    let good = (1..=128).contains(&name.len())
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    require(good, text, "a name has 1 to 128 of a-z A-Z 0-9 _ and begins with no digit")
}

fn require(holds: bool, at: &LitStr, rule: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::new(at.span(), rule)) }
}
