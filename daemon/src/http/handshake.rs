//! The first bytes of a connection by TCP, where TLS is spoken.

use std::{io, net::SocketAddr, sync::atomic::Ordering, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::server::TlsStream;

use super::{
    context::Context,
    tls::{Tls, fault},
};
use crate::config::CertificateFacts;

/// What begins a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// What is read of somebody who speaks something else, so that it reads our answer, in bytes and time.
const FOREIGN_MAX: u64 = 64 * 1024;
const FOREIGN_TIME: Duration = Duration::from_secs(1);

/// The connection of `remote`, encrypted; `None` if it does not come to that within the limit, which is counted.
pub(super) async fn encrypt(
    stream: TcpStream,
    remote: SocketAddr,
    tls: &Tls,
    context: &Context,
) -> Option<TlsStream<TcpStream>> {
    let shaken = timeout(context.limits.handshake, shake(stream, tls)).await;
    let error = match shaken {
        Ok(Ok(stream)) => {
            let (_, session) = stream.get_ref();
            if let Some([certificate, ..]) = session.peer_certificates() {
                let name = CertificateFacts::of(certificate).name;
                tracing::debug!(%remote, name, "connected with a certificate");
            }
            return Some(stream);
        }
        Ok(Err(error)) => error,
        Err(_) => io::ErrorKind::TimedOut.into(),
    };
    context.counters.failed_handshakes.fetch_add(1, Ordering::Relaxed);
    // Whoever only looks whether the port is open says nothing, and need not be told of.
    if error.kind() != io::ErrorKind::UnexpectedEof {
        context.failed_handshakes.note(format!("{}: {}", remote.ip(), fault(&error)));
    }
    None
}

async fn shake(mut stream: TcpStream, tls: &Tls) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first != [HANDSHAKE] {
        answer_plainly(&mut stream).await?;
        return Err(io::Error::other("it does not speak TLS; the address begins with https://"));
    }
    match tls.acceptor().accept(stream).into_fallible().await {
        Ok(stream) => Ok(stream),
        Err((error, mut stream)) => {
            // It has been told why, and should hear it.
            close(&mut stream).await?;
            Err(error)
        }
    }
}

/// Tells somebody who speaks HTTP without TLS what to do; whoever speaks something else may read it too.
async fn answer_plainly(stream: &mut TcpStream) -> io::Result<()> {
    const BODY: &str = r#"{"error":"tls_required","detail":"this port speaks TLS: begin the address with https:// instead of http://"}"#;
    let length = BODY.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{BODY}"
    );
    stream.write_all(answer.as_bytes()).await?;
    close(stream).await
}

/// Closes a connection whose other side has something to read still: to close with something unread would take that
/// back.
async fn close(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let (mut rest, mut nowhere) = (stream.take(FOREIGN_MAX), tokio::io::sink());
    let drained = tokio::io::copy(&mut rest, &mut nowhere);
    // What it says no longer matters, nor whether it ends.
    let _ = timeout(FOREIGN_TIME, drained).await;
    Ok(())
}
