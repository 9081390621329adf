//! The steps of a conversation with a mail server, one by one.

use std::{iter, sync::Arc};

use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters},
    commands::{Data, Mail as MailCommand, Rcpt},
    extension::{ClientId, Extension, MailParameter},
    response::Response,
};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{Email, Mail, Progress, Step, Verdict, stream::Patient};
use crate::{alert::notice::Outcome, config::MailTls, trust};

/// Most addresses of a server that are tried.
const ADDRESSES_MAX: usize = 4;

impl Email {
    /// Connects, encrypts from the first byte where that is asked for, and says hello.
    pub(super) async fn greet(
        &self,
        progress: &Progress,
        authorities: &[CertificateDer<'static>],
    ) -> Result<AsyncSmtpConnection, Verdict> {
        let stream = self.reach().await?;
        // The last dot would wait for a late acknowledgement of what came before it.
        stream.set_nodelay(true).map_err(|error| self.unreached(&error.to_string()))?;
        let peer = stream.peer_addr().map_err(|error| self.unreached(&error.to_string()))?;
        let limit = self.limits.silence;
        let stream: Box<dyn AsyncTokioStream> = if self.config.tls == MailTls::Implicit {
            progress.reach(Step::Encrypt);
            let tls = trust::client(authorities).map_err(|error| {
                Verdict::misconfigured(format!("failed to set up TLS: {error}"))
            })?;
            let name = ServerName::try_from(self.config.host.clone()).map_err(|_| {
                Verdict::misconfigured("channel.email.host is no name that a certificate can carry")
            })?;
            let connected = TlsConnector::from(Arc::new(tls)).connect(name, stream);
            let encrypted = match timeout(limit, connected).await {
                Ok(encrypted) => encrypted.map_err(|error| self.not_encrypted(&error))?,
                Err(_) => return Err(self.silent(Step::Encrypt)),
            };
            Box::new(Patient::new(encrypted, peer, progress.clone(), limit))
        } else {
            Box::new(Patient::new(stream, peer, progress.clone(), limit))
        };
        progress.reach(Step::Greet);
        let us = ClientId::default();
        let connected = AsyncSmtpConnection::connect_with_transport(stream, &us).await;
        connected.map_err(|error| self.verdict(Step::Greet, &error))
    }

    async fn reach(&self) -> Result<TcpStream, Verdict> {
        let (host, limit) = (self.config.host.as_str(), self.limits.silence);
        let addresses = match timeout(limit, lookup_host((host, self.config.port))).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => return Err(self.unreached(&trust::cause(&error))),
            Err(_) => return Err(self.unreached("its name is not resolved in time")),
        };
        let mut why = "its name has no address".to_owned();
        for address in addresses.take(ADDRESSES_MAX) {
            match timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => why = trust::cause(&error),
                Err(_) => why = format!("no answer within {limit:?}"),
            }
        }
        Err(self.unreached(&why))
    }

    /// Begins encryption where it is to begin by now.
    pub(super) async fn encrypt(
        &self,
        connection: &mut AsyncSmtpConnection,
        progress: &Progress,
        authorities: &[CertificateDer<'static>],
    ) -> Result<(), Verdict> {
        if self.config.tls != MailTls::Starttls {
            return Ok(());
        }
        progress.reach(Step::Encrypt);
        if !connection.can_starttls() {
            return Err(self.no_starttls());
        }
        let failed = |error| self.verdict(Step::Encrypt, &error);
        let mut tls = TlsParameters::builder(self.config.host.clone())
            .certificate_store(CertificateStore::None);
        for authority in authorities {
            tls = tls
                .add_root_certificate(Certificate::from_der(authority.to_vec()).map_err(failed)?);
        }
        let tls = tls.build().map_err(|error| {
            Verdict::misconfigured(format!("failed to set up TLS: {}", trust::cause(&error)))
        })?;
        connection.starttls(tls, &ClientId::default()).await.map_err(failed)
    }

    /// Shows user and password, if we have them.
    pub(super) async fn log_in(
        &self,
        connection: &mut AsyncSmtpConnection,
        progress: &Progress,
        password: String,
    ) -> Result<(), Verdict> {
        let Some(username) = &self.config.username else { return Ok(()) };
        progress.reach(Step::LogIn);
        let credentials = Credentials::new(username.clone(), password);
        let answered = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
        answered.map(drop).map_err(|error| self.verdict(Step::LogIn, &error))
    }

    fn unreached(&self, why: &str) -> Verdict {
        let place = self.place();
        Verdict::new(Outcome::Temporary, format!("{place} is not reached: {why}"))
    }
}

/// Names sender and recipient, and asks whether the mail may follow.
pub(super) async fn announce(
    connection: &mut AsyncSmtpConnection,
    mail: &Mail,
    progress: &Progress,
) -> Result<(), Error> {
    progress.reach(Step::Sender);
    // Offered or not, a server without it refuses such an address with words of its own.
    let wide =
        mail.needs_utf8() && connection.server_info().supports_feature(Extension::SmtpUtfEight);
    let parameters = if wide { vec![MailParameter::SmtpUtfEight] } else { Vec::new() };
    connection.command(MailCommand::new(Some(mail.from.clone()), parameters)).await?;
    progress.reach(Step::Recipient);
    connection.command(Rcpt::new(mail.to.clone(), Vec::new())).await?;
    progress.reach(Step::Data);
    connection.command(Data).await.map(drop)
}

/// Sends the mail, and waits for the server's word that it is now its own.
pub(super) async fn hand_over(
    connection: &mut AsyncSmtpConnection,
    mail: &Mail,
    progress: &Progress,
) -> Result<Response, Error> {
    progress.reach(Step::HandOver);
    let mut left = Some(mail.bytes.as_slice());
    let pieces = iter::from_fn(|| {
        let piece = left.take();
        if piece.is_none() {
            // The whole mail is written, and the dot that ends it comes next.
            progress.reach(Step::HandedOver);
        }
        piece
    });
    connection.message_iter(pieces).await
}
