//! A table of the file, read key by key, with every problem noted where it stands.
//!
//! A section's `read` function asks for each key by name. What was asked for is
//! what is known: every other key in the table is then refused, so the list of
//! keys is written once.

#[cfg(test)]
use std::collections::BTreeSet;
use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Problem, nearest, value::a_type};

/// Notes the problems of one file.
pub(super) struct Reader {
    text: String,
    file: String,
    problems: Vec<Problem>,
    /// Keys that were asked for: those that the file gives, and those that it does not.
    #[cfg(test)]
    pub(super) given: BTreeSet<String>,
    #[cfg(test)]
    pub(super) absent: BTreeSet<String>,
}

/// The line of a place in `text`, from 1.
pub(super) fn line_of(text: &str, at_bytes: usize) -> usize {
    1 + text.bytes().take(at_bytes).filter(|&byte| byte == b'\n').count()
}

/// The table that stands in the array `key` of `table` at place `at`.
pub(super) fn element<'t>(table: &'t DeTable<'t>, key: &str, at: usize) -> Option<&'t DeTable<'t>> {
    table.get(key)?.get_ref().as_array()?.get(at)?.get_ref().as_table()
}

impl Reader {
    /// A reader of `text`, which problems call `file`.
    pub(super) fn new(text: &str, file: &str) -> Self {
        Self {
            text: text.to_owned(),
            file: file.to_owned(),
            problems: Vec::new(),
            #[cfg(test)]
            given: BTreeSet::new(),
            #[cfg(test)]
            absent: BTreeSet::new(),
        }
    }

    /// Reads the whole file.
    pub(super) fn read<T>(&mut self, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let text = self.text.clone();
        let (document, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            self.note(error.span().unwrap_or_default(), "", error.message());
        }
        self.section(String::new(), 0..0, document.get_ref(), read)
    }

    /// What is wrong, by line. Where a line is not TOML, only that is told of
    /// it: the rest would follow from a guess.
    pub(super) fn problems(self) -> Vec<Problem> {
        let mut problems = self.problems;
        problems.sort();
        problems.dedup();
        let broken: Vec<usize> =
            problems.iter().filter(|problem| problem.key.is_empty()).map(|p| p.line).collect();
        problems.retain(|problem| problem.key.is_empty() || !broken.contains(&problem.line));
        problems
    }

    fn section<T>(
        &mut self,
        path: String,
        span: Range<usize>,
        table: &DeTable<'_>,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let mut section = Section { reader: self, path, span, table, known: Vec::new() };
        let read = read(&mut section);
        section.refuse_unknown();
        read
    }

    fn note(&mut self, span: Range<usize>, key: &str, reason: impl Into<String>) {
        self.problems.push(Problem {
            file: self.file.clone(),
            line: line_of(&self.text, span.start),
            key: key.to_owned(),
            reason: reason.into(),
        });
    }
}

/// One table of the file. Where the file has none, it is empty.
pub(super) struct Section<'a> {
    reader: &'a mut Reader,
    /// Its key with the sections around it; empty for the whole file.
    path: String,
    /// Where it begins.
    span: Range<usize>,
    table: &'a DeTable<'a>,
    known: Vec<&'static str>,
}

