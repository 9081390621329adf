//! What people read: a notice in words, in the language of whoever it is for.
//!
//! ```text
//!  Notice ─┬─ subject ──────────► mail
//!          ├─ letter: text, HTML ► mail
//!          └─ items ─────────────► SMS
//! ```
//!
//! # Invariants
//!
//! - Nothing here waits, reads a clock or a file: the same notice at the same time gives the same words.
//! - Names, labels and summaries come from elsewhere: they never break a line, turn the direction of writing, or are
//!   taken for HTML.
//! - A value and its limit never look alike unless they are.

mod letter;
mod name;
mod quantity;
#[cfg(test)]
pub(super) mod samples;
mod sentence;
#[cfg(test)]
mod tests;

pub use letter::{html, plain};
pub use quantity::moment;
pub use sentence::{items, more, subject};

use std::sync::Arc;

use super::{IncidentId, notice::NoticeId};
use crate::config::Language;

/// Who sends: what notices say of the daemon itself.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Where people reach the dashboard; without it notices carry no link.
    pub public_url: Option<String>,
    /// The daemon's own id, which tells its notices from those of another one.
    pub hub: Arc<str>,
}

impl Sender {
    /// What tells a notice from every other, of whatever daemon; the same at each attempt.
    pub fn key(&self, notice: NoticeId) -> String {
        format!("{}-{}", self.hub, notice.0)
    }

    /// The page of an incident.
    pub fn link(&self, incident: IncidentId) -> Option<String> {
        let url = self.public_url.as_ref()?;
        Some(format!("{}/a/{}", url.trim_end_matches('/'), incident.0))
    }
}

/// `text` on one line: what breaks lines, controls a terminal or turns the direction of writing becomes a space.
pub(super) fn one_line(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    let shown: String =
        text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect();
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// At most `most` characters of `text`, the last of them an ellipsis where it is cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// One of two wordings.
fn say<'a>(language: Language, english: &'a str, chinese: &'a str) -> &'a str {
    match language {
        Language::En => english,
        Language::Zh => chinese,
    }
}
