//! The stream: one viewer's WebSocket, protocol `bartizan.v1`.
//!
//! A viewer is written to by this task alone, which waits for it and for nobody
//! else. One that does not take a frame in time is closed (4008); one that breaks
//! the protocol is closed with the reason.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::time::{Instant, timeout};
use warp::{
    http::{HeaderValue, header},
    reply::{Reply, Response},
    ws::{Message, WebSocket, Ws},
};

use crate::{
    live::{Resume, Subscription, Topic},
    series::now_ms,
};

use super::{
    access::Right,
    context::{Context, Visit},
    reply::Problem,
    views::HelloView,
};

/// The protocol's name.
const PROTOCOL: &str = "bartizan.v1";

/// Longest message of a viewer, in bytes.
const MESSAGE_MAX: usize = 16 * 1024;

/// Longest frame to a viewer that is not written yet, in bytes. There is never
/// more than one of them.
const WRITE_MAX: usize = 16 * 1024 * 1024;

/// Topics that one viewer may follow.
const TOPICS_MAX: usize = 64;

/// Messages that one viewer may send in a second.
const MESSAGES_MAX: u32 = 20;

/// Time for a viewer to take the news that it is closed, and to agree.
const GOODBYE: Duration = Duration::from_millis(900);

/// Why a viewer is closed.
#[derive(Debug)]
enum End {
    /// It is gone.
    Gone,
    /// It has no right to look.
    Auth,
    /// It did not take a frame in time.
    Slow,
    /// The daemon stops.
    Restart,
    /// It did what the protocol does not allow.
    Broken(u16, String),
}

/// What a viewer says.
#[derive(Deserialize)]
#[serde(tag = "t", rename_all = "lowercase")]
enum Said {
    /// It follows these topics from now on.
    Sub {
        topics: Vec<String>,
        #[serde(default)]
        resume: Option<ResumeSaid>,
        #[serde(default = "once_a_second")]
        hz: u8,
    },
}

#[derive(Deserialize)]
struct ResumeSaid {
    epoch: String,
    seq: u64,
}

fn once_a_second() -> u8 {
    1
}

/// Makes a request the stream of one viewer.
pub(super) fn upgrade(
    ws: Ws,
    protocols: Option<String>,
    visit: Visit,
    context: Arc<Context>,
) -> Result<Response, Problem> {
    let offered = protocols.as_deref().unwrap_or_default();
    if !offered.split(',').any(|protocol| protocol.trim() == PROTOCOL) {
        let detail = format!("offer the subprotocol `{PROTOCOL}` in sec-websocket-protocol");
        return Err(Problem::bad_request(detail));
    }
    let ws = ws
        .max_message_size(MESSAGE_MAX)
        .max_frame_size(MESSAGE_MAX)
        .max_write_buffer_size(WRITE_MAX);
    let waited_for = context.connections.token();
    let Visit { verdict, permit, .. } = visit;
    let upgraded = ws.on_upgrade(move |socket| async move {
        let may_look = !matches!(verdict, Ok(Right::Missing) | Err(_));
        serve(socket, may_look, &context).await;
        // The connection's own task ended with the handshake; its place was ours.
        drop((permit, waited_for));
    });
    let mut response = upgraded.into_response();
    let protocol = HeaderValue::from_static(PROTOCOL);
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    Ok(response)
}

async fn serve(mut socket: WebSocket, may_look: bool, context: &Context) {
    let end = if may_look {
        let mut viewer = Viewer {
            socket: &mut socket,
            subscription: context.live.subscribe(),
            context,
            second: Instant::now(),
            messages: 0,
        };
        viewer.run().await
    } else {
        End::Auth
    };
    let counters = &context.counters;
    let (code, reason) = match end {
        End::Gone => return,
        End::Auth => (4001, "sign in first".to_owned()),
        End::Slow => {
            counters.slow_viewers.fetch_add(1, Ordering::Relaxed);
            tracing::info!("viewer did not take its frames, and was closed");
            (4008, "too slow".to_owned())
        }
        End::Restart => (1012, "bartizan is stopping".to_owned()),
        End::Broken(code, reason) => {
            counters.bad_viewers.fetch_add(1, Ordering::Relaxed);
            tracing::info!(reason, "viewer broke the protocol, and was closed");
            (code, reason)
        }
    };
    // Whoever does not take the news in time is cut off without them.
    let _ = timeout(GOODBYE, close(&mut socket, code, reason)).await;
}

