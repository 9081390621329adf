//! A source against small servers that answer in every wrong way.

use std::{io::Write, sync::Arc, time::Duration};

use flate2::{Compression, write::GzEncoder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::config;
use crate::{
    collector::Source,
    config::{Access, Credentials, ScrapeConfig},
    plugin::Reading,
    scrape::ScrapeSource,
    series::Catalog,
};

/// An interval, and a deadline.
const SHORT: Duration = Duration::from_millis(400);

/// A server that reads one request a connection and answers with these bytes; what was asked comes back.
async fn serve(answer: impl Into<Vec<u8>>) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let answer = answer.into();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = question(&mut stream).await;
        // The other side may have had enough.
        let _ = stream.write_all(&answer).await;
        asked
    });
    (url, served)
}

async fn question(stream: &mut TcpStream) -> String {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        asked.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(asked).unwrap()
}

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{headers}\r\n").into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(body).unwrap();
    packed.finish().unwrap()
}

fn source(url: &str) -> (ScrapeSource, Arc<Catalog>) {
    let catalog = Arc::new(Catalog::default());
    let config = ScrapeConfig {
        url: url.into(),
        // Nothing is left for an offset.
        interval: Some(SHORT),
        timeout: Some(SHORT),
        max_bytes: 1 << 20,
        ..config("")
    };
    (ScrapeSource::new(config, catalog.clone()), catalog)
}

async fn read(url: &str) -> Result<Reading, String> {
    source(url).0.collect(0).await.map_err(|error| error.to_string())
}

/// Why there is no reading of what is answered so.
async fn refused(answer: impl Into<Vec<u8>>) -> String {
    let (url, served) = serve(answer).await;
    let why = read(&url).await.unwrap_err();
    served.abort();
    why
}

#[tokio::test]
async fn a_page_is_read_with_what_it_took_and_what_was_dropped() {
    let (url, served) = serve(ok("content-type: text/plain\r\n", b"a 1\na 2\nb x\n")).await;
    let (mut source, catalog) = source(&url);
    let reading = source.collect(0).await.unwrap();
    let asked = served.await.unwrap().to_lowercase();

    assert!(asked.starts_with("get /metrics http/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\naccept: application/openmetrics-text;version=1.0.0,"), "{asked}");
    assert!(asked.contains("\r\nuser-agent: bartizan/"), "{asked}");
    let values: Vec<(String, f64)> = reading
        .samples
        .iter()
        .map(|sample| {
            let series = catalog.get(sample.series).unwrap();
            let reason = series.labels.get("reason").unwrap_or_default();
            (format!("{} {reason}", series.metric).trim().to_owned(), sample.value)
        })
        .collect();
    let value = |name: &str| values.iter().find(|(known, _)| known == name).unwrap().1;
    assert_eq!((value("a"), value("scrape_samples_scraped")), (1.0, 2.0));
    let dropped = ["malformed", "repeated", "refused"];
    let dropped = dropped.map(|reason| value(&format!("scrape_samples_dropped {reason}")));
    assert_eq!(dropped, [1.0, 1.0, 0.0]);
    let took = value("scrape_duration_seconds");
    assert!(took > 0.0 && took < 0.4, "{took}");
    assert_eq!(reading.invalid, 2);
}

#[tokio::test]
async fn a_page_may_be_packed_and_openmetrics() {
    let headers =
        "content-type: application/openmetrics-text; version=1.0.0\r\ncontent-encoding: gzip\r\n";
    let (url, _) = serve(ok(headers, &gzip(b"a 1\n# EOF\n"))).await;
    assert_eq!(read(&url).await.unwrap().samples[0].value, 1.0);
}

