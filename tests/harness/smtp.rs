//! A mail server of our own that takes everything, until it is told to misbehave.
//!
//! Exim behaves; this one cuts connections at a chosen byte, says a byte a second, or is not there. It knows no TLS, so
//! its channel says `tls = "none"`. What it takes it keeps, with the instant at which it said so.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::sleep,
};

use crate::letter::Letter;

/// How long a slow server thinks of a mail before it takes it.
pub const THOUGHT: Duration = Duration::from_millis(150);

/// How sessions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Every mail is taken.
    Takes,
    /// Every mail is taken, [`THOUGHT`] after its end.
    TakesSlowly,
    /// The connection is cut after the first lines of a mail's text.
    CutsInData,
    /// A mail is taken, and the connection cut before that is said.
    CutsAfterDot,
    /// Whatever is said is said a byte a second.
    Trickles,
    /// The connection is accepted, and then nothing is said.
    Silent,
    /// Every recipient is refused for now.
    Defers,
}

/// A mail that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    /// When that was decided, just before it was said.
    pub at: Instant,
    /// Who it is for, by the envelope.
    pub to: Vec<String>,
    /// The mail.
    pub letter: Letter,
}

/// The server; it starts down.
pub struct Smtp {
    /// Where it listens while it is up.
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    manner: Manner,
    taken: Vec<Taken>,
    /// Sessions that are open; the task of each.
    sessions: Vec<JoinHandle<Option<()>>>,
    connections: usize,
}

impl Smtp {
    /// Chooses a port; listens nowhere yet.
    pub fn prepare() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, crate::peer::free_port()));
        let shared = Shared {
            manner: Manner::Takes,
            taken: Vec::new(),
            sessions: Vec::new(),
            connections: 0,
        };
        Self { address, shared: Arc::new(Mutex::new(shared)), listening: None }
    }

    /// Listens from now on.
    pub fn up(&mut self) {
        let listener = self.listen();
        let shared = Arc::clone(&self.shared);
        self.listening = Some(tokio::spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let session = tokio::spawn(serve(Arc::clone(&shared), connection));
                let mut shared = shared.lock().unwrap();
                shared.connections += 1;
                shared.sessions.retain(|session| !session.is_finished());
                shared.sessions.push(session);
            }
        }));
    }

    /// Cuts every session and refuses connections from now on.
    ///
    /// A mail that was taken has been said to be taken: nothing comes between the two.
    pub fn down(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
        for session in self.shared.lock().unwrap().sessions.drain(..) {
            session.abort();
        }
    }

    /// How sessions go from now on, those that are open included.
    pub fn manner(&self, manner: Manner) {
        self.shared.lock().unwrap().manner = manner;
    }

    /// Every mail that was taken, in order.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.lock().unwrap().taken.clone()
    }

    /// How many sessions are open.
    pub fn open_sessions(&self) -> usize {
        let shared = self.shared.lock().unwrap();
        shared.sessions.iter().filter(|session| !session.is_finished()).count()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.shared.lock().unwrap().connections
    }

    /// `[channel.email]` for this server.
    pub fn channel(&self) -> String {
        format!(
            "[channel.email]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\n\
             from = \"Bartizan <bartizan@example.test>\"\n\n",
            self.address.port()
        )
    }

    fn listen(&self) -> TcpListener {
        let socket = TcpSocket::new_v4().unwrap();
        // Its former connections may not be forgotten yet.
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        socket.listen(64).unwrap()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.down();
    }
}

/// One session; ends when either side closes.
async fn serve(shared: Arc<Mutex<Shared>>, connection: TcpStream) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut connection = BufReader::new(connection);
    let manner = || shared.lock().unwrap().manner;
    let mut to = Vec::new();
    say(&mut connection, manner(), "220 scenario ESMTP").await?;
    loop {
        let line = line(&mut connection).await?;
        let word = line.split([' ', ':']).next()?.to_ascii_uppercase();
        let answer = match word.as_str() {
            "EHLO" => "250-scenario\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1000000",
            "HELO" | "MAIL" | "RSET" | "NOOP" => "250 OK",
            "RCPT" if manner() == Manner::Defers => "451 not now, please come again later",
            "RCPT" => {
                to.push(line.split(['<', '>']).nth(1)?.to_owned());
                "250 OK"
            }
            "DATA" if to.is_empty() => "503 nobody to send it to",
            "DATA" => {
                say(&mut connection, manner(), "354 go on").await?;
                let letter = letter(&mut connection, manner()).await?;
                if manner() == Manner::TakesSlowly {
                    // Its sender may be gone by then: the mail is taken all the same.
                    sleep(THOUGHT).await;
                }
                let manner = take(&shared, std::mem::take(&mut to), letter);
                if manner == Manner::CutsAfterDot {
                    return None;
                }
                if manner != Manner::Trickles {
                    // Without a wait after the mail was kept, where the session could be ended.
                    connection.get_ref().try_write(b"250 OK, taken\r\n").ok()?;
                    continue;
                }
                "250 OK, taken"
            }
            "QUIT" => {
                say(&mut connection, manner(), "221 goodbye").await?;
                return None;
            }
            _ => "502 not known here",
        };
        say(&mut connection, manner(), answer).await?;
    }
}

fn take(shared: &Mutex<Shared>, to: Vec<String>, letter: Letter) -> Manner {
    let mut shared = shared.lock().unwrap();
    shared.taken.push(Taken { at: Instant::now(), to, letter });
    shared.manner
}

/// Reads a mail up to its final dot.
async fn letter(connection: &mut BufReader<TcpStream>, manner: Manner) -> Option<Letter> {
    let mut text = String::new();
    for count in 0.. {
        let line = line(connection).await?;
        if line == "." {
            break;
        }
        if manner == Manner::CutsInData && count >= 5 {
            return None;
        }
        text.push_str(line.strip_prefix('.').unwrap_or(&line));
        text.push_str("\r\n");
    }
    Some(Letter::parse(text.as_bytes(), SystemTime::now()))
}

async fn say(connection: &mut BufReader<TcpStream>, manner: Manner, text: &str) -> Option<()> {
    let answer = format!("{text}\r\n");
    match manner {
        Manner::Silent => sleep(Duration::from_secs(3600)).await,
        Manner::Trickles => {
            for byte in answer.into_bytes() {
                connection.get_mut().write_all(&[byte]).await.ok()?;
                sleep(Duration::from_secs(1)).await;
            }
        }
        _ => connection.get_mut().write_all(answer.as_bytes()).await.ok()?,
    }
    Some(())
}

async fn line(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    let length = connection.read_until(b'\n', &mut line).await.ok()?;
    let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
    (length > 0).then_some(line)
}
