//! Questions to each receiver by its own HTTP interface: one series over a month, many over an hour, the latest of all.
//!
//! The month is the trace repeated, which is fit for timing and not for size. Each answer is looked at: it has as many
//! series and points as were asked for.

use std::time::{Duration, Instant};

use bartizan_tests::{
    Setup,
    http::{self, escape},
    measured::{Receiver, megabytes, missing},
    now_ms, rounds,
    wire::{Version, Written, snappy},
};
use serde_json::Value;

use super::{
    number, receiver,
    trace::{Column, liveliest},
};

/// Our hub keeps raw samples for as long as the others do.
const CONFIG: &str = "[store]\nmax_bytes = \"16GiB\"\nretention = { raw = \"60d\" }\n\n[[server]]\nname = \"hub\"\n\n\
    [[server.collector]]\nplugin = \"load\"\ninterval = \"10s\"\n\n";

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const HOUR_MS: i64 = 60 * 60 * 1000;

/// Series of the server that has a month, and the time between two samples there.
const LONG_SERIES: usize = 10;
const LONG_STEP_MS: i64 = 10_000;

/// Samples of each series in one request.
const TOGETHER: usize = 200;

/// Times that each question is asked, after it was asked once.
const TIMES: usize = 15;

/// Points of an hour.
const HOUR_POINTS: usize = 360;

/// One question, in the words of either side.
struct Question {
    title: String,
    ours: String,
    theirs: String,
    series: usize,
    points: usize,
}

/// Times of one question in milliseconds, by receiver.
struct Times {
    name: &'static str,
    medians: Vec<f64>,
    peak: u64,
}

/// The whole part.
pub(crate) async fn run() {
    let days = number("BARTIZAN_DAYS", 30) as i64;
    let servers = number("BARTIZAN_SERVERS", rounds(100, 1000));
    let columns = liveliest(100);
    let until_ms = (now_ms().div_euclid(HOUR_MS) - 2) * HOUR_MS;
    let questions = questions(&columns, days, until_ms, servers);
    eprintln!("questions, median of {TIMES} in ms");
    let mut all = Vec::new();
    for which in 0..number("BARTIZAN_WHICH", 3) {
        let setup = Setup::new(CONFIG);
        let Some(receiver) = receiver(which, &setup).await else { continue };
        fill(&receiver, &columns, (days, until_ms, servers)).await;
        receiver.rests().await;
        let mut medians = Vec::new();
        for question in &questions {
            medians.push(asked(&receiver, question).await);
        }
        all.push(Times { name: receiver.name, medians, peak: receiver.cost().peak });
    }
    let names: Vec<_> = all.iter().map(|times| format!("{:>16}", times.name)).collect();
    eprintln!("  {:<52}{}", "", names.join(""));
    for (at, question) in questions.iter().enumerate() {
        let times: Vec<_> =
            all.iter().map(|times| format!("{:>16.2}", times.medians[at])).collect();
        eprintln!("  {:<52}{}", question.title, times.join(""));
    }
    let peaks: Vec<_> =
        all.iter().map(|times| format!("{:>16.0}", megabytes(times.peak))).collect();
    eprintln!("  {:<52}{}", "most memory, MB", peaks.join(""));
    missing(&all.iter().map(|times| times.name).collect::<Vec<_>>());
}

fn questions(columns: &[Column], days: i64, until_ms: i64, servers: usize) -> Vec<Question> {
    let name = &columns[3].name;
    let from_ms = until_ms - days * DAY_MS;
    let step = days * DAY_MS / 1000 / 1000;
    let range = |query: &str, from_ms: i64, step: i64| {
        let (start, end) = (from_ms / 1000 + step, until_ms / 1000);
        let query = escape(query);
        // Asked again and again, VictoriaMetrics would answer from memory.
        format!("/api/v1/query_range?query={query}&start={start}&end={end}&step={step}&nocache=1")
    };
    let long = format!("trace{{server=\"long\",column=\"{name}\"}}");
    let ours = |server: &str, own: &str, from_ms: i64, points: usize| {
        format!(
            "/api/v1/series?server={server}&metric=trace{own}&from={from_ms}&to={until_ms}&points={points}&raw=true"
        )
    };
    let ours_long = ours("long", &format!("&label.column={}", escape(name)), from_ms, 1000);
    let mut questions = vec![
        Question {
            title: format!("1 series x {days} d -> 1,000 (theirs: single samples)"),
            ours: ours_long.clone(),
            theirs: range(&long, from_ms, step),
            series: 1,
            points: 1000,
        },
        Question {
            title: format!("1 series x {days} d -> 1,000 (theirs: means)"),
            ours: ours_long,
            theirs: range(&format!("avg_over_time({long}[{step}s])"), from_ms, step),
            series: 1,
            points: 1000,
        },
    ];
    for series in [60, 100] {
        let server = format!("hour-{series}");
        let theirs = format!("trace{{server=\"{server}\"}}");
        questions.push(Question {
            title: format!("{series} series x 1 h -> {HOUR_POINTS} each"),
            ours: ours(&server, "", until_ms - HOUR_MS, HOUR_POINTS),
            theirs: range(&theirs, until_ms - HOUR_MS, 10),
            series,
            points: HOUR_POINTS,
        });
    }
    questions.push(Question {
        title: format!("latest of all (ours: {servers} servers; theirs: x 60)"),
        ours: "/api/v1/servers".into(),
        theirs: format!(
            "/api/v1/query?query={}",
            escape("{collector=\"trace\",server=~\"now-.*\"}")
        ),
        series: servers,
        points: 1,
    });
    questions
}