#[tokio::test]
async fn what_is_wrong_is_said_in_words() {
    let unavailable = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(refused(unavailable).await, "target answered 503 Service Unavailable");
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://other/\r\ncontent-length: 0\r\n\r\n";
    let why = "target answered 302 Found and points to http://other/: name that in `url`";
    assert_eq!(refused(moved).await, why);
    let unknown = refused("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
    assert!(
        unknown.starts_with("target answered 401 Unauthorized: give `token_file`"),
        "{unknown}"
    );
    let html = ok("content-type: text/html\r\n", b"<html>");
    assert_eq!(refused(html).await, "line 1: it does not begin with a metric name");
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\na 1\n";
    assert!(refused(cut).await.starts_with("page is cut off: "), "{}", refused(cut).await);
    let garbage = refused("garbage\r\n\r\n").await;
    assert!(garbage.starts_with("target does not answer: "), "{garbage}");
    let brotli = ok("content-encoding: br\r\n", b"x");
    assert_eq!(refused(brotli).await, "page is packed with `br`, which was not asked for");
    let nobody = "http://127.0.0.1:1/metrics";
    assert_eq!(read(nobody).await.unwrap_err(), "target is not reached: Connection refused");
}

#[tokio::test]
async fn a_page_is_never_larger_than_it_may_be_packed_or_not() {
    let large = b"a 1\n".repeat(1 << 18);
    let (url, _) = serve(ok("", &large)).await;
    assert!(read(&url).await.is_ok(), "as large as it may be");
    let larger = [&large[..], b"b 1\n"].concat();
    assert_eq!(refused(ok("", &larger)).await, "page is over 1 MiB");
    let bomb = ok("content-encoding: gzip\r\n", &gzip(&vec![b'#'; 64 << 20]));
    assert!(bomb.len() < 100_000);
    assert_eq!(refused(bomb).await, "page is over 1 MiB");
    let packed = gzip(b"a 1\n");
    let half = ok("content-encoding: gzip\r\n", &packed[..packed.len() / 2]);
    assert_eq!(refused(half).await, "page is cut off");
    let torn = refused(ok("content-encoding: gzip\r\n", b"not gzip at all")).await;
    assert!(torn.starts_with("page cannot be unpacked: "), "{torn}");
}

#[tokio::test]
async fn a_target_that_hangs_or_drips_is_given_up_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut silent, _) = listener.accept().await.unwrap();
        question(&mut silent).await;
        let (mut slow, _) = listener.accept().await.unwrap();
        question(&mut slow).await;
        slow.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while slow.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    for _ in 0..2 {
        let began = std::time::Instant::now();
        assert_eq!(read(&url).await.unwrap_err(), "deadline of 400ms exceeded");
        assert!(began.elapsed() < Duration::from_millis(800));
    }
    served.abort();
}

#[tokio::test]
async fn credentials_are_those_of_the_file_as_it_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let catalog = Arc::new(Catalog::default());
    let of = |credentials| Access { credentials, ..Access::default() };
    let plain = ScrapeConfig {
        url,
        access: of(Credentials::Token(file.clone())),
        interval: Some(SHORT),
        timeout: Some(SHORT),
        ..config("")
    };
    let mut source = ScrapeSource::new(plain.clone(), catalog.clone());
    let why = source.collect(0).await.unwrap_err().to_string();
    assert!(
        why.starts_with("failed to read token_file `") && why.contains("No such file"),
        "{why}"
    );

    for (secret, expected) in [("one", "bearer one"), ("another", "bearer another")] {
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        let served = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = question(&mut stream).await.to_lowercase();
            stream.write_all(&ok("connection: close\r\n", b"a 1\n")).await.unwrap();
            asked
        };
        let (read, asked) = tokio::join!(source.collect(0), served);
        read.unwrap();
        assert!(asked.contains(&format!("\r\nauthorization: {expected}\r\n")), "{asked}");
    }
    let (url, served) = serve(ok("", b"a 1\n")).await;
    let access = of(Credentials::Password { username: "me".into(), file });
    let config = ScrapeConfig { url, access, ..plain };
    ScrapeSource::new(config, catalog).collect(0).await.unwrap();
    let asked = served.await.unwrap();
    assert!(asked.contains("authorization: Basic bWU6YW5vdGhlcg==\r\n"), "{asked}");
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_reading() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..3 {
            question(&mut stream).await;
            stream.write_all(&ok("", b"a 1\n")).await.unwrap();
        }
    });
    let (mut source, _) = source(&url);
    for _ in 0..3 {
        source.collect(0).await.unwrap();
    }
    served.await.unwrap();
}
