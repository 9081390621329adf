//! What the store is asked for besides questions about the past: what it consists of, all it holds, a seal, a copy of
//! its state.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream::poll_fn;
use serde::Serialize;
use tokio::{
    runtime::Handle,
    sync::mpsc::{Sender, channel},
    task::spawn_blocking,
    time::timeout,
};
use warp::{
    Filter, Rejection,
    filters::BoxedFilter,
    http::{HeaderValue, StatusCode, header},
    reply::{Reply, Response},
};

use super::{
    alerts::changing,
    context::Context,
    query,
    reply::{Problem, json},
    routes::{no_query, raw_query, reading, settled, with},
};
use crate::{
    exchange::{Format, TextWriter},
    logging::chain,
    store::{
        StoreError,
        upkeep::{DumpTurn, Selection},
    },
};

/// Pieces of text that wait for whoever reads them.
const PIECES: usize = 4;
/// How long a piece waits before its reader is given up.
const READER_TIME: Duration = Duration::from_secs(60);
/// How long a seal or a copy may take.
const ERRAND_TIME: Duration = Duration::from_secs(300);
/// Longest body of a wish, in bytes: there is nothing to say, and it must be said.
const WISH_MAX: u64 = 64;
/// Begins the last line of what is exported, which is none of it: how it ended.
const END_MARK: &str = "#! ";

/// The answer when something was done.
#[derive(Serialize)]
struct DoneView {
    done: &'static str,
}

/// Every route to the store's own affairs.
pub(super) fn routes(context: &Arc<Context>) -> BoxedFilter<(Response,)> {
    let inventory =
        warp::path!("store").and(reading()).and(no_query()).and(with(context)).and_then(
            |context: Arc<Context>| async move {
                let inventory = context.upkeep.inventory().await.map_err(problem)?;
                Ok::<_, Rejection>(json(&inventory))
            },
        );
    let seal = warp::path!("store" / "seal").and(changing(WISH_MAX)).and(with(context)).and_then(
        |_: Bytes, context: Arc<Context>| async move {
            within(context.upkeep.seal()).await?;
            Ok::<_, Rejection>(json(&DoneView { done: "sealed" }))
        },
    );
    let copy = warp::path!("store" / "checkpoint")
        .and(changing(WISH_MAX))
        .and(with(context))
        .and_then(|_: Bytes, context: Arc<Context>| async move {
            within(context.upkeep.checkpoint()).await?;
            Ok::<_, Rejection>(json(&DoneView { done: "copied" }))
        });
    let export = warp::path!("store" / "export")
        .and(reading())
        .and(raw_query())
        .and(with(context))
        .and_then(|text: String, context| async move {
            export(&text, context).map_err(Rejection::from)
        });
    settled(inventory)
        .or(settled(seal))
        .unify()
        .or(settled(copy))
        .unify()
        .or(settled(export))
        .unify()
        .boxed()
}

async fn within(errand: impl Future<Output = Result<(), StoreError>>) -> Result<(), Problem> {
    timeout(ERRAND_TIME, errand).await.unwrap_or(Err(StoreError::Busy)).map_err(problem)
}

fn problem(error: StoreError) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", chain(&error))
}

fn export(text: &str, context: Arc<Context>) -> Result<Response, Problem> {
    let (selection, format) = wish(text)?;
    let turn = context.upkeep.dump().map_err(problem)?;
    let (sender, mut pieces) = channel(PIECES);
    let runtime = Handle::current();
    spawn_blocking(move || {
        let out = Pieces { sender, runtime };
        write(turn, &selection, format, out);
    });
    let text =
        poll_fn(move |look| pieces.poll_recv(look).map(|piece| piece.map(Ok::<_, io::Error>)));
    let mut response = warp::reply::stream(text).into_response();
    let content_type = HeaderValue::from_static(format.content_type());
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}

/// Writes what is selected, and how that ended.
fn write(turn: DumpTurn, selection: &Selection, format: Format, out: Pieces) {
    let mut writer = TextWriter::new(format, out);
    let mut failed = None;
    let dumped = turn.run(selection, &mut |series, samples| match writer.write(series, samples) {
        Ok(()) => std::ops::ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            std::ops::ControlFlow::Break(())
        }
    });
    let (end, out) = match (dumped, failed) {
        (Ok(dumped), None) => {
            (format!("done {} {}", dumped.samples, dumped.damaged), writer.finish())
        }
        (_, Some(error)) => (format!("failed {error}"), Ok(writer.into_inner())),
        (Err(error), _) => (format!("failed {}", chain(&error)), Ok(writer.into_inner())),
    };
    // A reader that has gone hears nothing.
    if let Ok(mut out) = out {
        let _ = io::Write::write_all(&mut out, format!("{END_MARK}{end}\n").as_bytes());
    }
}

/// Text on its way to a reader.
struct Pieces {
    sender: Sender<Bytes>,
    runtime: Handle,
}

impl io::Write for Pieces {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if text.is_empty() {
            return Ok(0);
        }
        let sent = self.sender.send(Bytes::copy_from_slice(text));
        let sent = self.runtime.block_on(async { timeout(READER_TIME, sent).await });
        match sent {
            Ok(Ok(())) => Ok(text.len()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wish(text: &str) -> Result<(Selection, Format), Problem> {
    let mut format = Format::OpenMetrics;
    let mut selection =
        Selection { server: None, metric: None, from_ms: i64::MIN, to_ms: i64::MAX };
    for (name, value) in query::pairs(text)? {
        match &*name {
            "server" => selection.server = Some(value),
            "metric" => selection.metric = Some(value),
            "from" => selection.from_ms = query::time("from", &value)?,
            "to" => selection.to_ms = query::time("to", &value)?,
            "format" => {
                format = Format::named(&value).ok_or_else(|| {
                    let what = format!("format is `{value}`, must be openmetrics or csv");
                    Problem::bad_request(what)
                })?;
            }
            _ => return Err(query::unknown(&name, "server, metric, from, to and format")),
        }
    }
    Ok((selection, format))
}
