//! A bad line between two programs: a TCP proxy that delays, narrows, cuts, loses and goes dead, as a test tells it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// How the line behaves. A change holds at once, for connections that are open too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Line {
    /// As a line should.
    Good,
    /// Everything takes so much longer, in both directions.
    Slow(Duration),
    /// So many bytes a second in each direction of each connection.
    Narrow(usize),
    /// Requests arrive; with the first byte of its answer a connection is cut. The sender cannot know what arrived.
    LosesAnswers,
    /// A connection is cut after so many bytes of the sender's.
    Cuts(usize),
    /// Nothing passes; what was sent passes later, once the line is another.
    Stalls,
    /// What is said on a connection goes nowhere, now and later, and neither side is told.
    HalfOpen,
    /// Connections are closed at once.
    Refuses,
}

/// The proxy. Dropping it closes everything.
pub struct Proxy {
    /// Where senders connect to.
    pub address: SocketAddr,
    line: watch::Sender<Line>,
    connections: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts one before whoever listens, now or later, at `upstream`. The line is good.
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (line, seen) = watch::channel(Line::Good);
        let connections = Arc::new(AtomicU64::new(0));
        let counted = connections.clone();
        let accepting = tokio::spawn(async move {
            loop {
                // The system may have no more of something; the next connection may find some.
                let Ok((client, _)) = listener.accept().await else { continue };
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(connect(client, upstream, seen.clone()));
            }
        });
        Self { address, line, connections, accepting }
    }

    /// Makes the line another.
    pub fn line(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// How many connections were opened.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        // What is open ends with the sender of the line.
    }
}

async fn connect(client: TcpStream, upstream: SocketAddr, line: watch::Receiver<Line>) {
    if *line.borrow() == Line::Refuses {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let (Ok(()), Ok(())) = (client.set_nodelay(true), server.set_nodelay(true)) else { return };
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let mut gone = line.clone();
    let there = pump(from_client, to_server, Direction::There, line.clone());
    let back = pump(from_server, to_client, Direction::Back, line);
    // One side that has ended ends the other: both halves are dropped.
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = gone.wait_for(|line| *line == Line::Refuses) => {}
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    There,
    Back,
}

/// Carries bytes until one side ends or the line cuts them.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    mut line: watch::Receiver<Line>,
) {
    let (mut chunk, mut carried, mut dead) = (vec![0; 16 * 1024], 0, false);
    loop {
        let Ok(read @ 1..) = from.read(&mut chunk).await else {
            if dead || *line.borrow() == Line::HalfOpen {
                // The end of a connection is not told either.
                std::future::pending::<()>().await;
            }
            return;
        };
        // Only what is decided now, so that no lock is held across a wait.
        let Ok(now) = line.wait_for(|line| *line != Line::Stalls).await.map(|now| *now) else {
            return;
        };
        carried += read;
        match now {
            Line::Slow(time) => sleep(time).await,
            Line::Narrow(rate) => sleep(Duration::from_secs_f64(read as f64 / rate as f64)).await,
            Line::LosesAnswers if direction == Direction::Back => return,
            Line::Cuts(after) if direction == Direction::There && carried > after => return,
            Line::HalfOpen => dead = true,
            Line::Good | Line::LosesAnswers | Line::Cuts(_) | Line::Stalls | Line::Refuses => {}
        }
        if !dead && to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use tokio::time::timeout;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(300);

    /// Whoever connects hears what it says.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn says(stream: &mut TcpStream, text: &[u8]) -> Option<Vec<u8>> {
        // What was cut cannot be written to; the answer then says it.
        let _ = stream.write_all(text).await;
        let mut heard = vec![0; text.len()];
        let read = timeout(MOMENT, stream.read_exact(&mut heard)).await;
        read.ok().map(|read| read.map(|_| heard).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_line_is_as_bad_as_it_is_told() {
        let proxy = Proxy::start(echo().await).await;
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(says(&mut stream, b"one").await.unwrap(), b"one");
        proxy.line(Line::Stalls);
        assert_eq!(says(&mut stream, b"two").await, None, "nothing passes");
        proxy.line(Line::Good);
        assert_eq!(says(&mut stream, b"").await.unwrap(), b"");
        let mut late = [0; 3];
        stream.read_exact(&mut late).await.unwrap();
        assert_eq!(&late, b"two", "what was held passes later");
        proxy.line(Line::HalfOpen);
        assert_eq!(says(&mut stream, b"three").await, None);
        proxy.line(Line::Good);
        assert_eq!(says(&mut stream, b"four").await, None, "what is dead stays dead");

        for line in [Line::LosesAnswers, Line::Cuts(3), Line::Refuses] {
            proxy.line(line);
            let mut stream = TcpStream::connect(proxy.address).await.unwrap();
            assert_eq!(says(&mut stream, b"five").await.unwrap(), b"", "{line:?} cuts");
        }
        proxy.line(Line::Slow(Duration::from_millis(50)));
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        let began = std::time::Instant::now();
        assert_eq!(says(&mut stream, b"six").await.unwrap(), b"six");
        assert!(began.elapsed() >= Duration::from_millis(100), "there and back");
        proxy.line(Line::Narrow(100));
        assert_eq!(says(&mut stream, &[7; 100]).await, None, "a second there, one back");
        assert_eq!(proxy.connections(), 5);
    }
}
