//! Whole pages, as real exporters gave them.

use super::{Target, config};
use crate::{
    scrape::Format,
    series::{Kind, Labels},
};

const NODE_EXPORTER: &str = include_str!("../fixtures/node_exporter_1.5.0.txt");
const PROMETHEUS: &str = include_str!("../fixtures/prometheus_2.42.0.txt");
const CLIENT_PYTHON: &str = include_str!("../fixtures/client_python_0.16.0.openmetrics.txt");

/// A series name and value are what stands before and behind the last space of a line; read without the parser.
#[test]
fn every_sample_of_a_real_page_is_taken_as_it_stands_there() {
    for page in [NODE_EXPORTER, PROMETHEUS] {
        let mut target = Target::new(&config(""));
        let haul = target.read(page).unwrap();

        let lines: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() > 100);
        assert_eq!((haul.samples.len(), haul.malformed), (lines.len(), 0));
        for (line, sample) in lines.iter().zip(&haul.samples) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            assert_eq!(sample.value.to_bits(), value.to_bits(), "{line}");
            let series = target.catalog.get(sample.series).unwrap();
            assert_eq!(name.split('{').next(), Some(&*series.metric), "{line}");
            let pairs = name.split_once('{').map_or("", |(_, labels)| labels.trim_end_matches('}'));
            let pairs = pairs.split("\",").filter(|pair| !pair.is_empty()).map(|pair| {
                let (name, value) = pair.trim_end_matches('"').split_once("=\"").unwrap();
                (name.replace("collector", "exported_collector"), value.to_owned())
            });
            let of_target = [("instance", "h:80"), ("job", "t")];
            let of_target = of_target.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(series.labels, Labels::new(pairs.chain(of_target)), "{line}");
        }
    }
}

#[test]
fn a_page_that_does_not_change_makes_no_series() {
    let mut target = Target::new(&config(""));
    let first = target.read(NODE_EXPORTER).unwrap();
    let count = target.catalog.len();
    for _ in 0..3 {
        assert_eq!(target.read(NODE_EXPORTER).unwrap(), first);
    }
    let reversed: Vec<&str> = NODE_EXPORTER.lines().rev().collect();
    let haul = target.read(&reversed.join("\n")).unwrap();
    assert_eq!(haul.samples.len(), first.samples.len(), "in whatever order");
    assert_eq!(target.catalog.len(), count);
}

#[test]
fn what_the_page_says_of_its_metrics_is_kept() {
    let mut target = Target::new(&config(""));
    target.read(NODE_EXPORTER).unwrap();
    target.read(PROMETHEUS).unwrap();
    let of = |metric| target.kind_and_unit(metric);
    assert_eq!(of("node_cpu_seconds_total"), (Kind::Counter, "seconds".into()));
    assert_eq!(of("node_memory_MemFree_bytes"), (Kind::Gauge, "bytes".into()));
    assert_eq!(of("node_load1"), (Kind::Gauge, String::new()));
    assert_eq!(of("go_gc_duration_seconds"), (Kind::Gauge, "seconds".into()), "a quantile");
    assert_eq!(of("go_gc_duration_seconds_count"), (Kind::Counter, String::new()));
    let bucket = of("prometheus_http_request_duration_seconds_bucket");
    assert_eq!(bucket, (Kind::Counter, String::new()));
    assert_eq!(of("go_memstats_alloc_bytes_total"), (Kind::Counter, "bytes".into()));
}

#[test]
fn an_openmetrics_page_is_taken_whole() {
    let mut target = Target::new(&config(""));
    let haul = target.read_as(Format::OpenMetrics, CLIENT_PYTHON.as_bytes()).unwrap();

    let count = CLIENT_PYTHON.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!((haul.samples.len(), haul.malformed), (count, 0));
    assert!(haul.has_ignored_times && haul.dated.is_empty());
    let shown = target.shown(&haul);
    for expected in [
        r#"http_requests_total{path="/a \"b\" \\ c\nd"} 3"#,
        r#"http_requests_total{path="/上海"} 2.5"#,
        r#"http_latency_seconds_bucket{le="0.1",path="/"} 1"#,
        "room_temperature_celsius -12.5",
        "free_bytes inf",
        "unset_ratio NaN",
        r#"task{task="running"} 1"#,
        "queue_bytes_gsum 77",
    ] {
        assert!(shown.iter().any(|sample| sample == expected), "{expected}: {shown:#?}");
    }
    let of = |metric| target.kind_and_unit(metric);
    assert_eq!(of("http_requests_total"), (Kind::Counter, String::new()));
    assert_eq!(of("http_requests_created"), (Kind::Gauge, "seconds".into()));
    assert_eq!(of("queue_bytes_bucket"), (Kind::Gauge, String::new()));
    assert_eq!(of("queue_bytes_gsum"), (Kind::Gauge, "bytes".into()));
}

#[test]
fn times_of_the_page_are_kept_where_that_is_asked_for_and_each_counts_once() {
    let mut target = Target::new(&config("honor_timestamps = true"));
    let haul = target.read("a 1 5000\nb 2\nc 3 7000\n").unwrap();
    assert_eq!(target.shown(&haul), ["b 2"]);
    let dated: Vec<_> = haul.dated.iter().map(|(at, sample)| (*at, sample.value)).collect();
    assert_eq!(dated, [(5000, 1.0), (7000, 3.0)]);

    let haul = target.read("a 1 5000\nb 2\nc 4 8000\n").unwrap();
    let dated: Vec<_> = haul.dated.iter().map(|(at, sample)| (*at, sample.value)).collect();
    assert_eq!(dated, [(8000, 4.0)], "the other has been given");
    assert_eq!((haul.repeated, haul.has_ignored_times), (0, false));
}

#[test]
fn a_malformed_line_costs_itself_and_is_named() {
    let mut target = Target::new(&config(""));
    let haul = target.read("# TYPE a counter\na 1\nb{x=\"y} 2\nc 3\nd four\n").unwrap();
    assert_eq!(target.shown(&haul), ["a 1", "c 3"]);
    assert_eq!((haul.scraped, haul.malformed), (2, 2));
    let first = haul.first_malformed.unwrap();
    assert_eq!(first.to_string(), "line 3: label value is not closed");
}

#[test]
fn what_is_no_page_is_none() {
    let mut target = Target::new(&config(""));
    let why = target.read("<html>\n<body>down</body>\n").unwrap_err();
    assert_eq!(why, "line 1: it does not begin with a metric name");
    assert_eq!(target.read("").unwrap_err(), "page has no samples");
    assert_eq!(target.read("# HELP a b\n").unwrap_err(), "page has no samples");
    let mut read = |page: &str| target.read_as(Format::OpenMetrics, page.as_bytes());
    let cut = read("a 1\nb 2\n").unwrap_err();
    assert_eq!(cut, "page is cut off: `# EOF` is missing at its end");
    let behind = read("a 1\n# EOF\nb 2\n").unwrap();
    assert_eq!((behind.samples.len(), behind.malformed), (1, 1));
    assert_eq!(behind.first_malformed.unwrap().to_string(), "line 3: it stands behind `# EOF`");
}
