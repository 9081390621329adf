//! `[channel.sms]` of a gateway that the file describes.

use std::{collections::BTreeMap, path::PathBuf};

use hyper::header::{HeaderName, HeaderValue};
use toml::de::DeValue;

use super::sms::sender;
use crate::config::{
    address,
    secret::{ca_file, secret_file},
    section::Section,
    value,
};

/// What stands in braces where something is put in.
const PLACES: [&str; 5] = ["to", "text", "id", "from", "secret"];
/// Headers that follow from the rest of the request.
const OWN_HEADERS: [&str; 4] = ["content-type", "content-length", "host", "transfer-encoding"];

/// A gateway that takes an HTTP request. In `url`, `headers` and `body` stand `{to}`, `{text}`,
/// `{id}` (the notice's own), `{from}` and `{secret}`; in a URL or a form they are percent-encoded, in
/// JSON escaped, in a header as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpGatewayConfig {
    /// GET where there is no body, else POST.
    pub url: String,
    /// Header lines besides Content-Type.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Option<String>,
    /// Its type: a form or JSON.
    pub body_type: BodyType,
    /// Sender.
    pub from: Option<String>,
    /// File whose first line is `{secret}`.
    pub secret_file: Option<PathBuf>,
    /// PEM file of authorities that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The answer's body must contain one of these to count as accepted, whatever its status.
    pub accepted: Vec<String>,
    /// With one of these it is refused for good.
    pub refused: Vec<String>,
}

/// Type of a gateway's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyType {
    /// `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// `application/json`.
    Json,
}

impl HttpGatewayConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let given = section.value("body_type", body_type);
        let body_type = given.unwrap_or_default();
        // Whatever the body is, it is of no type that was refused.
        let is_judged = given.is_some() || !section.has("body_type");
        let config = Self {
            url: section.value("url", url).unwrap_or_default(),
            headers: section.entries("headers", header),
            body: section.value("body", |value| body(value, is_judged.then_some(body_type))),
            body_type,
            from: section.value("from", sender),
            secret_file: section.value("secret_file", secret_file),
            ca_file: section.value("ca_file", ca_file),
            accepted: section.list("accepted", part_of_an_answer).unwrap_or_default(),
            refused: section.list("refused", part_of_an_answer).unwrap_or_default(),
        };
        if !section.has("url") {
            section.refuse("url", "is missing: where the request goes");
        }
        if section.has("body_type") && !section.has("body") {
            section.refuse("body_type", "has no use without `body`");
        }
        config.judge_answers(section);
        config.judge_places(section);
        config
    }

    fn judge_answers(&self, section: &mut Section<'_>) {
        if !section.has("accepted") {
            section.refuse("accepted", "is missing: what the answer contains that means success");
        } else if self.accepted.is_empty() {
            section.refuse("accepted", "is empty: nothing would ever count as sent");
        }
        if let Some(both) = self.refused.iter().find(|part| self.accepted.contains(part)) {
            section.refuse("refused", format!("has `{both}`, as `accepted` has"));
        }
    }

    /// What is put in must be there, and what is there must be put in somewhere.
    fn judge_places(&self, section: &mut Section<'_>) {
        // Of a part that was refused nobody knows what would be put in.
        if self.url.is_empty() || section.has("body") && self.body.is_none() {
            return;
        }
        let headers = self.headers.values().map(String::as_str);
        let parts = [Some(self.url.as_str()), self.body.as_deref()];
        let parts: Vec<&str> = parts.into_iter().flatten().chain(headers).collect();
        let is_put_in =
            |place: &str| parts.iter().any(|part| part.contains(&format!("{{{place}}}")));
        for place in ["to", "text"].into_iter().filter(|place| !is_put_in(place)) {
            let key = if section.has("body") { "body" } else { "url" };
            let where_to = "in url, headers or body";
            section.refuse(key, format!("must have `{{{place}}}`: it stands nowhere {where_to}"));
        }
        for (place, key) in [("from", "from"), ("secret", "secret_file")] {
            if is_put_in(place) && !section.has(key) {
                section.refuse(key, format!("is missing: `{{{place}}}` is put in from it"));
            }
        }
        // Nobody writes a secret to a file without a purpose; the gateway would refuse us.
        if section.has("secret_file") && !is_put_in("secret") {
            let where_to = "in url, headers or body";
            section.refuse(
                "secret_file",
                format!("has no use: `{{secret}}` stands nowhere {where_to}"),
            );
        }
    }
}

fn body_type(value: &DeValue<'_>) -> Result<BodyType, String> {
    value::choice(value, &[("form", BodyType::Form), ("json", BodyType::Json)])
}

