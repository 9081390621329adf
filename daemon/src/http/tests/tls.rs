//! TLS over real sockets. The keys in `certificates/` guard nothing; the certificates hold from 2020 to 2119, but for
//! one that has expired.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use warp::http::Request;

use super::rig::{DEADLINE, Rig, exchange};
use crate::{
    config::{CertificateFacts, TlsConfig},
    http::{
        Names, Tls, Token,
        access::{Access, Peer},
        messages::{HttpMessage, Limits},
        tls::Look,
    },
};

const AUTHORITY: &str = include_str!("certificates/authority.pem");
const ONE: &str = include_str!("certificates/one.pem");
const NAMED: &str = include_str!("certificates/named.pem");
const TWO: &str = include_str!("certificates/two.pem");
const EXPIRED: &str = include_str!("certificates/expired.pem");
const CLIENT: &str = include_str!("certificates/client.pem");

#[tokio::test]
async fn a_request_is_answered_over_tls_and_its_cookie_is_for_tls_alone() {
    let files = Files::new();
    let rig = Rig::encrypted(files.load(), Limits::default()).await;
    let head = format!("GET /api/v1/health HTTP/1.1\r\nhost: {}\r\n", rig.address);
    let mut stream = connect(rig.address, None).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(subject(&stream), "one");
    stream.flush().await.unwrap();
    let reply = exchange(stream, &head, "").await;
    assert_eq!(reply.status, 200, "{reply:?}");

    let signin = format!("GET /signin?token={} HTTP/1.1\r\nhost: {}\r\n", rig.token, rig.address);
    let reply = exchange(connect(rig.address, None).await.unwrap(), &signin, "").await;
    assert!(reply.header("set-cookie").unwrap().contains("; Secure"), "{reply:?}");
}

#[test]
fn it_is_called_as_its_certificate_says() {
    let files = Files::new();
    files.write(NAMED);
    let listen = "0.0.0.0:9797".parse().unwrap();
    let names = Names::new(listen, "vm", None).with_tls(Arc::new(files.load()));
    assert_eq!(names.url(), "https://hub.example.org:9797");
    let token = Token::load_or_create(files.folder.path()).unwrap();
    let access = Access { names, token };
    for (host, is_ours) in [
        ("hub.example.org:9797", true),
        ("db.MON.example.org:9797", true),
        ("vm:9797", true),
        ("hub.example.org", false),
        ("a.db.mon.example.org:9797", false),
        ("mon.example.org:9797", false),
        ("other.example.org:9797", false),
    ] {
        let request = Request::builder().uri("/api/v1/health").header("host", host).body(());
        let judged = access.judge(&request.unwrap().into_parts().0, Peer::Tcp(listen));
        assert_eq!(judged.is_ok(), is_ours, "{host}");
    }
}

#[tokio::test]
async fn whoever_speaks_plainly_is_told_to_speak_tls() {
    let rig = Rig::encrypted(Files::new().load(), Limits::default()).await;
    let reply = rig.get("/api/v1/health").await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("tls_required")));
    assert!(reply.json()["detail"].as_str().unwrap().contains("https://"));
    let metrics = rig.ask_control("GET /metrics HTTP/1.1\r\nhost: x\r\n").await.body;
    assert!(metrics.contains("bartizan_http_failed_handshakes_total 1"), "{metrics}");
}

#[tokio::test]
async fn new_files_are_used_and_broken_ones_are_not_while_connections_live() {
    let files = Files::new();
    let rig = Rig::encrypted(files.load(), Limits::default()).await;
    let mut old = connect(rig.address, None).await.unwrap();

    files.write(TWO);
    rig.http.cast(HttpMessage::Reload(None)).unwrap();
    rig.until_subject("two").await;
    // The page goes on by the connection that it has.
    let head = format!("GET /api/v1/health HTTP/1.1\r\nhost: {}\r\n\r\n", rig.address);
    old.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 15];
    timeout(DEADLINE, old.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");

    files.write("-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----\n");
    rig.http.cast(HttpMessage::Reload(None)).unwrap();
    rig.until_detail("new files of http.tls are refused").await;
    assert_eq!(subject(&connect(rig.address, None).await.unwrap()), "two");
    files.write(ONE);
    rig.http.cast(HttpMessage::Reload(None)).unwrap();
    rig.until_subject("one").await;
}

#[test]
fn files_count_once_they_have_stayed_the_same_between_two_looks() {
    let files = Files::new();
    let tls = files.load();
    assert!(matches!(tls.look(false), Look::Same));
    files.write(&format!("{TWO}\n"));
    assert!(matches!(tls.look(false), Look::Same), "it may still be being written");
    assert!(matches!(tls.look(false), Look::Changed));
    assert!(matches!(tls.look(false), Look::Same));
    fs::remove_file(&files.config.key).unwrap();
    assert!(matches!(tls.look(false), Look::Same));
    let Look::Refused(why) = tls.look(false) else { panic!("not refused") };
    assert!(why.contains("http.tls.") && why.contains("No such file"), "{why}");
    assert!(matches!(tls.look(false), Look::Same), "told once");
}

