//! Takes connections in, at most so many, and gives their requests to the routes.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hyper::{Request, body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::net::sockopt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::{sleep, timeout},
};
use warp::reply::Response;

use super::{
    Listener,
    access::{Peer, Right, bearer_or_password},
    context::{Context, Permit, Visit},
    handshake,
    routes::{self, Routes},
    strangers::Strangers,
    watch,
};
use crate::enrol::token_id;

/// Connections of the control socket at one time; they do not count with the others.
const CONTROL_MAX: usize = 64;

/// Longest head of a request that is read at all, in bytes.
const HEAD_MAX: usize = 64 * 1024;

/// What the kernel holds for a viewer that does not read, in bytes.
const SEND_BUFFER: usize = 256 * 1024;

/// What was sent and is not confirmed for this long will not be: the peer is gone.
const UNCONFIRMED_MS: u32 = 20_000;

/// A connection that was quiet for this long is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(60);

/// Time for an answer that is on its way to leave, once we stop.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// Pause after the system refused a connection, which it does when it has no more of something.
const REFUSED: Duration = Duration::from_millis(100);

/// Accepts at both places until the context's `stop`, and looks after the files of TLS where it is spoken.
pub(super) fn open(
    context: &Arc<Context>,
    listener: Listener<TcpListener>,
    control: Listener<UnixListener>,
) -> Vec<JoinHandle<()>> {
    let routes = routes::all(context);
    let tcp = Door::new(context, &routes, context.limits.connections);
    let unix = Door::new(context, &routes, CONTROL_MAX);
    let stop = context.stop.clone();
    let strangers = Strangers::new(context.limits);
    let tcp = async move {
        loop {
            let accepted = listener.0.accept().await.and_then(greet);
            tcp.enter_tcp(accepted, &strangers).await;
        }
    };
    let own = rustix::process::geteuid().as_raw();
    let unix = async move {
        loop {
            let accepted = control.0.accept().await.and_then(|(stream, _)| identify(stream, own));
            unix.enter_control(accepted).await;
        }
    };
    let mut tasks =
        vec![tokio::spawn(until(stop.clone(), tcp)), tokio::spawn(until(stop.clone(), unix))];
    if let Some(tls) = &context.tls {
        tasks.push(tokio::spawn(until(stop, watch::attend(tls.clone(), context.clone()))));
    }
    tasks
}

async fn until(stop: tokio_util::sync::CancellationToken, work: impl Future<Output = Infallible>) {
    stop.run_until_cancelled(work).await;
}

/// Prepares a connection by TCP.
fn greet((stream, remote): (TcpStream, SocketAddr)) -> io::Result<Greeted> {
    let local = stream.local_addr()?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER)?;
    sockopt::set_tcp_user_timeout(&stream, UNCONFIRMED_MS)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, QUIET)?;
    Ok(Greeted { stream, local, remote })
}

/// Lets in root and `own`, our own user.
fn identify(stream: UnixStream, own: u32) -> io::Result<UnixStream> {
    let user = stream.peer_cred()?.uid();
    if user == 0 || user == own {
        return Ok(stream);
    }
    tracing::warn!(user, "control socket was opened by another user, and closed");
    Err(io::ErrorKind::PermissionDenied.into())
}

/// A connection by TCP, with both its ends.
struct Greeted {
    stream: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
}

/// Whose requests come by a connection.
#[derive(Debug, Clone, Copy)]
struct Visitor {
    /// Where it came in.
    peer: Peer,
    /// Where it comes from, if from another machine or another program of this one by TCP.
    remote: Option<IpAddr>,
}

/// One of the two places where connections come in.
struct Door {
    context: Arc<Context>,
    routes: Routes,
    places: Arc<Semaphore>,
}

impl Door {
    fn new(context: &Arc<Context>, routes: &Routes, places: usize) -> Self {
        let places = Arc::new(Semaphore::new(places));
        Self { context: context.clone(), routes: routes.clone(), places }
    }

