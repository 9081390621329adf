//! Line by line: what each says, or what is wrong with it.

use super::super::{
    Format,
    line::{Fault, LABELS_MAX, LINE_MAX, Line, Type, Value},
};

/// `series value time` with labels unescaped, or what is wrong.
fn said(format: Format, line: &[u8]) -> Result<String, Fault> {
    Ok(match format.line(line)? {
        Line::Sample(sample) => {
            let labels = sample.series.labels();
            let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value}")).collect();
            let Value { value, at_ms } = sample.value;
            let time = at_ms.map(|at| format!(" @{at}")).unwrap_or_default();
            format!("{}[{}] {value}{time}", sample.series.name, labels.join("|"))
        }
        Line::Type(family, kind) => format!("{family} is {kind:?}"),
        Line::Unit(family, unit) => format!("{family} in {unit}"),
        Line::Nothing => "-".into(),
        Line::End => "end".into(),
    })
}

#[track_caller]
fn reads(format: Format, line: &str, expected: &str) {
    assert_eq!(said(format, line.as_bytes()).as_deref(), Ok(expected), "{line}");
}

#[track_caller]
fn refuses(format: Format, line: &str, expected: Fault) {
    assert_eq!(said(format, line.as_bytes()), Err(expected), "{line}");
}

#[test]
fn prometheus_lines_are_read_as_prometheus_reads_them() {
    let reads = |line: &str, expected: &str| reads(Format::Prometheus, line, expected);
    reads("up 1", "up[] 1");
    reads("  up\t 1 \t", "up[] 1");
    reads("a:b_c:rate5m 0", "a:b_c:rate5m[] 0");
    reads(r#"m{a="b",c="d"} 1.5e3 1700000000123"#, "m[a=b|c=d] 1500 @1700000000123");
    reads(r#"m { a = "b" , c="d", } +Inf"#, "m[a=b|c=d] inf");
    reads(r#"m{} -5"#, "m[] -5");
    reads(r#"m{a=""}1 -7"#, "m[a=] 1 @-7");
    reads(r#"m{a="x } y # z"} NaN"#, "m[a=x } y # z] NaN");
    reads(r#"m{a="\\ \" \n \x"} 0"#, "m[a=\\ \" \n \\x] 0");
    reads(r#"m{a="\\"} 0"#, "m[a=\\] 0");
    reads(r#"m{a="上海"} -Inf"#, "m[a=上海] -inf");
    reads("m 12345678901234567890 1", "m[] 12345678901234567000 @1");
    reads("m 0.1", "m[] 0.1");
    reads("m 1\r", "m[] 1");
    for comment in ["", "  ", "#", "# anything", "#TYPE a b c", "# HELP a \\ \"", "# HELP"] {
        reads(comment, "-");
    }
    reads("# TYPE m counter", "m is Counter");
    reads("#  TYPE\tm  summary ", "m is Summary");
    reads("# TYPE m untyped", "m is Other");
}

#[test]
fn what_is_wrong_with_a_prometheus_line_is_named() {
    let refuses = |line: &str, expected| refuses(Format::Prometheus, line, expected);
    refuses("1up 1", Fault::NoName);
    refuses("<html>", Fault::NoName);
    refuses("{a=\"b\"} 1", Fault::NoName);
    refuses("up", Fault::NoValue);
    refuses("up ", Fault::NoValue);
    refuses("up one", Fault::BadValue);
    refuses("my-metric 1", Fault::BadValue);
    refuses("up 1 2.5", Fault::BadTime);
    refuses("up 1 99999999999999999999", Fault::BadTime);
    refuses("up 1 2 3", Fault::Trailing);
    refuses("up{ 1", Fault::NoLabelName);
    refuses("up{", Fault::OpenLabels);
    refuses("up{a=\"b\",", Fault::OpenLabels);
    refuses("up{a} 1", Fault::NoEquals);
    refuses("up{a=b} 1", Fault::NoQuote);
    refuses("up{a=\"b} 1", Fault::OpenQuote);
    refuses("up{a=\"b\\\"} 1", Fault::OpenQuote);
    refuses("up{a=\"b\\", Fault::OpenQuote);
    refuses("up{a=\"b\" c=\"d\"} 1", Fault::NoComma);
    refuses("up{,} 1", Fault::NoLabelName);
    refuses("up{a=\"b\",,} 1", Fault::NoLabelName);
    refuses("up{a:b=\"c\"} 1", Fault::NoEquals);
    refuses("up{a=\"b\",a=\"c\"} 1", Fault::TwiceLabel);
    refuses("# TYPE m", Fault::Incomplete);
    refuses("# TYPE m number", Fault::BadType);
    refuses("# TYPE m counter 1", Fault::Trailing);
    assert_eq!(said(Format::Prometheus, b"m{a=\"\xff\"} 1"), Err(Fault::NotText));
    assert_eq!(said(Format::Prometheus, b"# TYPE \xff counter"), Err(Fault::NotText));
    let many: String = (0..=LABELS_MAX).map(|at| format!("l{at}=\"\",")).collect();
    refuses(&format!("m{{{many}}} 1"), Fault::TooManyLabels);
    refuses(&format!("m{{a=\"{}\"}} 1", "x".repeat(LINE_MAX)), Fault::TooLong);
}

#[test]
fn openmetrics_lines_are_read_as_specified() {
    let reads = |line: &str, expected: &str| reads(Format::OpenMetrics, line, expected);
    reads("up 1", "up[] 1");
    reads("up 1 1700000000.1234", "up[] 1 @1700000000123");
    reads("up 1 -1.5e0", "up[] 1 @-1500");
    reads(r#"m{a="\\ \" \n"} 1"#, "m[a=\\ \" \n] 1");
    reads(r#"m_bucket{le="+Inf"} 17 # {trace_id="a # }b"} 0.5"#, "m_bucket[le=+Inf] 17");
    reads(r#"m_bucket{le="1"} 17 2.5 # {} 0.5 1.25"#, "m_bucket[le=1] 17 @2500");
    reads("# HELP m # any \\n thing", "-");
    reads("# TYPE m gaugehistogram", "m is GaugeHistogram");
    reads("# UNIT m_seconds seconds", "m_seconds in seconds");
    reads("# EOF", "end");
}

#[test]
fn what_is_wrong_with_an_openmetrics_line_is_named() {
    let refuses = |line: &str, expected| refuses(Format::OpenMetrics, line, expected);
    refuses("", Fault::Empty);
    refuses("# a comment", Fault::Comment);
    refuses("#EOF", Fault::Comment);
    refuses("# TYPE m", Fault::Incomplete);
    refuses("# TYPE m untyped", Fault::BadType);
    refuses("up  1", Fault::Spaces);
    refuses("up 1 ", Fault::Spaces);
    refuses("up\t1", Fault::Spaces);
    refuses("up", Fault::NoValue);
    refuses("up 1 x", Fault::BadTime);
    refuses("up 1 1e300", Fault::BadTime);
    refuses("up 1 2 3", Fault::Trailing);
    refuses("up 1 # 5", Fault::BadExemplar);
    refuses("up 1 # {a=\"b} 5", Fault::BadExemplar);
    refuses("up 1 # {a=\"b\"}", Fault::BadExemplar);
    refuses("up 1 # {a=\"b\"} 1 2 3", Fault::BadExemplar);
}

#[test]
fn types_are_told_apart() {
    let of = |format: Format, word: &str| match format.line(format!("# TYPE m {word}").as_bytes()) {
        Ok(Line::Type("m", kind)) => Some(kind),
        _ => None,
    };
    for (word, plain, open) in [
        ("counter", Some(Type::Counter), Some(Type::Counter)),
        ("gauge", Some(Type::Gauge), Some(Type::Gauge)),
        ("histogram", Some(Type::Histogram), Some(Type::Histogram)),
        ("summary", Some(Type::Summary), Some(Type::Summary)),
        ("untyped", Some(Type::Other), None),
        ("info", None, Some(Type::Gauge)),
        ("stateset", None, Some(Type::Gauge)),
    ] {
        assert_eq!((of(Format::Prometheus, word), of(Format::OpenMetrics, word)), (plain, open));
    }
}

#[test]
fn the_content_type_tells_the_format() {
    for (content_type, format) in [
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", Format::OpenMetrics),
        ("text/plain; version=0.0.4; charset=utf-8", Format::Prometheus),
        ("text/plain", Format::Prometheus),
        ("", Format::Prometheus),
    ] {
        assert_eq!(Format::of(content_type), format, "{content_type}");
    }
}
