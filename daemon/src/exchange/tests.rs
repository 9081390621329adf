//! What is written can be read, and is then written the same; what is not understood is named.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::series::{Kind, Labels, Series};

/// A file of this name, with this in it.
fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn series(metric: &str, labels: Labels, kind: Kind, unit: &str) -> Series {
    Series {
        server: "web-1".into(),
        collector: "cpu, or so".into(),
        metric: metric.into(),
        labels,
        unit: unit.into(),
        kind,
        interval_ms: 1000,
    }
}

fn some_series() -> Vec<Series> {
    let odd = Labels::new([("path", "C:\\a \"b\",\nc"), ("empty", "")]);
    vec![
        series("cpu_seconds_total", Labels::new([("core", "0")]), Kind::Counter, "seconds"),
        series("cpu_seconds_total", Labels::new([("core", "1")]), Kind::Counter, "seconds"),
        series("disk_bytes", odd, Kind::Gauge, "bytes"),
        series("jobs_total", Labels::default(), Kind::Gauge, ""),
        series("rpc_seconds_count", Labels::default(), Kind::Counter, ""),
    ]
}

type Samples = Vec<(i64, f64)>;

fn written(format: Format, all: &[(Series, Samples)]) -> String {
    let mut writer = TextWriter::new(format, Vec::new());
    for (series, samples) in all {
        writer.write(series, samples).unwrap();
    }
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

fn read(format: Format, text: &str, server: &str) -> Result<Vec<(Series, Samples)>, String> {
    let (_folder, path) = file("samples", text);
    let source = Source::open(&path, None, server).map_err(|error| error.to_string())?;
    assert!(text.is_empty() || source.format() == format, "the format is seen");
    let mut table = Table::default();
    let mut samples: BTreeMap<u32, Samples> = BTreeMap::new();
    let done = source.read(&mut table, |number, at_ms, value| {
        samples.entry(number).or_default().push((at_ms, value));
        Ok(())
    });
    done.map_err(|error| error.to_string())?;
    let of = |(number, samples): (u32, Samples)| (table.series()[number as usize].clone(), samples);
    Ok(samples.into_iter().map(of).collect())
}

fn any_value() -> impl Strategy<Value = f64> {
    let usual = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, f64::MAX, 0.1 + 0.2];
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        proptest::sample::select(usual.to_vec()),
        any::<i32>().prop_map(f64::from),
    ]
}

proptest! {
    #[test]
    fn samples_come_back_bit_for_bit(
        values in proptest::collection::vec(any_value(), 5..40),
        first in -2_000_000_000_000i64..2_000_000_000_000,
    ) {
        for format in [Format::Csv, Format::OpenMetrics] {
            let mut all: Vec<(Series, Samples)> =
                some_series().into_iter().map(|series| (series, Samples::new())).collect();
            for (row, value) in values.iter().enumerate() {
                // OpenMetrics knows but one NaN.
                let is_odd = value.is_nan() && format == Format::OpenMetrics;
                let value = if is_odd { f64::NAN } else { *value };
                let at_ms = first + (row / 5) as i64 * 1000;
                all[row % 5].1.push((at_ms, value));
            }
            let text = written(format, &all);
            let again = read(format, &text, "web-1").unwrap();
            for ((series, samples), (known, known_samples)) in again.iter().zip(&all) {
                prop_assert_eq!(&series.labels, &known.labels);
                prop_assert_eq!((&series.unit, series.kind), (&known.unit, known.kind));
                let bits = |samples: &Samples| -> Vec<(i64, u64)> {
                    samples.iter().map(|(at, value)| (*at, value.to_bits())).collect()
                };
                prop_assert_eq!(bits(samples), bits(known_samples));
            }
            prop_assert_eq!(again.len(), all.len());
            prop_assert_eq!(written(format, &again), text, "and is written the same");
        }
    }
}

/// Text of any letters, with those that mean something more often.
fn any_text() -> impl Strategy<Value = String> {
    let special = proptest::sample::select("\"\\\n\r,{}=_ a0:.é".chars().collect::<Vec<_>>());
    proptest::collection::vec(prop_oneof![special, any::<char>()], 1..8)
        .prop_map(|letters| letters.into_iter().collect())
}

