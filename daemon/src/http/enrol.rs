//! What the addresses answer by which servers are added, removed and renamed, and what a new machine asks first.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use warp::{
    Filter, Rejection,
    filters::BoxedFilter,
    http::{HeaderMap, Method, StatusCode},
    hyper::body::Bytes,
    reply::Response,
};

use super::{
    access::bearer_or_password,
    alerts::{changing, wish},
    context::{Context, Visit},
    enrol_views::{AddedView, ChangedView, EnrolmentView, GrantView, TokensView},
    query, removal,
    reply::{Problem, json},
    routes::{administrating, no_query, only, reading, settled, with},
};
use crate::enrol::EnrolError;

/// Longest body of a wish, in bytes: a name and its tags, however they are escaped.
const BODY_MAX: u64 = 32 * 1024;

pub(super) type Answered = Result<Response, Problem>;

/// Every route for whoever administrates servers.
pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let add_path =
        warp::path!("servers").and(only(Method::POST)).and(changing(BODY_MAX)).and(with(context));
    let add_route = add_path
        .and_then(|body, context| async move { add(body, context).await.map_err(Rejection::from) });
    let remove_path = warp::path!("servers" / String).and(only(Method::DELETE)).and(with(context));
    let remove_route = remove_path.and_then(|name: String, context: Arc<Context>| async move {
        removal::remove(&name, &context).await.map_err(Rejection::from)
    });
    let rename_path =
        warp::path!("servers" / String / "rename").and(changing(BODY_MAX)).and(with(context));
    let rename_route = rename_path.and_then(|name: String, body, context| async move {
        rename(&name, body, context).await.map_err(Rejection::from)
    });
    let enrolment_route = warp::path!("servers" / String / "enrolment")
        .and(reading())
        .and(no_query())
        .and(administrating())
        .and(with(context))
        .and_then(|name: String, context| async move {
            enrolment(&name, context).map_err(Rejection::from)
        });
    let tokens_route = warp::path!("tokens")
        .and(reading())
        .and(no_query())
        .and(administrating())
        .and(with(context))
        .map(|context: Arc<Context>| json(&TokensView::new(&context.tokens.all())));
    let changes = settled(add_route).or(settled(remove_route)).unify();
    let changes = changes.or(settled(rename_route)).unify();
    changes.or(settled(enrolment_route)).unify().or(settled(tokens_route)).unify().boxed()
}

/// What a machine asks that was just given a token: does the hub know it? Needs nothing but that token.
pub(super) fn own_route(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let route = warp::path!("api" / "v1" / "enrolment")
        .and(reading())
        .and(no_query())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Visit>())
        .and(with(context))
        .and_then(|headers: HeaderMap, visit, context| async move {
            own(&headers, &visit, context).map_err(Rejection::from)
        });
    settled(route)
}

fn own(headers: &HeaderMap, visit: &Visit, context: Arc<Context>) -> Answered {
    let token = bearer_or_password(headers).ok_or_else(|| {
        let detail = "send the token of a server as `authorization: Bearer bz_…`";
        Problem::new(StatusCode::UNAUTHORIZED, "token_required", detail)
    })?;
    Ok(json(&GrantView::new(&context.judge_token(&token, visit)?)))
}

async fn add(body: Bytes, context: Arc<Context>) -> Answered {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        name: String,
        #[serde(default)]
        tags: BTreeMap<String, String>,
        #[serde(default)]
        again: bool,
    }
    let Wish { name, tags, again } =
        wish(&body, r#"{"name": "web-1", "tags": {"env": "prod"}, "again": false}"#)?;
    let has_token = context.tokens.enrolment(&name).is_some_and(|known| known.revoked_ms.is_none());
    if !again && !has_token && is_monitored(&name, &context) {
        let detail = format!(
            "`{name}` is monitored already; with `--again` (`\"again\": true`) another machine may \
             write for it too"
        );
        return Err(Problem::new(StatusCode::CONFLICT, "exists", detail));
    }
    let made = context.tokens.add(&name, tags, again).await.map_err(refused)?;
    tracing::info!(server = name, token = &*made.id, again, "server added");
    if !name.contains('*') {
        context.fleet.describe(&name, made.tags);
    }
    let names = &context.access.names;
    let (token, url) = (made.token, names.url());
    let called =
        if name.contains('*') { String::new() } else { format!(" --name {}", quoted(&name)) };
    // A machine that has joined before would refuse another token without it.
    let anew = if again { " --again" } else { "" };
    let command = format!("bartizan join {} --token {token}{called}{anew}", quoted(&url));
    let note = names.url_problem();
    Ok(json(&AddedView { name: &name, token: &token, url: &url, command: &command, note }))
}

