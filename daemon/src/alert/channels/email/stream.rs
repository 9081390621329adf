//! A stream whose other side may neither be silent for long nor say too much.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::{Progress, Step};

/// Most that a server may say in one conversation. Lines are read whole, and this is what bounds them.
const SAID_MAX: usize = 256 * 1024;

/// Ends with an error when the other side has neither said nor taken anything for `limit`, except while it decides
/// about a mail that it has got.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    peer: SocketAddr,
    progress: Progress,
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
    said: usize,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, peer: SocketAddr, progress: Progress, limit: Duration) -> Self {
        let timer = Box::pin(sleep(limit));
        Self { stream, peer, progress, limit, timer, waiting: false, said: 0 }
    }

    /// Passes on what came of an attempt to read or write, and an error instead of waiting for too long.
    fn bound<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waiting = false;
            return polled;
        }
        if !self.waiting {
            self.waiting = true;
            self.timer.as_mut().reset(Instant::now() + self.limit);
        }
        if self.progress.step() == Step::HandedOver {
            return Poll::Pending;
        }
        ready!(self.timer.as_mut().poll(context));
        let silent = format!("it was silent for {:?}", self.limit);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, silent)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.said += buffer.filled().len() - before;
        if self.said > SAID_MAX {
            return Poll::Ready(Err(io::Error::other("it says too much")));
        }
        self.bound(context, polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bound(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.bound(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.bound(context, polled)
    }
}

impl<S> AsyncTokioStream for Patient<S>
where
    S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug,
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}
