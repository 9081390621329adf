//! A set of labels, always in the order of their names.
//!
//! There are as many of them in memory as there are series, so all texts of a set lie in one piece of it, each behind its
//! length:
//!
//! ```text
//!  count · [length name · length value]…      a count or length below 0x7fff is one character, a greater one four
//! ```

use std::{cmp::Ordering, fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};

/// Labels of a series, sorted by name, each name once. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Labels(Arc<str>);

/// What says that a number does not fit into one character. Three follow then, of 15 bits each, the last ones first.
const LONG: u32 = 0x7fff;

impl Labels {
    /// Labels from pairs in any order; of a repeated name the last value counts.
    pub fn new<K: Into<Box<str>>, V: Into<Box<str>>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let sorted: std::collections::BTreeMap<Box<str>, Box<str>> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        if sorted.is_empty() {
            return Self::default();
        }
        let mut text = String::new();
        put_number(&mut text, sorted.len());
        for part in sorted.iter().flat_map(|(name, value)| [name, value]) {
            put_number(&mut text, part.len());
            text.push_str(part);
        }
        Self(text.into())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the label `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Name and value of each, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let mut rest = &*self.0;
        let left = take_number(&mut rest).unwrap_or(0);
        Iter { rest, left }
    }
}

/// Labels that have not been told yet.
struct Iter<'a> {
    rest: &'a str,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((take_text(&mut self.rest)?, take_text(&mut self.rest)?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

fn put_number(text: &mut String, number: usize) {
    let digit = |place: usize| char::from_u32((number >> (15 * place)) as u32 & LONG);
    if number < LONG as usize {
        text.extend(digit(0));
    } else {
        text.extend([char::from_u32(LONG), digit(0), digit(1), digit(2)].into_iter().flatten());
    }
}

fn take_number(rest: &mut &str) -> Option<usize> {
    let mut chars = rest.chars();
    let mut next = || chars.next().map(|digit| digit as usize);
    let first = next()?;
    let number =
        if first < LONG as usize { first } else { next()? | next()? << 15 | next()? << 30 };
    *rest = chars.as_str();
    Some(number)
}

fn take_text<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let length = take_number(rest)?;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(text)
}

/// By the first label that differs, its name before its value.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// As Prometheus writes them: `{mount="/",device="vda"}`, nothing where there is none.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.iter().enumerate() {
            f.write_str(if at == 0 { "{" } else { "," })?;
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(f, "{name}=\"{value}\"")?;
        }
        if self.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.iter().len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::collections::BTreeMap::<String, String>::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_giving_does_not_matter() {
        let one = Labels::new([("mount", "/"), ("device", "vda")]);
        let other = Labels::new([("device", "vda"), ("mount", "/")]);
        assert_eq!(one, other);
        assert_eq!(one.to_string(), r#"{device="vda",mount="/"}"#);
    }
    #[test]
    fn texts_of_any_length_and_content_come_back() {
        let long = |length: usize| "ß".repeat(length / 2);
        for length in [0, 2, 126, 128, 0x7ffe, 0x8000, 3 << 15] {
            let labels = Labels::new([("a", long(length)), ("\0", "\0\u{7fff}".into())]);
            let all: Vec<_> = labels.iter().collect();
            assert_eq!(all, [("\0", "\0\u{7fff}"), ("a", &*long(length))]);
            assert_eq!(labels.iter().len(), 2);
        }
        assert_eq!((Labels::default().iter().len(), Labels::default().get("a")), (0, None));
        assert_eq!(Labels::new([("", ""); 0]), Labels::default());
    }

    #[test]
    fn they_are_ordered_by_their_first_difference() {
        let of = |pairs: &[(&str, &str)]| Labels::new(pairs.iter().copied());
        let ascending = [
            of(&[]),
            of(&[("a", "1")]),
            of(&[("a", "1"), ("b", "")]),
            of(&[("a", "10")]),
            of(&[("b", "")]),
        ];
        assert!(ascending.is_sorted_by(|one, other| one < other), "{ascending:?}");
    }
}
