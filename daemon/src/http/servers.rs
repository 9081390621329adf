//! Servers: who is watched, by tag, state or name, and which tags there are.

use std::sync::Arc;

use warp::{Filter, filters::BoxedFilter, reply::Response};

use super::{
    context::Context,
    query,
    reply::{Problem, json},
    routes::{raw_query, read, reading, settled, with},
    views::{ServersView, TagsView},
};
use crate::live::messages::{ServerState, ServerStatus};

/// `GET /servers` and `GET /tags`.
pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let servers =
        warp::path!("servers").and(reading()).and(raw_query()).and(with(context)).and_then(
            |text: String, context: Arc<Context>| async move {
                servers(&text, &context).map_err(warp::Rejection::from)
            },
        );
    let tags = read(context, warp::path!("tags").boxed(), |context| {
        json(&TagsView::new(&context.live.tagged()))
    });
    settled(servers).or(tags).unify().boxed()
}

fn servers(text: &str, context: &Context) -> Result<Response, Problem> {
    let wanted = Wanted::read(text)?;
    let servers = context.live.servers(|status, state| wanted.includes(status, state));
    Ok(json(&ServersView::new(&servers)))
}

/// Which servers somebody asks for.
#[derive(Debug, Default, PartialEq)]
struct Wanted {
    /// Tags, all of which one must have.
    tags: Vec<(String, String)>,
    /// States, one of which it must be in.
    states: Vec<ServerState>,
    /// What its name must contain, in whatever case.
    part: Option<String>,
}

impl Wanted {
    fn read(text: &str) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        for (name, value) in query::pairs(text)? {
            match &*name {
                "tag" => wanted.tags.push(tag(&value)?),
                "state" => wanted.states.push(state(&value)?),
                "q" => query::once(&mut wanted.part, &name, value.to_lowercase())?,
                other => return Err(query::unknown(other, "tag, state and q")),
            }
        }
        Ok(wanted)
    }

    fn includes(&self, status: &ServerStatus, state: ServerState) -> bool {
        let has = |(name, value): &(String, String)| status.tags.get(name) == Some(value);
        let contains = |part: &String| status.name.to_lowercase().contains(part);
        self.tags.iter().all(has)
            && (self.states.is_empty() || self.states.contains(&state))
            && self.part.as_ref().is_none_or(contains)
    }
}

fn tag(text: &str) -> Result<(String, String), Problem> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = parts.ok_or_else(|| {
        Problem::bad_request(format!(
            "tag is `{text}`, must be a name and a value such as `env=prod`"
        ))
    })?;
    Ok((name.into(), value.into()))
}

fn state(text: &str) -> Result<ServerState, Problem> {
    let known = ServerState::ALL.into_iter().find(|state| state.name() == text);
    known.ok_or_else(|| {
        let names = ServerState::ALL.map(ServerState::name).join(", ");
        Problem::bad_request(format!("state is `{text}`, must be one of {names}"))
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn what_is_wanted_is_read_strictly() {
        let wanted = Wanted::read("tag=env%3Dprod&tag=a=b=c&state=offline&state=up&q=Web").unwrap();
        let tags = [("env", "prod"), ("a", "b=c")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let states = vec![ServerState::Offline, ServerState::Up];
        assert_eq!(wanted, Wanted { tags: tags.into(), states, part: Some("web".into()) });
        check("tag=prod", "tag is `prod`");
        check("state=dead", "must be one of up, degraded, unknown, offline");
        check("q=a&q=b", "`q` is given twice");
        check("name=a", "unknown key `name`");
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let problem = Wanted::read(text).unwrap_err();
        assert!(problem.detail.contains(expected), "{}", problem.detail);
    }
}