proptest! {
    #[test]
    fn csv_gives_back_whatever_names_and_bits_there_are(
        names in (any_text(), any_text(), any_text()),
        labels in proptest::collection::vec((any_text(), any_text()), 0..4),
        interval_ms in any::<u32>(),
        is_counter in any::<bool>(),
        bits in proptest::collection::vec(any::<u64>(), 1..4),
    ) {
        let (collector, metric, unit) = names;
        let known = Series {
            server: "web-1".into(),
            collector: collector.into(),
            metric: metric.into(),
            labels: Labels::new(labels),
            unit: unit.into(),
            kind: if is_counter { Kind::Counter } else { Kind::Gauge },
            interval_ms,
        };
        let other = Series { metric: "other".into(), ..known.clone() };
        let samples: Samples =
            bits.iter().zip(0..).map(|(bits, at)| (at * 1000, f64::from_bits(*bits))).collect();
        let text = written(Format::Csv, &[(known.clone(), samples.clone()), (other.clone(), samples)]);
        let again = read(Format::Csv, &text, "web-1").unwrap();
        let found: Vec<_> = again.iter().map(|(series, _)| series).collect();
        prop_assert_eq!(found, if known == other { vec![&known] } else { vec![&known, &other] });
        for (_, samples) in &again {
            let found: Vec<u64> = samples.iter().map(|(_, value)| value.to_bits()).collect();
            prop_assert_eq!(&found[..bits.len()], &bits[..]);
        }
    }
}

