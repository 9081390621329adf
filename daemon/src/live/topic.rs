//! What a viewer can follow.

use std::{fmt, sync::Arc};

/// A topic of the stream, by its name in frames.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// `wall`: a row for each server.
    Wall,
    /// `wall:NAME`: the wall's row of one server.
    WallOf(Arc<str>),
    /// `server:NAME`: a row for each series of one server.
    Server(Arc<str>),
    /// `actors`: a row for each node of the supervision tree.
    Actors,
    /// `alerts`: a row for each incident that lasts or ended lately, and for what may become one.
    Alerts,
}

/// Why a name is no topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown topic; there are wall, wall:NAME, server:NAME, alerts and actors")]
pub struct TopicError;

impl Topic {
    /// Longest name of a server that can be followed, in bytes.
    const NAME_MAX: usize = 255;

    /// Reads a topic's name.
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        match text.split_once(':') {
            None if text == "wall" => Ok(Self::Wall),
            None if text == "actors" => Ok(Self::Actors),
            None if text == "alerts" => Ok(Self::Alerts),
            Some((_, name)) if name.is_empty() || name.len() > Self::NAME_MAX => Err(TopicError),
            Some(("wall", name)) => Ok(Self::WallOf(name.into())),
            Some(("server", name)) => Ok(Self::Server(name.into())),
            _ => Err(TopicError),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wall => f.write_str("wall"),
            Self::WallOf(name) => write!(f, "wall:{name}"),
            Self::Server(name) => write!(f, "server:{name}"),
            Self::Actors => f.write_str("actors"),
            Self::Alerts => f.write_str("alerts"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["wall", "wall:web-1", "server:a:b", "actors", "alerts"] {
            assert_eq!(Topic::parse(name).map(|topic| topic.to_string()).as_deref(), Ok(name));
        }
        let long = format!("server:{}", "x".repeat(256));
        for name in ["", "walls", "wall:", "server", "actors:x", &long] {
            assert_eq!(Topic::parse(name), Err(TopicError), "{name}");
        }
    }
}
