//! The form that most files of `/proc` share: lines, and words between spaces.

use std::{ops::ControlFlow, str};

/// Longest part of a word that an error repeats.
const MAX_SHOWN: usize = 40;

/// Why a file could not be understood. The reading brings no samples; the next one may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to parse `{file}` line {line}: {problem}")]
pub struct ParseError {
    /// The file, by its path below `/proc`.
    pub file: &'static str,
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// The lines of one file.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    file: &'static str,
    number: usize,
    rest: &'a [u8],
}

/// What is left of one line, taken from the left.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    file: &'static str,
    number: usize,
    column: usize,
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    /// The lines of `text`, which errors will call `file`.
    ///
    /// # Errors
    ///
    /// The text is empty, or its last line does not end: it was cut short.
    pub fn new(file: &'static str, text: &'a [u8]) -> Result<Self, ParseError> {
        let lines = Self { file, number: 0, rest: text };
        if text.ends_with(b"\n") {
            return Ok(lines);
        }
        let line = text.iter().filter(|byte| **byte == b'\n').count() + 1;
        let problem = if text.is_empty() { "the file is empty" } else { "the line does not end" };
        Err(ParseError { file, line, problem: problem.to_owned() })
    }

    /// The error of a file that lacks something, named after the last line that was taken.
    #[must_use]
    pub fn lacks(&self, what: &str) -> ParseError {
        ParseError { file: self.file, line: self.number, problem: format!("no {what} up to here") }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let (line, rest) = split_at_first(self.rest, |byte| byte == b'\n');
        self.rest = rest;
        Some(Line { file: self.file, number: self.number, column: 0, rest: line })
    }
}

impl<'a> Line<'a> {
    /// The next word, if there is one.
    pub fn word(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let (word, rest) =
            split_at_first(self.rest.get(start..)?, |byte| byte.is_ascii_whitespace());
        self.rest = rest;
        self.column += 1;
        Some(word)
    }

    /// The next word, which must be there.
    ///
    /// # Errors
    ///
    /// The line ends before it.
    pub fn need(&mut self, what: &str) -> Result<&'a [u8], ParseError> {
        self.word()
            .ok_or_else(|| self.error(format!("ends before column {} ({what})", self.column + 1)))
    }

    /// The next word, as text.
    ///
    /// # Errors
    ///
    /// The line ends before it, or it is not UTF-8.
    pub fn text(&mut self, what: &str) -> Result<&'a str, ParseError> {
        let word = self.need(what)?;
        str::from_utf8(word).map_err(|_| self.wrong(word, what, "must be UTF-8"))
    }

    /// The next word, as a count.
    ///
    /// # Errors
    ///
    /// The line ends before it, or it is not a decimal number of 64 bits.
    pub fn count(&mut self, what: &str) -> Result<u64, ParseError> {
        let word = self.need(what)?;
        number(word).ok_or_else(|| self.wrong(word, what, "must be a count"))
    }

    /// The next word as a count, or zero where an older kernel ends the line before it.
    ///
    /// # Errors
    ///
    /// There is a word, and it is not a count.
    pub fn count_or_zero(&mut self, what: &str) -> Result<u64, ParseError> {
        match self.word() {
            None => Ok(0),
            Some(word) => number(word).ok_or_else(|| self.wrong(word, what, "must be a count")),
        }
    }

    /// The next word as a number with a fraction, finite and not negative.
    ///
    /// # Errors
    ///
    /// The line ends before it, or it is no such number.
    pub fn fraction(&mut self, what: &str) -> Result<f64, ParseError> {
        let word = self.need(what)?;
        fraction(word).ok_or_else(|| self.wrong(word, what, "must be a number from 0 on"))
    }

    /// The next word, which must be `key=` and a number with a fraction.
    ///
    /// # Errors
    ///
    /// The line ends before it, or it is something else.
    pub fn keyed(&mut self, key: &str) -> Result<f64, ParseError> {
        let word = self.need(key)?;
        word.strip_prefix(key.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="))
            .and_then(fraction)
            .ok_or_else(|| self.wrong(word, key, "must be its name, `=` and a number from 0 on"))
    }

    /// Leaves out `words` words; where the line has fewer, the next one that is needed says so.
    pub fn skip(&mut self, words: usize) {
        // The value says only whether the line ended early, and that is not an error here.
        let _ = (0..words).try_for_each(|_| match self.word() {
            Some(_) => ControlFlow::Continue(()),
            None => ControlFlow::Break(()),
        });
    }

    /// What stands before the next `end`, without the space around it. `end` itself is left out.
    ///
    /// # Errors
    ///
    /// The line has no `end`.
    pub fn until(&mut self, end: u8, what: &str) -> Result<&'a [u8], ParseError> {
        if !self.rest.contains(&end) {
            let end = char::from(end);
            return Err(self.error(format!("no `{end}` after column {} ({what})", self.column + 1)));
        }
        let (text, rest) = split_at_first(self.rest, |byte| byte == end);
        self.rest = rest;
        self.column += 1;
        Ok(text.trim_ascii())
    }

    /// All that is left, from the next word on.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest.trim_ascii()
    }

    /// An error of this line.
    #[must_use]
    pub fn error(&self, problem: String) -> ParseError {
        ParseError { file: self.file, line: self.number, problem }
    }

    /// The error of the word taken last.
    #[must_use]
    pub fn wrong(&self, word: &[u8], what: &str, rule: &str) -> ParseError {
        let shown = String::from_utf8_lossy(word.get(..MAX_SHOWN).unwrap_or(word)).into_owned();
        self.error(format!("column {} ({what}) is {shown:?}, {rule}", self.column))
    }
}

