//! Takes connections in, at most so many, and gives their requests to the routes.

use std::{
    convert::Infallible,
    io,
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
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};
use warp::reply::Response;

use super::{
    Listener,
    access::Peer,
    context::{Context, Permit, Visit},
    routes::{self, Routes},
};

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

/// Accepts at both places until the context's `stop`.
pub(super) fn open(
    context: &Arc<Context>,
    listener: Listener<TcpListener>,
    control: Listener<UnixListener>,
) -> [JoinHandle<()>; 2] {
    let routes = routes::all(context);
    let tcp = Door::new(context, &routes, context.limits.connections);
    let unix = Door::new(context, &routes, CONTROL_MAX);
    let stop = context.stop.clone();
    let tcp = async move {
        loop {
            let accepted = listener.0.accept().await.and_then(|(stream, _)| greet(stream));
            tcp.enter(accepted).await;
        }
    };
    let own = rustix::process::geteuid().as_raw();
    let unix = async move {
        loop {
            let accepted = control.0.accept().await.and_then(|(stream, _)| identify(stream, own));
            unix.enter(accepted).await;
        }
    };
    [tokio::spawn(until(stop.clone(), tcp)), tokio::spawn(until(stop, unix))]
}

async fn until(stop: tokio_util::sync::CancellationToken, work: impl Future<Output = Infallible>) {
    stop.run_until_cancelled(work).await;
}

/// Prepares a connection by TCP.
fn greet(stream: TcpStream) -> io::Result<(TcpStream, Peer)> {
    let local = stream.local_addr()?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_send_buffer_size(&stream, SEND_BUFFER)?;
    sockopt::set_tcp_user_timeout(&stream, UNCONFIRMED_MS)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, QUIET)?;
    Ok((stream, Peer::Tcp(local)))
}

/// Lets in root and `own`, our own user.
fn identify(stream: UnixStream, own: u32) -> io::Result<(UnixStream, Peer)> {
    let user = stream.peer_cred()?.uid();
    if user == 0 || user == own {
        return Ok((stream, Peer::Control));
    }
    tracing::warn!(user, "control socket was opened by another user, and closed");
    Err(io::ErrorKind::PermissionDenied.into())
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

    /// Serves a connection by a task of its own, if there is a place for it.
    async fn enter<S>(&self, accepted: io::Result<(S, Peer)>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let counters = &self.context.counters;
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_passing(&error) => return,
            Err(error) => {
                tracing::warn!(%error, "connection was not accepted");
                return sleep(REFUSED).await;
            }
        };
        match self.places.clone().try_acquire_owned() {
            Ok(place) => {
                counters.accepted.fetch_add(1, Ordering::Relaxed);
                let permit = Permit::new(place, &self.context);
                let serve = serve(stream, peer, self.context.clone(), self.routes.clone(), permit);
                self.context.connections.spawn(serve);
            }
            Err(_) => {
                counters.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
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

async fn serve<S>(stream: S, peer: Peer, context: Arc<Context>, routes: Routes, permit: Arc<Permit>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let routes = TowerToHyperService::new(warp::service(routes));
    let stop = context.stop.clone();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(context.limits.head).max_buf_size(HEAD_MAX);
    let service = hyper::service::service_fn(move |request| {
        answer(request, peer, context.clone(), routes.clone(), permit.clone())
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
    peer: Peer,
    context: Arc<Context>,
    routes: R,
    permit: Arc<Permit>,
) -> Result<Response, Infallible>
where
    R: Service<Request<Incoming>, Response = Response, Error = Infallible>,
{
    let (mut head, body) = request.into_parts();
    let verdict = context.access.judge(&head, peer);
    head.extensions.insert(Visit { verdict, permit });
    let response = routes.call(Request::from_parts(head, body)).await?;
    context.counters.count_request(response.status().as_u16());
    Ok(response)
}