    /// Serves a connection by TCP by a task of its own, if there is a place for it.
    async fn enter_tcp(&self, accepted: io::Result<Greeted>, strangers: &Arc<Strangers>) {
        let Some(Greeted { stream, local, remote }) = self.sound(accepted).await else { return };
        let Some(mut stranger) = strangers.enter(remote.ip()) else {
            self.context.counters.refused_strangers.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let Some(place) = self.place() else { return };
        let (context, routes) = (self.context.clone(), self.routes.clone());
        let visitor = Visitor { peer: Peer::Tcp(local), remote: Some(remote.ip()) };
        self.context.connections.spawn(async move {
            let stop = context.stop.clone();
            match stop.run_until_cancelled(stranger.turn()).await {
                Some(true) => {}
                Some(false) => {
                    context.counters.refused_strangers.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                None => return,
            }
            let permit = Permit::new(place, Some(stranger), &context);
            let Some(tls) = context.tls.clone() else {
                let served = serve(stream, visitor, context.clone(), routes, permit.clone());
                return within(context.limits.head, &context, &permit, served).await;
            };
            let first = context.limits.handshake + context.limits.head;
            let served = async {
                let shaken = handshake::encrypt(stream, remote, &tls, &context);
                if let Some(Some(stream)) = stop.run_until_cancelled(shaken).await {
                    serve(stream, visitor, context.clone(), routes, permit.clone()).await;
                }
            };
            within(first, &context, &permit, served).await;
        });
    }

    /// The same for a connection by the control socket.
    async fn enter_control(&self, accepted: io::Result<UnixStream>) {
        let Some(stream) = self.sound(accepted).await else { return };
        let Some(place) = self.place() else { return };
        let (context, routes) = (self.context.clone(), self.routes.clone());
        let permit = Permit::new(place, None, &context);
        self.context.connections.spawn(async move {
            let visitor = Visitor { peer: Peer::Control, remote: None };
            let served = serve(stream, visitor, context.clone(), routes, permit.clone());
            within(context.limits.head, &context, &permit, served).await;
        });
    }

    /// What was accepted, if it was; pauses where the system has no more of something.
    async fn sound<T>(&self, accepted: io::Result<T>) -> Option<T> {
        match accepted {
            Ok(accepted) => Some(accepted),
            Err(error) if is_passing(&error) => None,
            Err(error) => {
                tracing::warn!(%error, "connection was not accepted");
                sleep(REFUSED).await;
                None
            }
        }
    }

    /// A place, if one is left.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        let counters = &self.context.counters;
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            counters.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        counters.accepted.fetch_add(1, Ordering::Relaxed);
        Some(place)
    }
}

/// Whether an error is about one connection and not about us.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, InvalidInput, NotConnected, PermissionDenied,
    };
    [ConnectionAborted, ConnectionReset, InvalidInput, NotConnected, PermissionDenied]
        .contains(&error.kind())
}

/// Serves a connection until it ends, or stays too long without a right.
async fn within(
    first: Duration,
    context: &Context,
    permit: &Permit,
    served: impl Future<Output = ()>,
) {
    tokio::select! {
        () = served => {}
        () = permit.overstays(first, context.limits.crowded) => {
            tracing::debug!("connection showed no right in time and was cut off");
        }
    }
}

async fn serve<S>(
    stream: S,
    visitor: Visitor,
    context: Arc<Context>,
    routes: Routes,
    permit: Arc<Permit>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let routes = TowerToHyperService::new(warp::service(routes));
    let stop = context.stop.clone();
    let mut http = http1::Builder::new();
    let idle = context.limits.idle;
    http.timer(TokioTimer::new()).header_read_timeout(idle).max_buf_size(HEAD_MAX);
    let service = hyper::service::service_fn(move |request| {
        answer(request, visitor, context.clone(), routes.clone(), permit.clone())
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    tokio::select! {
        // What goes wrong here is the visitor's: cut off, too slow, not HTTP.
        ended = connection.as_mut() => {
            if let Err(error) = ended {
                tracing::debug!(%error, "connection ended early");
            }
        }
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // Whoever is slower than this is cut off; nothing is left to say then.
            let _ = timeout(LAST_ANSWER, connection).await;
        }
    }
}

async fn answer<R>(
    request: Request<Incoming>,
    visitor: Visitor,
    context: Arc<Context>,
    routes: R,
    permit: Arc<Permit>,
) -> Result<Response, Infallible>
where
    R: Service<Request<Incoming>, Response = Response, Error = Infallible>,
{
    permit.asks();
    let (mut head, body) = request.into_parts();
    let token = bearer_or_password(&head.headers);
    let verdict = context.access.judge(&head, visitor.peer);
    if verdict == Ok(Right::Administrator) {
        permit.shows_right();
    }
    if let (Err(problem), Some(token)) = (&verdict, &token) {
        // Whoever waits for a new machine should hear why it is turned away.
        context.tokens.turned_away(token, &problem.detail);
    }
    let has_server_token = token.is_some_and(|token| token_id(&token).is_some());
    head.extensions.insert(Visit {
        verdict,
        has_server_token,
        remote: visitor.remote,
        permit: permit.clone(),
    });
    let response = routes.call(Request::from_parts(head, body)).await?;
    let status = response.status();
    permit.answered(!status.is_client_error() && !status.is_server_error());
    context.counters.count_request(status.as_u16());
    Ok(response)
}