/// What stands before the first byte that `ends`, and what stands after it.
fn split_at_first(text: &[u8], ends: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| ends(*byte)) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
        None => (text, &[]),
    }
}

/// Digits and nothing else: `str::parse` would take a sign.
fn number(word: &[u8]) -> Option<u64> {
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

fn fraction(word: &[u8]) -> Option<f64> {
    let value: f64 = str::from_utf8(word).ok()?.parse().ok()?;
    (value.is_finite() && value.is_sign_positive()).then_some(value)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn lines_and_words_come_in_order() {
        let mut lines = Lines::new("stat", b"cpu  1 2\n\n x=0.5 rest of it\n").unwrap();
        let mut first = lines.next().unwrap();
        assert_eq!(first.text("name").unwrap(), "cpu");
        assert_eq!((first.count("user").unwrap(), first.count("nice").unwrap()), (1, 2));
        assert_eq!(first.count_or_zero("steal").unwrap(), 0);
        assert_eq!(lines.next().unwrap().word(), None);
        let mut third = lines.next().unwrap();
        assert_eq!(third.keyed("x").unwrap(), 0.5);
        assert_eq!(third.rest(), b"rest of it");
        assert!(lines.next().is_none());
        assert_eq!(
            lines.lacks("btime").to_string(),
            "failed to parse `stat` line 3: no btime up to here"
        );
    }

    #[test]
    fn a_name_may_end_with_a_sign() {
        let mut lines = Lines::new("net/dev", b"  eth0:12\nlo 1\n").unwrap();
        let mut first = lines.next().unwrap();
        assert_eq!(first.until(b':', "interface").unwrap(), b"eth0");
        assert_eq!(first.count("bytes").unwrap(), 12);
        assert_eq!(
            lines.next().unwrap().until(b':', "interface").unwrap_err().to_string(),
            "failed to parse `net/dev` line 2: no `:` after column 1 (interface)"
        );
    }

    #[test]
    fn errors_name_file_line_and_column() {
        let mut lines = Lines::new("stat", b"a\ncpu 18446744073709551616 -1\n").unwrap();
        let mut line = lines.nth(1).unwrap();
        line.skip(1);
        assert_eq!(
            line.count("user").unwrap_err().to_string(),
            r#"failed to parse `stat` line 2: column 2 (user) is "18446744073709551616", must be a count"#
        );
        assert_eq!(
            line.fraction("nice").unwrap_err().to_string(),
            r#"failed to parse `stat` line 2: column 3 (nice) is "-1", must be a number from 0 on"#
        );
        assert_eq!(
            line.count("system").unwrap_err().to_string(),
            "failed to parse `stat` line 2: ends before column 4 (system)"
        );
    }

    #[test]
    fn a_cut_file_is_an_error_and_not_a_smaller_number() {
        let error = Lines::new("stat", b"cpu 1\ncpu0 12").unwrap_err();
        assert_eq!(error.to_string(), "failed to parse `stat` line 2: the line does not end");
        let error = Lines::new("stat", b"").unwrap_err();
        assert_eq!(error.to_string(), "failed to parse `stat` line 1: the file is empty");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in any::<Vec<u8>>()) {
            for mut line in Lines::new("x", &text).into_iter().flatten() {
                // Whether they are numbers does not matter here.
                let _ = (line.until(b':', "name"), line.count("a"), line.fraction("b"), line.text("c"), line.keyed("d"));
                line.skip(2);
                let _ = line.rest();
            }
        }

        #[test]
        fn every_count_is_read_as_it_was_written(value in any::<u64>()) {
            let text = format!("{value}\n");
            let mut line = Lines::new("x", text.as_bytes()).unwrap().next().unwrap();
            assert_eq!(line.count("value").unwrap(), value);
        }
    }
}
