//! The JSON schema of a configuration, made from its type while compiling.
//!
//! # Invariants
//!
//! - Nothing here runs in a plugin: the schema is a constant, because the manifest is read without running any code.
//! - A [`Json`] is a tree of texts, because a constant of a generic type cannot hold an array whose length it computes.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

/// Pieces of JSON text.
pub enum Json {
    /// As it is.
    Text(&'static str),
    /// One after the other.
    Parts(&'static [Json]),
    /// One after the other, with commas between those that are not empty.
    List(&'static [Json]),
}

/// A type that a configuration may contain. Derive it with [`Config`](macro@crate::Config).
pub trait Schema {
    /// The members of its schema, without the braces: `"type":"string"`.
    const SCHEMA: Json;
    /// Whether a key of this type must be there.
    const REQUIRED: bool = true;
    /// `Default::default()` as JSON, where it is known while compiling.
    const DEFAULT: Option<&'static str> = None;
}

macro_rules! plain {
    ($($type:ty: $schema:literal, $default:literal;)+) => {
        $(impl Schema for $type {
            const SCHEMA: Json = Json::Text($schema);
            const DEFAULT: Option<&'static str> = Some($default);
        })+
    };
}

plain! {
    bool: r#""type":"boolean""#, "false";
    String: r#""type":"string""#, r#""""#;
    PathBuf: r#""type":"string""#, r#""""#;
    f32: r#""type":"number""#, "0.0";
    f64: r#""type":"number""#, "0.0";
    u8: r#""type":"integer","minimum":0,"maximum":255"#, "0";
    u16: r#""type":"integer","minimum":0,"maximum":65535"#, "0";
    u32: r#""type":"integer","minimum":0,"maximum":4294967295"#, "0";
    u64: r#""type":"integer","minimum":0"#, "0";
    usize: r#""type":"integer","minimum":0"#, "0";
    i8: r#""type":"integer","minimum":-128,"maximum":127"#, "0";
    i16: r#""type":"integer","minimum":-32768,"maximum":32767"#, "0";
    i32: r#""type":"integer","minimum":-2147483648,"maximum":2147483647"#, "0";
    i64: r#""type":"integer""#, "0";
}

impl<T: Schema> Schema for Option<T> {
    const SCHEMA: Json = T::SCHEMA;
    const REQUIRED: bool = false;
}

impl<T: Schema> Schema for Vec<T> {
    const SCHEMA: Json =
        Json::Parts(&[Json::Text(r#""type":"array","items":{"#), T::SCHEMA, Json::Text("}")]);
    const DEFAULT: Option<&'static str> = Some("[]");
}

impl<T: Schema> Schema for BTreeMap<String, T> {
    const SCHEMA: Json = Json::Parts(&[
        Json::Text(r#""type":"object","additionalProperties":{"#),
        T::SCHEMA,
        Json::Text("}"),
    ]);
    const DEFAULT: Option<&'static str> = Some("{}");
}

impl<T: Schema, S> Schema for HashMap<String, T, S> {
    const SCHEMA: Json = <BTreeMap<String, T>>::SCHEMA;
    const DEFAULT: Option<&'static str> = Some("{}");
}

/// Length of the text, in bytes.
#[must_use]
pub const fn json_len(json: &Json) -> usize {
    let (parts, comma) = match json {
        Json::Text(text) => return text.len(),
        Json::Parts(parts) => (*parts, 0),
        Json::List(parts) => (*parts, 1),
    };
    let mut total = 0;
    let mut at = 0;
    while at < parts.len() {
        let len = json_len(&parts[at]);
        if len > 0 && total > 0 {
            total += comma;
        }
        total += len;
        at += 1;
    }
    total
}

/// The text, for a `N` of [`json_len`].
#[must_use]
pub const fn render<const N: usize>(json: &Json) -> [u8; N] {
    let mut text = [0; N];
    write(json, &mut text, 0);
    text
}

/// Writes from `at` on, and returns where it ended.
const fn write<const N: usize>(json: &Json, into: &mut [u8; N], mut at: usize) -> usize {
    let (parts, commas) = match json {
        Json::Text(text) => {
            let bytes = text.as_bytes();
            let mut from = 0;
            while from < bytes.len() {
                into[at + from] = bytes[from];
                from += 1;
            }
            return at + bytes.len();
        }
        Json::Parts(parts) => (*parts, false),
        Json::List(parts) => (*parts, true),
    };
    let start = at;
    let mut next = 0;
    while next < parts.len() {
        if commas && at > start && json_len(&parts[next]) > 0 {
            into[at] = b',';
            at += 1;
        }
        at = write(&parts[next], into, at);
        next += 1;
    }
    at
}
