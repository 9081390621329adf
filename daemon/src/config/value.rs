//! Single values of the file: text, switches, durations, sizes, names.
//!
//! Each function gives the value, or says in words what it must be.

use std::time::Duration;

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::nearest;
use crate::series::check_server_name;

/// The type of a value, with its article.
pub(super) fn a_type(value: &DeValue<'_>) -> String {
    let name = value.type_str();
    let article = if name.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// Any text.
pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| format!("must be a string, not {}", a_type(value)))
}

/// `true` or `false`.
pub(super) fn switch(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("must be true or false, not {}", a_type(value)))
}

/// A finite number, with a fraction or without.
pub(super) fn number(value: &DeValue<'_>) -> Result<f64, String> {
    let number = match value {
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number as f64)
        }
        DeValue::Float(number) => number.as_str().parse().ok(),
        other => return Err(format!("must be a number, not {}", a_type(other))),
    };
    let finite = number.filter(|number: &f64| number.is_finite());
    finite.ok_or_else(|| "must be a finite number".into())
}

/// A port.
pub(super) fn port(value: &DeValue<'_>) -> Result<u16, String> {
    let number = number(value)?;
    let port = Some(number as u16).filter(|&port| port > 0 && f64::from(port) == number);
    port.ok_or_else(|| format!("is {number}, must be a port from 1 to 65535"))
}

/// One of a few words, each with what it stands for.
pub(super) fn choice<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Result<T, String> {
    let word = text(value)?;
    if let Some((_, meaning)) = words.iter().find(|(known, _)| *known == word) {
        return Ok(*meaning);
    }
    let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
    Err(format!("is `{}`, must be {}{}", word.escape_debug(), any_of(&known), meant(word, known)))
}

/// The words with commas and an `or` between them.
pub(super) fn any_of(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        words => words.concat(),
    }
}

/// What to ask who wrote `word`, in the words that are known; empty where none is near.
pub(super) fn meant<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    nearest(word, known).map(|meant| format!(", did you mean `{meant}`?")).unwrap_or_default()
}

/// Text that says something: not empty, of one line, and not too long.
pub(super) fn line(value: &DeValue<'_>, length_max: usize) -> Result<String, String> {
    let text = text(value)?;
    if text.trim().is_empty() {
        return Err("is empty".into());
    }
    if text.chars().count() > length_max || text.contains(char::is_control) {
        return Err(format!("must be one line of at most {length_max} characters"));
    }
    Ok(text.into())
}

/// A duration as people write it, such as `"10s"` or `"1h 30m"`.
pub(super) fn duration(
    value: &DeValue<'_>,
    least: Duration,
    most: Duration,
) -> Result<Duration, String> {
    let example = "a duration such as \"10s\" or \"7d\"";
    let Some(text) = value.as_str() else {
        return Err(format!("must be {example}, not {}", a_type(value)));
    };
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("is `{text}`, must be {example}: {error}"))?;
    if (least..=most).contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (humantime::format_duration(least), humantime::format_duration(most));
    Err(format!("is {text}, must be between {least} and {most}"))
}

/// A size in bytes as people write it, such as `"4GiB"` or `"500 MB"`.
pub(super) fn size(value: &DeValue<'_>, least: u64) -> Result<u64, String> {
    let example = "a size such as \"4GiB\" or \"500MB\"";
    let Some(text) = value.as_str() else {
        return Err(format!("must be {example}, not {}", a_type(value)));
    };
    let size = bytes(text).ok_or_else(|| format!("is `{text}`, must be {example}"))?;
    if size >= least {
        Ok(size)
    } else {
        Err(format!("is {text}, must be at least {}", mebibytes(least)))
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{}MiB", bytes >> 20)
}

/// `None` if it is no size, or more than 64 bits hold.
fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 9] = [
        ("B", 1),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = unit.trim_start();
    let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

/// A name that is safe in a path, a URL and a label, such as `web-1.example.org`.
pub(super) fn name(value: &DeValue<'_>) -> Result<String, String> {
    plain_name(text(value)?)
}

/// The name of a server.
pub(super) fn server_name(value: &DeValue<'_>) -> Result<String, String> {
    let name = text(value)?;
    check_server_name(name)?;
    Ok(name.into())
}

/// `name`, if it is safe in a path, a URL and a label.
pub(super) fn plain_name(name: &str) -> Result<String, String> {
    /// As long as a host name may be.
    const LENGTH_MAX: usize = 253;
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && name.len() <= LENGTH_MAX && name.chars().all(fits) {
        return Ok(name.into());
    }
    Err(format!(
        "is `{}`, must be letters, digits, `.`, `_` and `-`, begin with a letter or digit, \
         and have at most {LENGTH_MAX} characters",
        name.escape_debug()
    ))
}

/// A table as JSON, as plugins get it.
pub(super) fn json_table(value: &DeValue<'_>) -> Result<Map<String, Value>, String> {
    match value {
        DeValue::Table(table) => json_map(table),
        other => Err(format!("must be a table, not {}", a_type(other))),
    }
}

fn json_map(table: &DeTable<'_>) -> Result<Map<String, Value>, String> {
    let entry = |key: &str, value| match json(value) {
        Ok(value) => Ok((key.to_owned(), value)),
        Err(reason) => Err(format!("`{key}` {reason}")),
    };
    table.iter().map(|(key, value)| entry(key.get_ref(), value.get_ref())).collect()
}

fn json(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(switch) => (*switch).into(),
        DeValue::Datetime(at) => at.to_string().into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| format!("is {number}, must fit in 64 bits"))?
            .into(),
        DeValue::Float(number) => {
            let finite = number.as_str().parse().ok().and_then(Number::from_f64);
            finite.ok_or_else(|| format!("is {number}, must be finite"))?.into()
        }
        DeValue::Array(elements) => {
            elements.iter().map(|element| json(element.get_ref())).collect::<Result<_, _>>()?
        }
        DeValue::Table(table) => json_map(table)?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_listed_as_people_list_them() {
        assert_eq!(any_of(&["a"]), "a");
        assert_eq!(any_of(&["a", "b"]), "a or b");
        assert_eq!(any_of(&["a", "b", "c"]), "a, b or c");
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(bytes("4GiB"), Some(4 << 30));
        assert_eq!(bytes("500 MB"), Some(500_000_000));
        assert_eq!(bytes("64mib"), Some(64 << 20));
        assert_eq!(bytes("4096"), None, "a unit is needed");
        assert_eq!(bytes("GiB"), None);
        assert_eq!(bytes("-1GiB"), None);
        assert_eq!(bytes("4G"), None, "1000 or 1024? Nobody knows");
        assert_eq!(bytes("99999999999TiB"), None, "more than 64 bits");
    }
}