async fn rename(name: &str, body: Bytes, context: Arc<Context>) -> Answered {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wish {
        to: String,
    }
    let name = query::decode(name)?;
    let Wish { to } = wish(&body, r#"{"to": "web-2"}"#)?;
    not_configured(&name, &context)?;
    if is_monitored(&to, &context) {
        let detail =
            format!("`{to}` is monitored already; choose another name, or remove it first");
        return Err(Problem::new(StatusCode::CONFLICT, "exists", detail));
    }
    let renamed = context.tokens.rename(&name, &to).await;
    if let (Err(EnrolError::Unknown(_)), Some(token)) = (&renamed, context.tokens.feeding(&name)) {
        let detail = format!(
            "`{name}` came by token {} for `{}`, and has none of its own that could be given another name; \
             rename it on its machine",
            token.id, token.name
        );
        return Err(Problem::new(StatusCode::CONFLICT, "no_own_token", detail));
    }
    renamed.map_err(refused)?;
    context.fleet.rename(&name, &to);
    removal::until_gone(&[&*name].into(), &context).await;
    tracing::info!(from = name, to, "server renamed");
    let note = "new samples belong to the new name; what is stored stays under the former one";
    Ok(json(&ChangedView { name: &to, note }))
}

fn enrolment(name: &str, context: Arc<Context>) -> Answered {
    let name = query::decode(name)?;
    let enrolment = context.tokens.enrolment(&name);
    let enrolment = enrolment.ok_or_else(|| refused(EnrolError::Unknown(name)))?;
    Ok(json(&EnrolmentView::new(&enrolment)))
}

/// What the configuration names would be there again at once, and without a token that it may write with.
pub(super) fn not_configured(name: &str, context: &Context) -> Result<(), Problem> {
    if !context.fleet.is_configured(name) {
        return Ok(());
    }
    let detail = format!(
        "`{name}` is named in the configuration; change it there (`bartizan server add {} --again` \
         replaces its token alone)",
        quoted(name)
    );
    Err(Problem::new(StatusCode::CONFLICT, "configured", detail))
}

pub(super) fn is_monitored(name: &str, context: &Context) -> bool {
    context.fleet.knows(name) || context.fleet.is_configured(name)
}

pub(super) fn refused(error: EnrolError) -> Problem {
    let detail = error.to_string();
    match error {
        EnrolError::Name(_) | EnrolError::Tags(_) => Problem::bad_request(detail),
        EnrolError::Exists { .. } | EnrolError::Former { .. } => {
            Problem::new(StatusCode::CONFLICT, "exists", detail)
        }
        EnrolError::Unknown(_) => Problem::not_found(detail),
        EnrolError::Full(_) => Problem::new(StatusCode::CONFLICT, "too_many_tokens", detail),
        EnrolError::Random | EnrolError::Unkept(_) => {
            tracing::error!(%error, "a change of tokens was not made");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unkept", detail)
        }
    }
}

/// `text` as one word of a shell.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:/@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_shell() {
        for (text, word) in [
            ("web-1.example.org", "web-1.example.org"),
            ("https://hub:9797", "https://hub:9797"),
            ("https://[::1]:9797", "'https://[::1]:9797'"),
            ("two words", "'two words'"),
            ("it's $(x)", r"'it'\''s $(x)'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
