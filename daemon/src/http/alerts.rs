//! What the addresses about incidents and notices answer, and what they let people do.

use std::sync::Arc;

use serde::{Deserialize, de::DeserializeOwned};
use warp::{
    Filter, Rejection,
    filters::BoxedFilter,
    http::{Method, StatusCode},
    hyper::body::Bytes,
    reply::Response,
};

use super::{
    alert_views::{DeliveryView, IncidentView, IncidentsView, TestView, WholeIncidentView},
    context::Context,
    query,
    reply::{Problem, json},
    routes::{raw_query, read, reading, settled, with},
};
use crate::alert::messages::{DeskError, IncidentId, IncidentView as Known};

/// Notices that are shown of all.
const NOTICES_MAX: usize = 200;
/// Longest body of a wish, in bytes.
const BODY_MAX: u64 = 4096;
/// Longest name of somebody who takes an incident on, in characters.
const NAME_MAX: usize = 64;

/// Every route about incidents and notices.
pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let list =
        warp::path!("incidents").and(reading()).and(raw_query()).and(with(context)).and_then(
            |text: String, context| async move { list(&text, context).map_err(Rejection::from) },
        );
    let one = warp::path!("incidents" / String)
        .and(reading())
        .and(raw_query())
        .and(with(context))
        .and_then(|id: String, text: String, context| async move {
            query::none(&text).and_then(|()| one(&id, context)).map_err(Rejection::from)
        });
    let acknowledge = warp::path!("incidents" / String / "ack")
        .and(changing(BODY_MAX))
        .and(with(context))
        .and_then(|id: String, body, context| async move {
            acknowledge(&id, body, context).await.map_err(Rejection::from)
        });
    let test = warp::path!("notify" / "test").and(changing(BODY_MAX)).and(with(context)).and_then(
        |body, context| async move { test(body, context).await.map_err(Rejection::from) },
    );
    let delivery = read(context, warp::path!("delivery").boxed(), |context| {
        let (ways, notices) = context.alerts.delivery(NOTICES_MAX);
        json(&DeliveryView::new(&ways, &notices))
    });
    let looks = settled(list).or(settled(one)).unify().or(delivery).unify();
    looks.or(settled(acknowledge)).unify().or(settled(test)).unify().boxed()
}

/// Takes POST alone, with a body of at most so many bytes. Whoever may not change anything was refused before.
pub(super) fn changing(
    body_max: u64,
) -> impl Filter<Extract = (Bytes,), Error = Rejection> + Clone {
    let judge = |method: Method| async move {
        (method == Method::POST)
            .then_some(())
            .ok_or_else(|| Rejection::from(Problem::post_required()))
    };
    warp::method()
        .and_then(judge)
        .untuple_one()
        .and(warp::body::content_length_limit(body_max))
        .and(warp::body::bytes())
}

fn list(text: &str, context: Arc<Context>) -> Result<Response, Problem> {
    let asked = Asked::read(text)?;
    let fits = |server: &str| asked.server.as_ref().is_none_or(|wanted| *wanted == *server);
    let mut incidents = context.alerts.incidents();
    incidents.retain(|Known { incident, .. }| {
        fits(&incident.key.server) && asked.open.is_none_or(|open| open == incident.is_open())
    });
    let mut pending = context.alerts.pending();
    pending.retain(|pending| fits(&pending.key.server));
    Ok(json(&IncidentsView::new(&incidents, &pending)))
}

fn one(id: &str, context: Arc<Context>) -> Result<Response, Problem> {
    let id = number(id)?;
    let (incident, notices) = context.alerts.incident(id).ok_or_else(|| unknown(id))?;
    Ok(json(&WholeIncidentView::new(&incident, &notices)))
}

async fn acknowledge(id: &str, body: Bytes, context: Arc<Context>) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        by: String,
    }
    let id = number(id)?;
    let Wish { by } = wish(&body, r#"{"by": "your name"}"#)?;
    let by = by.trim();
    if by.is_empty() || by.chars().count() > NAME_MAX || by.contains(char::is_control) {
        let detail = format!("by must be a name of at most {NAME_MAX} characters");
        return Err(Problem::bad_request(detail));
    }
    context.alerts.acknowledge(id, by.into()).await.map_err(refused)?;
    tracing::info!(incident = id.0, by, "incident acknowledged");
    let (incident, _) = context.alerts.incident(id).ok_or_else(|| unknown(id))?;
    Ok(json(&IncidentView::new(&incident)))
}

async fn test(body: Bytes, context: Arc<Context>) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        contact: String,
    }
    let Wish { contact } = wish(&body, r#"{"contact": "ops"}"#)?;
    let hops = context.alerts.test(contact.clone()).await.map_err(refused)?;
    Ok(json(&TestView::new(&contact, &hops)))
}

/// What is asked of the list.
struct Asked {
    open: Option<bool>,
    server: Option<String>,
}

impl Asked {
    fn read(text: &str) -> Result<Self, Problem> {
        let (mut state, mut server) = (None, None);
        for (name, value) in query::pairs(text)? {
            match &*name {
                "state" => query::once(&mut state, &name, value)?,
                "server" => query::once(&mut server, &name, value)?,
                _ => return Err(query::unknown(&name, "state and server")),
            }
        }
        let open = match state.as_deref() {
            None | Some("all") => None,
            Some("firing") => Some(true),
            Some("closed") => Some(false),
            Some(other) => {
                let detail = format!("state is `{other}`, must be firing, closed or all");
                return Err(Problem::bad_request(detail));
            }
        };
        Ok(Self { open, server })
    }
}

fn number(text: &str) -> Result<IncidentId, Problem> {
    let bad = |_| Problem::not_found(format!("no incident is called `{text}`; they have numbers"));
    text.parse().map(IncidentId).map_err(bad)
}

/// What the body wishes, which must be JSON such as `example`.
pub(super) fn wish<T: DeserializeOwned>(body: &Bytes, example: &str) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::bad_request(format!("the body must be JSON such as {example}: {error}"))
    })
}

fn unknown(id: IncidentId) -> Problem {
    let detail =
        format!("there is no incident {}; GET /api/v1/incidents names those that are kept", id.0);
    Problem::not_found(detail)
}

fn refused(error: DeskError) -> Problem {
    match error {
        DeskError::Unknown(id) => unknown(id),
        DeskError::Over(_) => Problem::new(StatusCode::CONFLICT, "over", error.to_string()),
        DeskError::Nobody { name, known } => {
            Problem::not_found(format!("no contact is called `{name}`; {known}"))
        }
        DeskError::Unkept => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unkept", error.to_string())
        }
        DeskError::Busy => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string()),
    }
}
