//! Words with `*` and `?`, and lists of them that choose servers and labels.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::value;

/// A glob: `*` stands for any letters, `?` for one, everything else for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// The glob that is written so.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether `word` fits, whole. Takes time in proportion to both lengths at most multiplied.
    pub fn fits(&self, word: &str) -> bool {
        let (glob, word): (Vec<char>, Vec<char>) =
            (self.0.chars().collect(), word.chars().collect());
        let (mut at, mut read) = (0, 0);
        // Where the last `*` stands, and how many letters it has been given.
        let mut star: Option<(usize, usize)> = None;
        while read < word.len() {
            match glob.get(at) {
                Some('*') => {
                    star = Some((at, read));
                    at += 1;
                }
                Some(&letter) if letter == '?' || Some(&letter) == word.get(read) => {
                    at += 1;
                    read += 1;
                }
                _ => {
                    let Some((after, given)) = star else { return false };
                    star = Some((after, given + 1));
                    (at, read) = (after + 1, given + 1);
                }
            }
        }
        glob.iter().skip(at).all(|&letter| letter == '*')
    }
}

/// Whether `name`, which a token was made for, stands for `server`: `*` is any letters there, and without one a name is
/// but itself, whatever signs it holds.
pub fn stands_for(name: &str, server: &str) -> bool {
    name == server || (name.contains('*') && Glob::new(name).fits(server))
}

/// A glob that chooses, or with a leading `!` excludes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Whether what fits is excluded.
    pub excludes: bool,
    /// What fits.
    pub glob: Glob,
}

impl Pattern {
    /// The pattern that is written so.
    pub fn new(text: &str) -> Self {
        match text.strip_prefix('!') {
            Some(rest) => Self { excludes: true, glob: Glob::new(rest) },
            None => Self { excludes: false, glob: Glob::new(text) },
        }
    }

    /// Whether it lets `word` through.
    pub fn allows(&self, word: &str) -> bool {
        self.glob.fits(word) != self.excludes
    }

    /// Whether `word` is among those that `patterns` choose: one of those that choose fits, or none chooses, and none
    /// that excludes fits.
    pub fn choose(patterns: &[Self], word: &str) -> bool {
        let mut choosing = patterns.iter().filter(|pattern| !pattern.excludes).peekable();
        let chosen = choosing.peek().is_none() || choosing.any(|pattern| pattern.glob.fits(word));
        chosen && !patterns.iter().any(|pattern| pattern.excludes && pattern.glob.fits(word))
    }
}

/// Servers by name or by tag: `web-*`, `tag:env=prod`, with a leading `!` to exclude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Whether what fits is excluded.
    pub excludes: bool,
    /// The tag that is looked at; the server's name where there is none.
    pub tag: Option<String>,
    /// What its value, or the name, must be.
    pub glob: Glob,
}

impl Selector {
    /// The selector that `text` says, such as `!tag:env=dev`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (excludes, chosen) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (tag, glob) = match chosen.strip_prefix("tag:") {
            None => (None, chosen),
            Some(tag) => match tag.split_once('=') {
                Some((tag, glob)) if !tag.is_empty() => (Some(tag.to_owned()), glob),
                _ => return Err(format!("is `{text}`, must be a tag such as \"tag:env=prod\"")),
            },
        };
        if tag.is_none() && glob.is_empty() {
            return Err(format!(
                "is `{text}`, must be a server's name, a pattern such as \"web-*\", or a tag such \
                 as \"tag:env=prod\""
            ));
        }
        Ok(Self { excludes, tag, glob: Glob::new(glob) })
    }

    /// Reads one of a list of them.
    pub(super) fn read(value: &DeValue<'_>) -> Result<Self, String> {
        Self::parse(value::text(value)?)
    }

    /// Whether a server of this name with these tags is among those that `selectors` choose:
    /// one of those that choose fits, or none chooses, and none that excludes fits.
    pub fn choose(selectors: &[Self], name: &str, tags: &BTreeMap<String, String>) -> bool {
        let fits = |selector: &&Self| match &selector.tag {
            None => selector.glob.fits(name),
            Some(tag) => tags.get(tag).is_some_and(|value| selector.glob.fits(value)),
        };
        let mut choosing = selectors.iter().filter(|selector| !selector.excludes).peekable();
        let chosen = choosing.peek().is_none() || choosing.any(|selector| fits(&selector));
        chosen
            && !selectors
                .iter()
                .filter(|selector| selector.excludes)
                .any(|selector| fits(&selector))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters_and_a_question_mark_for_one() {
        let fits = |glob: &str, word: &str| Glob::new(glob).fits(word);
        assert!(fits("*", "") && fits("*", "any"));
        assert!(fits("web-*", "web-1") && !fits("web-*", "db-web-1"));
        assert!(fits("/snap/*/x", "/snap/a/b/x"));
        assert!(fits("盘?", "盘一") && !fits("盘?", "盘"));
        assert!(fits("*a*b", "aabab") && !fits("*a*b", "aaba"));
        assert!(!fits("", "a") && fits("", ""));
    }

    #[test]
    fn words_are_chosen_and_excluded_last() {
        let chosen = |patterns: &[&str], word| {
            let patterns: Vec<_> = patterns.iter().map(|text| Pattern::new(text)).collect();
            Pattern::choose(&patterns, word)
        };
        assert!(chosen(&[], "cpu"), "nobody chooses: all are meant");
        assert!(chosen(&["cpu*", "disk*"], "disk_a") && !chosen(&["cpu*"], "disk_a"));
        assert!(chosen(&["!disk*"], "cpu") && !chosen(&["*", "!disk*"], "disk_a"));
    }

    #[test]
    fn servers_are_chosen_by_name_and_tag_and_excluded_last() {
        let tags = |env: &str| [("env".to_owned(), env.to_owned())].into();
        let all_but_dev = ["*", "!tag:env=dev"].map(|text| Selector::parse(text).unwrap());
        assert!(Selector::choose(&all_but_dev, "web-1", &tags("prod")));
        assert!(!Selector::choose(&all_but_dev, "web-1", &tags("dev")));
        assert!(Selector::choose(&[], "web-1", &tags("dev")), "nobody chooses: all are meant");
        assert!(Selector::choose(&all_but_dev[1..], "web-1", &tags("prod")));
        assert!(!Selector::choose(
            &[Selector::parse("tag:role=*").unwrap()],
            "web-1",
            &tags("dev")
        ));
    }

    #[test]
    fn a_selector_that_chooses_nothing_is_refused() {
        for text in ["", "!", "tag:env", "!tag:", "tag:=prod"] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
        assert!(Selector::parse("tag:env=").is_ok(), "an empty value is a value");
    }
}
