//! Others who answer, are slow, say too much or are not there: what is told then, and how long that takes.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};

use super::{
    Source, Stretch, Told,
    past::Others,
    plan::{Form, Plan},
};
use crate::{
    config::Config,
    store::messages::{Answer, Query},
};

/// Somebody who gives every question the same answer, after a while.
struct Peer {
    url: String,
    questions: Arc<Mutex<Vec<String>>>,
    at_once: Arc<AtomicUsize>,
}

impl Peer {
    async fn start(delay: Duration, status: &'static str, body: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (questions, at_once) = <(Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>)>::default();
        let (seen, most, body) = (questions.clone(), at_once.clone(), Arc::new(body));
        tokio::spawn(async move {
            let now = Arc::new(AtomicUsize::new(0));
            while let Ok((mut stream, _)) = listener.accept().await {
                let (seen, most, now, body) =
                    (seen.clone(), most.clone(), now.clone(), body.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    seen.lock().unwrap().push(String::from_utf8(head).unwrap());
                    tokio::time::sleep(delay).await;
                    now.fetch_sub(1, Ordering::Relaxed);
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                    );
                    // Whoever has lost patience does not take it.
                    let _ = stream.write_all(head.as_bytes()).await;
                    let _ = stream.write_all(&body).await;
                });
            }
        });
        Self { url, questions, at_once }
    }

    fn others(&self) -> Others {
        let text = format!("[history]\nquery_url = \"{}/prom/\"\ntimeout = \"1s\"", self.url);
        Others::new(Arc::new(ArcSwap::from_pointee(Config::parse(&text, "test.toml").unwrap())))
    }
}

const FOUND: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[
    {"metric":{"__name__":"load1","server":"web-1","collector":"load"},"values":[[20,"1"],[30,"2"]]}]}}"#;

fn query() -> Query {
    Query {
        server: "web-1".into(),
        metric: "load1".into(),
        labels: Vec::new(),
        from_ms: 20_000,
        to_ms: 100_000,
        points: None,
        raw: false,
        stats: Vec::new(),
    }
}

const PLAN: Plan =
    Plan { from_ms: 20_000, to_ms: 65_000, form: Form::Samples, rate: false, interval_ms: 10_000 };

async fn told(others: &Others) -> (Told, Duration) {
    let began = Instant::now();
    let told = others.complete(&query(), Answer::default(), &PLAN).await;
    (told, began.elapsed())
}

#[tokio::test]
async fn what_others_have_is_added_and_marked() {
    let peer = Peer::start(Duration::ZERO, "200 OK", FOUND.into()).await;
    let others = peer.others();
    let (told, _) = told(&others).await;
    let points = told.answer.series[0].points.iter().map(|point| (point.at_ms, point.mean));
    assert_eq!(points.collect::<Vec<_>>(), [(20_000, 1.0), (30_000, 2.0)]);
    let stretch = |from_ms, to_ms, source| Stretch { from_ms, to_ms, source };
    let sources =
        [stretch(20_000, 65_000, Source::History), stretch(65_000, 100_000, Source::Store)];
    assert_eq!((told.sources.as_slice(), told.reason), (sources.as_slice(), None));
    assert!(!told.answer.partial);
    let questions = peer.questions.lock().unwrap();
    assert!(questions[0].starts_with("GET /prom/api/v1/query?query=%7B__name__%3D%22load1%22"));
    assert_eq!((others.stats().asked, others.stats().failed), (1, 0));
}

#[tokio::test]
async fn who_is_slow_costs_one_deadline_and_then_nothing() {
    let peer = Peer::start(Duration::from_secs(20), "200 OK", FOUND.into()).await;
    let others = peer.others();
    let (first, took) = told(&others).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(first.answer.partial);
    let reason = first.reason.unwrap();
    assert!(reason.contains(&peer.url) && reason.ends_with("did not answer within 1s"), "{reason}");
    let left = [Stretch { from_ms: 65_000, to_ms: 100_000, source: Source::Store }];
    assert_eq!(first.sources, left);
    let (again, took) = told(&others).await;
    let why = again.reason.unwrap();
    let rests = why.strip_prefix(&reason).unwrap();
    assert_eq!(rests, "; it was not asked again, and will be in 5 s");
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(peer.questions.lock().unwrap().len(), 1);
    assert_eq!((others.stats().asked, others.stats().failed), (2, 2));
    assert!(others.stats().seconds >= 1.0);
}

#[tokio::test]
async fn no_more_than_a_few_are_asked_at_once() {
    let peer = Peer::start(Duration::from_millis(50), "200 OK", FOUND.into()).await;
    let others = peer.others();
    let all = (0..12).map(|_| told(&others));
    let answers = futures_util::future::join_all(all).await;
    assert!(answers.iter().all(|(told, _)| told.reason.is_none()), "{answers:?}");
    let most = peer.at_once.load(Ordering::Relaxed);
    assert!((2..=4).contains(&most), "{most} at once");
}

#[tokio::test]
async fn what_is_no_answer_is_told_with_the_fix() {
    let check = async |status, body: Vec<u8>, expected: &str| {
        let peer = Peer::start(Duration::ZERO, status, body).await;
        let (told, _) = told(&peer.others()).await;
        let reason = told.reason.unwrap();
        assert!(told.answer.partial && reason.contains(expected), "{reason}");
    };
    check("404 Not Found", b"no\x1b[31m".into(), "correct query_url").await;
    check("200 OK", vec![b' '; 17 << 20], "more than 16777216 bytes: ask for less").await;
    let others =
        Peer { url: "http://127.0.0.1:9".into(), ..Peer::start(Duration::ZERO, "", vec![]).await };
    let (told, _) = told(&others.others()).await;
    assert!(told.reason.unwrap().contains("it is not reached"));
}

#[tokio::test]
async fn a_question_that_is_too_much_is_no_reason_to_refuse_the_next() {
    let body = r#"{"status":"error","error":"query processing would load too many samples"}"#;
    let peer = Peer::start(Duration::ZERO, "422 Unprocessable Entity", body.into()).await;
    let others = peer.others();
    for questions in 1..3 {
        let (told, _) = told(&others).await;
        let reason = told.reason.unwrap();
        assert!(told.answer.partial && reason.ends_with("too many samples"), "{reason}");
        assert_eq!(peer.questions.lock().unwrap().len(), questions);
    }
}