#[tokio::test]
async fn where_certificates_are_asked_for_nobody_comes_without() {
    let mut files = Files::new();
    files.config.client_ca = Some(files.file("authority.pem", AUTHORITY));
    let rig = Rig::encrypted(files.load(), Limits::default()).await;
    let head = format!("GET /api/v1/health HTTP/1.1\r\nhost: {}\r\n", rig.address);
    let welcome = connect(rig.address, Some(CLIENT)).await.unwrap();
    assert_eq!(exchange(welcome, &head, "").await.status, 200);

    let error = refusal(rig.address, None).await.unwrap();
    assert!(error.contains("CertificateRequired"), "{error}");
}

#[tokio::test]
async fn who_needs_a_certificate_changes_without_a_restart() {
    let mut files = Files::new();
    let rig = Rig::encrypted(files.load(), Limits::default()).await;
    assert_eq!(refusal(rig.address, None).await, None);
    // The configuration asks for certificates from now on; then another authority signs them, then nobody does.
    files.config.client_ca = Some(files.file("clients.pem", AUTHORITY));
    rig.http.cast(HttpMessage::Reload(Some(files.config.clone()))).unwrap();
    until("a certificate is asked for", async || refusal(rig.address, None).await.is_some()).await;
    assert_eq!(refusal(rig.address, Some(CLIENT)).await, None);

    files.file("clients.pem", EXPIRED);
    until("the file is read again", async || refusal(rig.address, Some(CLIENT)).await.is_some())
        .await;
    files.file("clients.pem", "nothing");
    rig.http.cast(HttpMessage::Reload(None)).unwrap();
    rig.until_detail("http.tls.client_ca").await;
    assert!(refusal(rig.address, None).await.is_some(), "the former goes on");

    files.config.client_ca = None;
    rig.http.cast(HttpMessage::Reload(Some(files.config.clone()))).unwrap();
    until("nobody needs one", async || refusal(rig.address, None).await.is_none()).await;
}

#[tokio::test]
async fn who_is_slow_with_the_handshake_or_the_first_request_is_cut_off() {
    let short = Duration::from_millis(200);
    let limits = Limits { handshake: short, head: short, ..Limits::default() };
    let rig = Rig::encrypted(Files::new().load(), limits).await;
    for begins in [&b""[..], &[22, 3, 1]] {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(begins).await.unwrap();
        let ended = timeout(DEADLINE, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "still connected");
    }
    let mut shaken = connect(rig.address, None).await.unwrap();
    let ended = timeout(DEADLINE, shaken.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "still connected");
    let metrics = rig.ask_control("GET /metrics HTTP/1.1\r\nhost: x\r\n").await.body;
    assert!(metrics.contains("bartizan_http_failed_handshakes_total 2"), "{metrics}");
}

#[test]
fn a_pair_that_cannot_be_used_is_refused_with_file_and_fix() {
    let files = Files::new();
    let key = files.file("other.pem", TWO);
    let mixed = TlsConfig { key, ..files.config.clone() };
    let error = Tls::load(&mixed).unwrap_err().to_string();
    assert!(error.contains("other.pem") && error.contains("does not belong to"), "{error}");
    let nothing = TlsConfig { key: files.file("ca.pem", AUTHORITY), ..files.config.clone() };
    let error = std::error::Error::source(&nothing.load().unwrap_err()).unwrap().to_string();
    assert!(error.contains("has no private key"), "{error}");

    // What has expired still encrypts; whoever connects decides.
    files.write(EXPIRED);
    assert_eq!(files.load().ends_ms(), Some(1_609_459_200_000));
}

/// A certificate and its key in a folder of their own.
struct Files {
    folder: TempDir,
    config: TlsConfig,
}

impl Files {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("server.pem");
        let config = TlsConfig { certificate: file.clone(), key: file, client_ca: None };
        let files = Self { folder, config };
        files.write(ONE);
        files
    }

    fn write(&self, pem: &str) {
        self.file("server.pem", pem);
    }

    fn file(&self, name: &str, pem: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, pem).unwrap();
        path
    }

    fn load(&self) -> Tls {
        Tls::load(&self.config).unwrap()
    }
}

impl Rig {
    async fn until_subject(&self, name: &str) {
        let reached = async {
            while subject(&connect(self.address, None).await.unwrap()) != name {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("{name} is not used"));
    }

    async fn until_detail(&self, words: &str) {
        let reached = async {
            while !self.services[3].view().detail.is_some_and(|detail| detail.contains(words)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("nobody says {words}"));
    }
}

/// A connection by TLS, with this certificate or without one.
async fn connect(
    address: SocketAddr,
    certificate: Option<&str>,
) -> Result<TlsStream<TcpStream>, std::io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    timeout(DEADLINE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
}

/// Why whoever has this certificate, or none, gets no answer; `None` if it gets one.
async fn refusal(address: SocketAddr, certificate: Option<&str>) -> Option<String> {
    let mut stream = connect(address, certificate).await.unwrap();
    let head = format!("GET /api/v1/health HTTP/1.1\r\nhost: {address}\r\n\r\n");
    // In TLS 1.3 the refusal comes with the first read.
    let asked = async {
        stream.write_all(head.as_bytes()).await?;
        stream.read_u8().await
    };
    let answered = timeout(DEADLINE, asked).await.unwrap();
    answered.err().map(|error| error.to_string())
}

async fn until(what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !reached().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(DEADLINE, waited).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn subject(stream: &TlsStream<TcpStream>) -> String {
    let (_, session) = stream.get_ref();
    CertificateFacts::of(&session.peer_certificates().unwrap()[0]).name
}