impl Section<'_> {
    /// The value of `key`, as `parse` understands it; `None` if it is absent or refused.
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let (span, value) = self.find(key)?;
        let parsed = parse(value.get_ref());
        parsed.map_err(|reason| self.reader.note(span, &self.path_of(key), reason)).ok()
    }

    /// The elements of the array `key`, as `parse` understands each.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let (span, value) = self.find(key)?;
        let path = self.path_of(key);
        let DeValue::Array(elements) = value.get_ref() else {
            let reason = format!("must be an array, not {}", a_type(value.get_ref()));
            self.reader.note(span, &path, reason);
            return None;
        };
        let mut list = Vec::new();
        for element in elements.iter() {
            match parse(element.get_ref()) {
                Ok(element) => list.push(element),
                Err(reason) => self.reader.note(element.span(), &path, reason),
            }
        }
        Some(list)
    }

    /// The entries of the table `key`, whose keys are free; `parse` understands each.
    pub(super) fn entries<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str, &DeValue<'_>) -> Result<T, String>,
    ) -> BTreeMap<String, T> {
        let mut entries = BTreeMap::new();
        let Some((span, value)) = self.find(key) else { return entries };
        let path = self.path_of(key);
        let DeValue::Table(table) = value.get_ref() else {
            self.reader.note(span, &path, not_a_table(value.get_ref()));
            return entries;
        };
        for (name, value) in table.iter() {
            match parse(name.get_ref(), value.get_ref()) {
                Ok(parsed) => drop(entries.insert(name.get_ref().to_string(), parsed)),
                Err(reason) => {
                    self.reader.note(name.span(), &format!("{path}.{}", name.get_ref()), reason);
                }
            }
        }
        entries
    }

    /// The table `key`; where the file has none, an empty one.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let path = self.path_of(key);
        let empty = DeTable::new();
        let (span, table) = match self.find(key) {
            Some((span, value)) => match value.get_ref() {
                DeValue::Table(table) => (span, table),
                other => {
                    self.reader.note(span.clone(), &path, not_a_table(other));
                    (span, &empty)
                }
            },
            None => (0..0, &empty),
        };
        self.reader.section(path, span, table, read)
    }

    /// The table `key`; `None` where the file has none, or no table.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> Option<T> {
        let path = self.path_of(key);
        let (span, value) = self.find(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(self.reader.section(path, span, table, read)),
            other => {
                self.reader.note(span, &path, not_a_table(other));
                None
            }
        }
    }

    /// The tables written `[key.NAME]`, whose names are free, by name; each is such as `example`.
    pub(super) fn named<T>(
        &mut self,
        key: &'static str,
        example: &str,
        mut read: impl FnMut(&str, &mut Section<'_>) -> T,
    ) -> Vec<T> {
        let path = self.path_of(key);
        let Some((span, value)) = self.find(key) else { return Vec::new() };
        let DeValue::Table(table) = value.get_ref() else {
            self.reader.note(span, &path, not_a_table(value.get_ref()));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, value) in table.iter() {
            let (path, span) = (format!("{path}.{}", name.get_ref()), name.span());
            match value.get_ref() {
                DeValue::Table(table) => {
                    let read = |section: &mut Section<'_>| read(name.get_ref(), section);
                    tables.push(self.reader.section(path, span, table, read));
                }
                other => {
                    let reason =
                        format!("must be a table such as {example}, not {}", a_type(other));
                    self.reader.note(span, &path, reason);
                }
            }
        }
        tables
    }

    /// The tables written `[[key]]`, in their order.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'_>) -> T,
    ) -> Vec<T> {
        let path = self.path_of(key);
        let Some((span, value)) = self.find(key) else { return Vec::new() };
        let DeValue::Array(elements) = value.get_ref() else {
            let reason = format!("must be written `[[{path}]]`, once for each");
            self.reader.note(span, &path, reason);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for element in elements.iter() {
            match element.get_ref() {
                DeValue::Table(table) => {
                    let span = element.span();
                    tables.push(self.reader.section(path.clone(), span, table, &mut read));
                }
                other => self.reader.note(element.span(), &path, not_a_table(other)),
            }
        }
        tables
    }

    /// Whether the file gives `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether the file gives a table as `key`.
    pub(super) fn has_table(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| value.get_ref().is_table())
    }

    /// Whether the file gives `key` as anything but an empty array.
    pub(super) fn fills(&self, key: &str) -> bool {
        let value = self.table.get(key).map(|value| value.get_ref());
        value.is_some_and(|value| value.as_array().is_none_or(|array| !array.is_empty()))
    }

    /// Refuses the section as a whole, where it begins.
    pub(super) fn refuse_whole(&mut self, reason: impl Into<String>) {
        self.reader.note(self.span.clone(), &self.path, reason);
    }

    /// Refuses `key`, where it stands or, if it is absent, where the section begins.
    pub(super) fn refuse(&mut self, key: &str, reason: impl Into<String>) {
        let entry = self.table.get_key_value(key);
        let span = entry.map_or(self.span.clone(), |(name, _)| name.span());
        self.reader.note(span, &self.path_of(key), reason);
    }

    /// `key` with the sections around it.
    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    fn refuse_unknown(&mut self) {
        for (name, _) in self.table.iter() {
            let key: &str = name.get_ref();
            if self.known.contains(&key) {
                continue;
            }
            let reason = match nearest(key, self.known.iter().copied()) {
                Some(meant) => format!("unknown key, did you mean `{meant}`?"),
                None => format!("unknown key, known here: {}", self.known.join(", ")),
            };
            self.reader.note(name.span(), &self.path_of(key), reason);
        }
    }
}

impl<'a> Section<'a> {
    /// Where `key` is written, and its value. From here on it is known.
    fn find(&mut self, key: &'static str) -> Option<(Range<usize>, &'a Spanned<DeValue<'a>>)> {
        self.known.push(key);
        let found = self.table.get_key_value(key);
        #[cfg(test)]
        {
            let path = self.path_of(key);
            let asked = &mut *self.reader;
            if found.is_some() { &mut asked.given } else { &mut asked.absent }.insert(path);
        }
        found.map(|(name, value)| (name.span(), value))
    }
}

fn not_a_table(value: &DeValue<'_>) -> String {
    format!("must be a table, not {}", a_type(value))
}