/// Closes a socket; what the viewer still says is read, or the system would cut
/// the connection before our last frame has arrived.
async fn close(socket: &mut WebSocket, code: u16, reason: String) {
    if socket.send(Message::close_with(code, reason)).await.is_ok() {
        while let Some(Ok(_)) = socket.next().await {}
    }
}

struct Viewer<'a> {
    socket: &'a mut WebSocket,
    subscription: Subscription,
    context: &'a Context,
    second: Instant,
    messages: u32,
}

impl Viewer<'_> {
    async fn run(&mut self) -> End {
        let hello = HelloView {
            t: "hello",
            v: 1,
            epoch: self.context.live.epoch(),
            now: now_ms(),
            interval: 1000,
            version: self.context.version,
        };
        let hello = serde_json::to_string(&hello).unwrap_or_default();
        if let Err(end) = self.send(&hello).await {
            return end;
        }
        loop {
            let stop = self.context.stop.cancelled();
            let turn = tokio::select! {
                () = stop => Err(End::Restart),
                said = self.socket.next() => self.hear(said),
                frames = self.subscription.frames() => self.send_all(&frames).await,
            };
            if let Err(end) = turn {
                return end;
            }
        }
    }

    async fn send_all(&mut self, frames: &[Arc<str>]) -> Result<(), End> {
        for frame in frames {
            self.send(frame).await?;
        }
        Ok(())
    }

    async fn send(&mut self, frame: &str) -> Result<(), End> {
        let written = timeout(self.context.limits.frame, self.socket.send(Message::text(frame)));
        tokio::select! {
            () = self.context.stop.cancelled() => Err(End::Restart),
            written = written => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(End::Gone),
                Err(_) => Err(End::Slow),
            },
        }
    }

    fn hear(&mut self, said: Option<Result<Message, warp::Error>>) -> Result<(), End> {
        let message = match said {
            None => return Err(End::Gone),
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(broken_socket(&error)),
        };
        if self.second.elapsed() >= Duration::from_secs(1) {
            self.second = Instant::now();
            self.messages = 0;
        }
        self.messages += 1;
        if self.messages > MESSAGES_MAX {
            let reason = format!("more than {MESSAGES_MAX} messages in a second");
            return Err(End::Broken(1008, reason));
        }
        if message.is_close() {
            return Err(End::Gone);
        }
        if message.is_ping() || message.is_pong() {
            return Ok(());
        }
        let text = message.to_str();
        let text = text.map_err(|()| End::Broken(1003, "messages are text".to_owned()))?;
        self.follow(text).map_err(|reason| End::Broken(1008, reason))
    }

    fn follow(&mut self, text: &str) -> Result<(), String> {
        let said = serde_json::from_str(text);
        // What serde says may quote the viewer at length; a close reason has 123 bytes.
        let Said::Sub { topics, resume, hz } = said.map_err(|_| "not a message of bartizan.v1")?;
        if topics.len() > TOPICS_MAX {
            return Err(format!("more than {TOPICS_MAX} topics"));
        }
        if hz > 1 {
            return Err("hz is 0 or 1".to_owned());
        }
        let topics: Result<Vec<_>, _> = topics.iter().map(|topic| Topic::parse(topic)).collect();
        let topics = topics.map_err(|error| error.to_string())?;
        let resume = resume.map(|ResumeSaid { epoch, seq }| Resume { epoch, seq });
        self.subscription.follow(topics, resume.as_ref(), hz == 0);
        Ok(())
    }
}

/// What a socket that cannot be read any more is closed with.
fn broken_socket(error: &warp::Error) -> End {
    let text = error.to_string().to_ascii_lowercase();
    if text.contains("too long") || text.contains("space limit") {
        End::Broken(1009, format!("messages have at most {MESSAGE_MAX} bytes"))
    } else if text.contains("protocol") || text.contains("utf") {
        End::Broken(1002, "not a WebSocket message".to_owned())
    } else {
        End::Gone
    }
}
