//! What systemd is told: ready, reloading, stopping, alive, and how things are.
//!
//! # Invariants
//!
//! - Where systemd did not start us (`NOTIFY_SOCKET` is not set), nothing is sent.
//! - A word to systemd never keeps the daemon waiting for longer than
//!   [`PATIENCE`]; one that was not taken is logged.
//! - Nobody here decides whether the daemon is well: the root does, and feeds
//!   the watchdog only then.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

use sd_notify::NotifyState;
use tracing::warn;

/// How long a word may wait for systemd to take it.
const PATIENCE: Duration = Duration::from_millis(500);

/// The way to systemd, or nowhere.
#[derive(Debug)]
pub struct Systemd {
    socket: Option<UnixDatagram>,
}

impl Systemd {
    /// The way to whoever started us, as `NOTIFY_SOCKET` says.
    pub fn from_environment() -> Self {
        let Some(path) = env::var_os("NOTIFY_SOCKET") else { return Self { socket: None } };
        // A leading `@` stands for the zero byte of an abstract address.
        let address = match path.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(&path),
        };
        match address.and_then(|address| connect(&address)) {
            Ok(socket) => Self { socket: Some(socket) },
            Err(error) => {
                warn!(socket = %path.display(), %error, "systemd not reached");
                Self { socket: None }
            }
        }
    }

    /// The daemon is at work. `status` is for `systemctl status`.
    pub fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
    }

    /// How things are, in words for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.tell(&[NotifyState::Status(&one_line(status))]);
    }

    /// Every supervised actor met its deadline.
    pub fn watchdog(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// The configuration is being read again; [`ready`](Self::ready) ends it.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => warn!(%error, "systemd not told of reload"),
        }
    }

    /// The daemon is stopping. `status` is for `systemctl status`.
    pub fn stopping(&self, status: &str) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status(&one_line(status))]);
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let words: String = states.iter().map(|state| format!("{state}\n")).collect();
        if let Err(error) = socket.send(words.as_bytes()) {
            warn!(%error, words = words.trim_end(), "systemd not told");
        }
    }
}

/// Time between two [`watchdog`](Systemd::watchdog) calls: half of what systemd
/// waits for one. `None` where it does not wait.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|patience| patience / 2)
}

fn connect(address: &SocketAddr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.connect_addr(address)?;
    Ok(socket)
}

/// A line break would begin another word to systemd.
fn one_line(status: &str) -> String {
    status.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn systemd_hears_each_word_and_no_forged_one() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        theirs.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let systemd = Systemd { socket: Some(ours) };
        let heard = || {
            let mut buffer = [0; 256];
            let length = theirs.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };

        systemd.ready("1 server\nWATCHDOG=1");
        assert_eq!(heard(), "READY=1\nSTATUS=1 server WATCHDOG=1\n");
        systemd.watchdog();
        assert_eq!(heard(), "WATCHDOG=1\n");
        systemd.reloading();
        let reloading = heard();
        let now = reloading.trim_end().strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(now.parse::<u64>().unwrap() > 0);
        systemd.stopping("stopping");
        assert_eq!(heard(), "STOPPING=1\nSTATUS=stopping\n");
    }

    #[test]
    fn a_systemd_that_does_not_listen_keeps_nobody_waiting() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_write_timeout(Some(Duration::from_millis(1))).unwrap();
        let systemd = Systemd { socket: Some(ours) };
        for _ in 0..50 {
            systemd.watchdog();
        }
        drop(theirs);
        systemd.status("still here");
    }
}