/// Writes what is asked for, oldest first.
async fn fill(
    receiver: &Receiver,
    columns: &[Column],
    (days, until_ms, servers): (i64, i64, usize),
) {
    let mut writer = receiver.writer();
    let long = (days * DAY_MS - HOUR_MS) / LONG_STEP_MS;
    let from_ms = until_ms - days * DAY_MS;
    let mut stretches =
        vec![("long", &columns[..LONG_SERIES], from_ms, LONG_STEP_MS, long as usize)];
    let hour = until_ms - HOUR_MS;
    stretches.push(("long", &columns[..LONG_SERIES], hour, LONG_STEP_MS, 360));
    for (server, series) in [("hour-60", 60), ("hour-100", 100)] {
        stretches.push((server, &columns[..series], hour, 1000, 3600));
    }
    for (server, columns, from_ms, step_ms, rows) in stretches {
        let series: Vec<Written> = columns.iter().map(|column| column.of_many(server)).collect();
        for first in (0..rows).step_by(TOGETHER) {
            let mut body = series.clone();
            for (one, column) in body.iter_mut().zip(columns) {
                let rows = first..(first + TOGETHER).min(rows);
                one.samples =
                    rows.map(|row| (from_ms + step_ms * row as i64, column.value(row))).collect();
            }
            let answer = writer.send(snappy(&Version::One.encode(&body)).into()).await.unwrap();
            assert!(answer.status < 300, "{}: {} {}", receiver.name, answer.status, answer.text());
        }
    }
    for server in 0..servers {
        let name = format!("now-{server:04}");
        let at_ms = now_ms();
        let series = columns[..60].iter().map(|one| one.of_its_own(&name));
        let body: Vec<_> =
            series.zip(columns).map(|(s, c)| s.sample(at_ms, c.value(server))).collect();
        let answer = writer.send(snappy(&Version::One.encode(&body)).into()).await.unwrap();
        assert!(answer.status < 300, "{}: {} {}", receiver.name, answer.status, answer.text());
    }
}

/// How long the receiver takes to answer, in milliseconds.
async fn asked(receiver: &Receiver, question: &Question) -> f64 {
    let is_ours = receiver.daemon().is_some();
    let path = if is_ours { &question.ours } else { &question.theirs };
    let answer = http::get(receiver.address, path).await.unwrap();
    assert_eq!(answer.status, 200, "{}: {path}: {}", receiver.name, answer.text());
    look_at(receiver.name, question, &answer.json());
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        http::get(receiver.address, path).await.unwrap();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[TIMES / 2].as_secs_f64() * 1e3
}

/// Whether the answer is one to the question; one that falls short is told of.
fn look_at(name: &str, question: &Question, answer: &Value) {
    let series = if question.points == 1 && answer["servers"].is_array() {
        answer["servers"].as_array().unwrap()
    } else if answer["series"].is_array() {
        answer["series"].as_array().unwrap()
    } else {
        answer["data"]["result"].as_array().unwrap()
    };
    let points = |one: &Value| {
        let points = one["points"].as_array().or(one["values"].as_array());
        points.map_or(1, Vec::len)
    };
    let least = series.iter().map(points).min().unwrap_or(0);
    if series.len() < question.series || least < question.points * 8 / 10 {
        let (found, wanted) = (series.len(), question.series);
        eprintln!("  {name}: {}: {found} of {wanted} series, {least} points", question.title);
    }
}