/// `text` with a letter in each place; refused where a word in braces is no place.
fn filled(text: &str) -> Result<String, String> {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, inside)) = rest.split_once('{') {
        filled.push_str(before);
        let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        let word = &inside[..end.unwrap_or(inside.len())];
        rest = match inside[word.len()..].strip_prefix('}') {
            Some(after) if PLACES.contains(&word) => {
                filled.push('x');
                after
            }
            Some(_) if !word.is_empty() => {
                let meant = value::meant(word, PLACES);
                let known = PLACES.join("}, {");
                return Err(format!(
                    "has `{{{word}}}`, which is unknown{meant}; known here: {{{known}}}"
                ));
            }
            // A brace of the format itself, as JSON has them.
            _ => {
                filled.push('{');
                inside
            }
        };
    }
    filled.push_str(rest);
    Ok(filled)
}

fn url(value: &DeValue<'_>) -> Result<String, String> {
    let text = value::text(value)?;
    let (_, behind) = text.split_once("://").unwrap_or(("", text));
    let host = behind.split(['/', '?']).next().unwrap_or_default();
    if host.contains('{') {
        return Err("must name its host: nothing is put in before the path".into());
    }
    address::check_target(&filled(text)?)?;
    Ok(text.into())
}

fn header(name: &str, value: &DeValue<'_>) -> Result<String, String> {
    if HeaderName::try_from(name).is_err() {
        return Err("is no name of a header".into());
    }
    if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err("must not be given: it follows from the rest of the request".into());
    }
    let text = value::text(value)?;
    if HeaderValue::try_from(filled(text)?).is_err() {
        return Err("must be one line of printable characters".into());
    }
    Ok(text.into())
}

fn body(value: &DeValue<'_>, body_type: Option<BodyType>) -> Result<String, String> {
    let text = value::text(value)?;
    let filled = filled(text)?;
    match body_type {
        Some(BodyType::Json) => {
            serde_json::from_str::<serde_json::Value>(&filled).map_err(|error| {
                format!("is not JSON, in which what is put in stands in quotes: {error}")
            })?;
        }
        Some(BodyType::Form) if filled.trim_start().starts_with('{') => {
            return Err("is no form; with JSON, set body_type = \"json\"".into());
        }
        Some(BodyType::Form) if filled.contains(|c: char| c.is_control() || c == ' ') => {
            return Err("must be one line without spaces, such as \"to={to}&text={text}\"".into());
        }
        _ => {}
    }
    Ok(text.into())
}

fn part_of_an_answer(value: &DeValue<'_>) -> Result<String, String> {
    match value::text(value)? {
        "" => Err("is empty, and every answer contains that".into()),
        part => Ok(part.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_braces_are_places_or_mistakes() {
        assert_eq!(filled(r#"{"to":"{to}","a":{}}"#).as_deref(), Ok(r#"{"to":"x","a":{}}"#));
        assert_eq!(filled("to={to}&text={text}").as_deref(), Ok("to=x&text=x"));
        assert_eq!(
            filled("{txt}").err().as_deref(),
            Some(
                "has `{txt}`, which is unknown, did you mean `text`?; \
                 known here: {to}, {text}, {id}, {from}, {secret}"
            )
        );
        assert_eq!(filled("{ to }").as_deref(), Ok("{ to }"), "not written as a place");
    }

    #[test]
    fn nothing_is_put_into_the_host() {
        let said = |text: &str| url(&DeValue::String(text.into())).err().unwrap_or_default();
        assert_eq!(said("https://sms.example.org/send?to={to}&text={text}"), "");
        assert_eq!(said("http://127.0.0.1:8080/{to}"), "");
        assert!(said("https://{to}.example.org/").contains("must name its host"));
        assert!(said("http://sms.example.org/send").contains("unencrypted"));
    }

    #[test]
    fn a_body_is_of_its_type() {
        let said = |text: &str, of| {
            body(&DeValue::String(text.into()), Some(of)).err().unwrap_or_default()
        };
        assert_eq!(said(r#"{"to":"{to}","text":"{text}"}"#, BodyType::Json), "");
        assert_eq!(said("to={to}&text={text}", BodyType::Form), "");
        assert!(said(r#"{"to":{to}}"#, BodyType::Json).starts_with("is not JSON"));
        assert!(said(r#"{"to":"{to}"}"#, BodyType::Form).contains("body_type"));
        assert!(said("to={to} &text={text}", BodyType::Form).contains("without spaces"));
    }

    #[test]
    fn headers_of_the_request_itself_are_ours() {
        let said = |name: &str, text: &str| {
            header(name, &DeValue::String(text.into())).err().unwrap_or_default()
        };
        assert_eq!(said("Authorization", "Bearer {secret}"), "");
        assert!(said("Content-type", "text/plain").contains("must not be given"));
        assert!(said("no name", "x").contains("no name of a header"));
        assert!(said("X-A", "a\r\nb").contains("one line"));
    }
}
