//! Which address gives what.

use std::{convert::Infallible, sync::Arc};

use warp::{
    Filter, Rejection,
    filters::BoxedFilter,
    http::Method,
    reply::{Reply, Response},
};

use super::{
    access::{Right, is_reading},
    alerts, answers,
    context::{Context, Visit},
    enrol, ingest, query,
    reply::{Problem, json, secured},
    seen, servers, sharing, stream,
    targets::TargetsView,
    upkeep,
    views::{ActorView, HealthView, PluginsView},
};

/// All routes. Every request is answered, one way or another.
pub(super) type Routes = BoxedFilter<(Response,)>;

/// Every route over `context`.
pub(super) fn all(context: &Arc<Context>) -> Routes {
    let public = stream_route(context).or(signin_route(context)).unify();
    let public = public.or(enrol::own_route(context)).unify();
    // Who writes has a right that is judged by what is written.
    let written = warp::path!("api" / "v1" / ..).and(ingest::routes(context));
    let written = written.or(ingest::otlp_route(context)).unify().or(seen::route(context)).unify();
    let written = written.or(sharing::route(context)).unify().boxed();
    let public = public.or(written).unify().boxed();
    let v1 = warp::path!("api" / "v1" / ..).and(api_routes(context));
    let rest = v1.or(metrics_route(context)).unify().or(page_route(context)).unify();
    admitted()
        .and(public.or(settled(permitted().and(rest))).unify())
        .recover(
            |rejection| async move { Ok::<_, Infallible>(Problem::of(&rejection).into_response()) },
        )
        .unify()
        .map(secured)
        .boxed()
}

/// A route that answers for itself whatever is wrong with a request to its
/// address, so that no other route is asked.
pub(super) fn settled<F>(route: F) -> BoxedFilter<(Response,)>
where
    F: Filter<Extract = (Response,), Error = Rejection> + Clone + Send + Sync + 'static,
{
    let settle = |rejection: Rejection| async move {
        if rejection.is_not_found() {
            Err(rejection)
        } else {
            Ok(Problem::of(&rejection).into_response())
        }
    };
    route.recover(settle).unify().boxed()
}

/// Refuses what access refuses.
fn admitted() -> BoxedFilter<()> {
    let judge = |visit: Visit| async move { visit.verdict.map(drop).map_err(Rejection::from) };
    warp::ext::get::<Visit>().and_then(judge).untuple_one().boxed()
}

/// Refuses who has not the right that is needed.
fn permitted() -> BoxedFilter<()> {
    let judge = |visit: Visit| async move {
        match visit.verdict {
            Ok(Right::Missing) => Err(Rejection::from(visit.has_no_right())),
            _ => Ok(()),
        }
    };
    warp::ext::get::<Visit>().and_then(judge).untuple_one().boxed()
}

/// Refuses who is no administrator, even where reading is free.
pub(super) fn administrating() -> BoxedFilter<()> {
    let judge = |visit: Visit| async move {
        match visit.verdict {
            Ok(Right::Administrator) => Ok(()),
            _ => Err(Rejection::from(visit.has_no_right())),
        }
    };
    warp::ext::get::<Visit>().and_then(judge).untuple_one().boxed()
}

/// Lets only requests of this method on to a route; others may be for another one.
pub(super) fn only(method: Method) -> impl Filter<Extract = (), Error = Rejection> + Clone {
    let judge = move |asked: Method| {
        let fits = asked == method;
        async move { fits.then_some(()).ok_or_else(warp::reject::not_found) }
    };
    warp::method().and_then(judge).untuple_one()
}

/// Refuses every method but GET and HEAD.
pub(super) fn reading() -> impl Filter<Extract = (), Error = Rejection> + Clone + use<> {
    let judge = |method: Method| async move {
        is_reading(&method)
            .then_some(())
            .ok_or_else(|| Rejection::from(Problem::method_not_allowed()))
    };
    warp::method().and_then(judge).untuple_one()
}

pub(super) fn with(
    context: &Arc<Context>,
) -> impl Filter<Extract = (Arc<Context>,), Error = Infallible> + Clone + use<> {
    let context = context.clone();
    warp::any().map(move || context.clone())
}

/// The query string; empty where there is none.
pub(super) fn raw_query() -> impl Filter<Extract = (String,), Error = Infallible> + Clone + use<> {
    warp::query::raw().or(warp::any().map(String::new)).unify()
}

/// Refuses every query string.
pub(super) fn no_query() -> impl Filter<Extract = (), Error = Rejection> + Clone + use<> {
    let judge = |text: String| async move { query::none(&text).map_err(Rejection::from) };
    raw_query().and_then(judge).untuple_one()
}

fn stream_route(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let route = warp::path!("api" / "v1" / "stream")
        .and(reading())
        .and(no_query())
        .and(warp::ws())
        .and(warp::header::optional("sec-websocket-protocol"))
        .and(warp::ext::get::<Visit>())
        .and(with(context))
        .and_then(|ws, protocols, visit, context| async move {
            stream::upgrade(ws, protocols, visit, context).map_err(Rejection::from)
        });
    settled(route)
}

fn signin_route(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let paths = warp::path!("signin").or(warp::path!("api" / "v1" / "signin")).unify();
    settled(paths.and(reading()).and(raw_query()).and(with(context)).and_then(answers::sign_in))
}

fn api_routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let read = |path, answer| read(context, path, answer);
    let health = read(warp::path!("health").boxed(), |_| json(&HealthView { status: "ok" }));
    let ready = read(warp::path!("ready").boxed(), answers::ready);
    let actors = read(warp::path!("actors").boxed(), |context| {
        json(&ActorView::from(context.tree.root().view()))
    });
    let plugins = read(warp::path!("plugins").boxed(), |context| {
        json(&PluginsView::new(&(context.plugins)()))
    });
    let targets = read(warp::path!("forward").boxed(), |context| {
        json(&TargetsView { targets: (context.targets)() })
    });
    let metrics = read(warp::path!("metrics").boxed(), answers::metrics);
    let list = warp::path!("servers" / String / "series")
        .and(reading())
        .and(no_query())
        .and(with(context))
        .and_then(answers::series_list);
    let series = warp::path!("series")
        .and(reading())
        .and(raw_query())
        .and(warp::header::headers_cloned())
        .and(with(context))
        .and_then(answers::series);
    let short =
        health.or(ready).unify().or(servers::routes(context)).unify().or(actors).unify().boxed();
    let long = plugins
        .or(targets)
        .unify()
        .or(metrics)
        .unify()
        .or(settled(list))
        .unify()
        .or(settled(series))
        .unify()
        .or(ingest::view_route(context))
        .unify()
        .or(upkeep::routes(context))
        .unify();
    // Before those that take the same addresses for reading alone.
    let enrol = enrol::routes(context);
    enrol.or(short).unify().or(long).unify().or(alerts::routes(context)).unify().boxed()
}

fn metrics_route(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    read(context, warp::path!("metrics").boxed(), answers::metrics)
}

/// A route that needs nothing but the context.
pub(super) fn read(
    context: &Arc<Context>,
    path: BoxedFilter<()>,
    answer: fn(Arc<Context>) -> Response,
) -> BoxedFilter<(Response,)> {
    settled(path.and(reading()).and(no_query()).and(with(context)).map(answer))
}

fn page_route(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    warp::path::full()
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(with(context))
        .and_then(answers::page)
        .boxed()
}