#[test]
fn every_line_of_openmetrics_is_one_to_a_scrape_too() {
    let all: Vec<_> = some_series()
        .into_iter()
        .map(|series| (series, vec![(1500, 0.25), (2500, -1e300)]))
        .collect();
    let text = written(Format::OpenMetrics, &all);
    for (number, line) in crate::scrape::Lines::of(text.as_bytes()) {
        let read = crate::scrape::Format::OpenMetrics.line(line);
        assert!(read.is_ok(), "line {number}: {read:?}");
    }
    assert!(text.starts_with(
        "# TYPE cpu_seconds counter\n# UNIT cpu_seconds seconds\n\
         cpu_seconds_total{server=\"web-1\",collector=\"cpu, or so\",core=\"0\"} 0.25 1.500\n"
    ));
    assert_eq!(text.matches("# TYPE cpu_seconds ").count(), 1, "a family stands together");
    assert!(text.contains("# TYPE rpc_seconds_count unknown\n"), "no counter of OpenMetrics");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn csv_says_all_there_is_and_takes_less() {
    let one = series("load", Labels::new([("a", "b,c")]), Kind::Gauge, "tasks");
    let nan = f64::from_bits(0x7ff0_0000_dead_beef);
    let text = written(Format::Csv, &[(one, vec![(-5, nan), (10, 1e300)])]);
    assert_eq!(
        text,
        "time_ms,value,server,collector,metric,labels,kind,unit,interval_ms\n\
         -5,NaN:7ff00000deadbeef,web-1,\"cpu, or so\",load,\"{a=\"\"b,c\"\"}\",gauge,tasks,1000\n\
         10,1e300,web-1,\"cpu, or so\",load,\"{a=\"\"b,c\"\"}\",gauge,tasks,1000\n"
    );
    let little = "metric,value,time_ms\ncpu_seconds_total,5,1000\ncpu_seconds_total,6,1500\n";
    let (series, samples) = read(Format::Csv, little, "db-1").unwrap().remove(0);
    assert_eq!((&*series.server, &*series.collector), ("db-1", "import"));
    assert_eq!((series.kind, &*series.unit), (Kind::Counter, "seconds"));
    assert_eq!((series.interval_ms, samples.len()), (500, 2));
}

#[test]
fn samples_go_to_the_server_that_is_named_and_two_never_become_one() {
    let text = "load{server=\"a\"} 1 1\nload{server=\"b\"} 2 1\n# EOF\n";
    let servers = |text: &str, server: &str| {
        read(Format::OpenMetrics, text, server)
            .map(|all| all.iter().map(|(series, _)| series.server.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(servers(text, "*").unwrap(), ["a", "b"]);
    let refused = servers(text, "c").unwrap_err();
    assert!(refused.starts_with("line 2: it is of server `b`"), "{refused}");
    assert_eq!(servers("load{server=\"a\"} 1 1\n# EOF\n", "c").unwrap(), ["c"]);
    assert!(servers("load 1 1\n# EOF\n", "*").unwrap_err().contains("--server NAME"));
    assert!(servers("load 1 1\n# EOF\n", "a\n").unwrap_err().contains("--server"));
}

#[test]
fn what_is_not_understood_is_named_with_its_line_and_the_fix() {
    let head = "time_ms,value,metric\n";
    for (format, text, expected) in [
        (Format::OpenMetrics, "load 1\n# EOF\n", "line 1: it has no timestamp; export with"),
        (Format::OpenMetrics, "load 1 1\n", "line 2: `# EOF` is missing"),
        (Format::OpenMetrics, "load 1 1\n# EOF\nload 1 2\n", "line 3: it stands behind"),
        (Format::OpenMetrics, "load{a=\"b} 1 1\n# EOF\n", "line 1: label value is not closed"),
        (Format::OpenMetrics, "load x 1\n# EOF\n", "line 1: its value is not a number"),
        (Format::Csv, &format!("{head}1,2\n"), "line 2: it has 2 fields, the first line has 3"),
        (Format::Csv, &format!("{head}soon,2,load\n"), "line 2: time_ms is `soon`"),
        (Format::Csv, &format!("{head}1,two,load\n"), "line 2: value is `two`"),
        (Format::Csv, &format!("{head}1,2,load\n1,2,\n"), "line 3: metric is empty"),
        (Format::Csv, &format!("{head}1,2,\"load\n"), "line 2: a quote is not closed"),
        (Format::Csv, &format!("{head}1,2,\"a\n\"\"b\n"), "line 2: a quote is not closed"),
        (Format::Csv, &format!("{head}1,\"\n\",\"a\nb\n"), "line 3: a quote is not closed"),
        (Format::Csv, &format!("{head}{},2,load\n", i64::MAX), "line 2: its time is no time"),
        (Format::Csv, &format!("{head}1,2,\"a\nb\"\nsoon,2,b\n"), "line 4: time_ms is `soon`"),
    ] {
        let error = read(format, text, "web-1").unwrap_err();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
    for (labels, expected) in [
        ("{a b=\"\"1\"\"}", "must stand in quotes"),
        ("{a=1}", "a value is not in quotes"),
        ("{a=\"\"1\"\"", "`,` or `}` is missing"),
        ("{a=\"\"1\"\",a=\"\"2\"\"}", "twice"),
    ] {
        let text = format!("time_ms,value,metric,labels\n1,2,load,\"{labels}\"\n");
        let error = read(Format::Csv, &text, "web-1").unwrap_err();
        assert!(error.starts_with("line 2: labels are") && error.contains(expected), "{error}");
    }
    for (first, expected) in [
        ("time_ms,value,metrik", "column `metrik` is unknown; known are time_ms, value"),
        ("time_ms,metric", "column `value` is missing"),
        ("time_ms,value,metric,value", "column `value` stands there twice"),
    ] {
        let (_folder, path) = file("a.csv", &format!("{first}\n1,2,3\n"));
        let source = Source::open(&path, None, "web-1").unwrap();
        let error = source.read(&mut Table::default(), |_, _, _| Ok(())).unwrap_err().to_string();
        assert!(error.starts_with(&format!("line 1: {expected}")), "{error}");
    }
}

#[test]
fn a_name_that_openmetrics_does_not_have_is_written_as_csv_alone() {
    let dotted = series("http.server", Labels::default(), Kind::Gauge, "");
    let mut writer = TextWriter::new(Format::OpenMetrics, Vec::new());
    let error = writer.write(&dotted, &[(1, 1.0)]).unwrap_err().to_string();
    assert!(error.contains("`http.server`") && error.contains("CSV"), "{error}");
    let text = written(Format::Csv, &[(dotted.clone(), vec![(1, 1.0)])]);
    assert_eq!(read(Format::Csv, &text, "web-1").unwrap()[0].0, dotted);
}

#[test]
fn a_quote_that_is_not_closed_is_found_at_once_however_many_lines_follow() {
    let head = "time_ms,value,metric\n1,2,load\n";
    let text = format!("{head}1,2,\"{}", "\n".repeat(3 << 20));
    let error = read(Format::Csv, &text, "web-1").unwrap_err();
    assert!(error.starts_with("line 3: a quote is not closed"), "{error}");
    let long = format!("{head}1,2,{}\n", "a".repeat(2 << 20));
    let error = read(Format::Csv, &long, "web-1").unwrap_err();
    assert_eq!(error, "line 3: it is longer than 1024 KiB");
}
