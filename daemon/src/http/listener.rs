//! Where requests come in: an address, and a socket file for the machine's own people.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{Mode, fchmod},
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind as bind_socket, listen,
        socket_with,
    },
};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::config::TlsError;

/// Connections that the kernel keeps until they are accepted, if its own limit allows.
const BACKLOG: u32 = 4096;

/// Longest path of a socket file on Linux, in bytes.
const PATH_MAX: usize = 107;

/// A place to listen at, open. Clones are the same place: a restarted actor goes
/// on with it, and no connection is refused meanwhile.
#[derive(Debug)]
pub struct Listener<L>(pub(super) Arc<L>);

impl<L> Clone for Listener<L> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Listener<TcpListener> {
    /// The address it has; the port is the real one where zero was asked for.
    pub fn address(&self) -> Result<SocketAddr, io::Error> {
        self.0.local_addr()
    }
}

/// Why http cannot start. Each is fatal for the daemon, and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Somebody else has the address.
    #[error(
        "failed to listen on {address}: another program does; stop it (`ss -ltnp 'sport = :{}'` \
         names it), or choose another address by --listen or http.listen", address.port()
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address is none of this machine's.
    #[error(
        "failed to listen on {address}: this machine has no such address; choose one that \
         `ip address` shows, by --listen or http.listen"
    )]
    NoSuchAddress {
        /// The address.
        address: SocketAddr,
    },
    /// The port needs a right that we do not have.
    #[error(
        "failed to listen on {address}: not permitted; choose a port of 1024 or above by --listen \
         or http.listen, or give the service CAP_NET_BIND_SERVICE"
    )]
    NotPermitted {
        /// The address.
        address: SocketAddr,
    },
    /// The system refused for another reason.
    #[error("failed to listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What it said.
        source: io::Error,
    },
    /// The path is longer than the system allows for sockets.
    #[error(
        "failed to open control socket at `{}`: the path has {} bytes, at most {PATH_MAX} are \
         allowed; choose a shorter state folder by --state", path.display(), path.as_os_str().len()
    )]
    ControlPath {
        /// The path.
        path: PathBuf,
    },
    /// Another daemon answers there.
    #[error(
        "failed to open control socket at `{}`: a running daemon answers there; stop it, or choose \
         another state folder by --state", path.display()
    )]
    ControlInUse {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("failed to open control socket at `{}`", path.display())]
    Control {
        /// The path.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The files of TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The token could not be read or written.
    #[error("failed to keep administrator's token at `{}`", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "failed to read administrator's token at `{}`: it is not 64 hexadecimal digits; delete it, \
         and the next start makes a new one", path.display()
    )]
    TokenShape {
        /// The file.
        path: PathBuf,
    },
}

/// Listens on `address`. To be called within a tokio runtime.
pub fn bind(address: SocketAddr) -> Result<Listener<TcpListener>, HttpError> {
    let listen = || {
        let socket = match address.ip() {
            IpAddr::V4(_) => TcpSocket::new_v4()?,
            IpAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Connections of the daemon before us must not keep us from its port.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let listener = listen().map_err(|source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => HttpError::InUse { address },
        io::ErrorKind::AddrNotAvailable => HttpError::NoSuchAddress { address },
        io::ErrorKind::PermissionDenied => HttpError::NotPermitted { address },
        _ => HttpError::Listen { address, source },
    })?;
    Ok(Listener(Arc::new(listener)))
}

/// Listens on the socket file `path`, which only its owner may open. A file left
/// by a daemon that is gone is replaced. To be called within a tokio runtime.
pub fn bind_control(path: &Path) -> Result<Listener<UnixListener>, HttpError> {
    if path.as_os_str().len() > PATH_MAX {
        return Err(HttpError::ControlPath { path: path.to_owned() });
    }
    if UnixStream::connect(path).is_ok() {
        return Err(HttpError::ControlInUse { path: path.to_owned() });
    }
    let open = || -> io::Result<UnixListener> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Linux gives the file the mode of the socket, so it is never open to others.
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        bind_socket(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, BACKLOG.cast_signed())?;
        UnixListener::from_std(socket.into())
    };
    let listener = open().map_err(|source| HttpError::Control { path: path.to_owned(), source })?;
    Ok(Listener(Arc::new(listener)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named_with_what_to_do() {
        let first = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = first.address().unwrap();
        let error = bind(address).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("--listen"), "{error}");
    }

    #[tokio::test]
    async fn a_socket_file_left_behind_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(bind_control(&path).unwrap());
        let _held = bind_control(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let error = bind_control(&path).unwrap_err();
        assert!(matches!(error, HttpError::ControlInUse { .. }), "{error}");
        let long = folder.path().join("x".repeat(108));
        let error = bind_control(&long).unwrap_err().to_string();
        assert!(error.contains("at most 107"), "{error}");
    }
}
