//! A scripted collector, driven through the C ABI by the test host.
#![expect(clippy::unwrap_used, reason = "a test that fails says so by panicking")]

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    Collector, Config, Ctx, Error, Out, Plugin, Result, Series,
    abi::{Level, Status},
    manifest::{Kind, Manifest},
    plugin,
    testing::{Host, Value},
};

mod peers;

/// What the scripted collector does.
#[derive(Config, Default, Clone, Copy, PartialEq)]
enum Act {
    #[default]
    Measure,
    MeasureNothingReal,
    RefuseToStart,
    PanicInNew,
    PanicInCollect,
    PanicInDrop,
    PanicWithPanickingPayload,
    Fail,
    LoopUntilCancelled,
    ComeAndGo,
    UseWhatWasDropped,
    BadLabels,
}

#[derive(Config)]
struct Nested {
    port: u16,
    #[config(default = -1.5)]
    offset: f64,
}

#[derive(Config)]
struct ScriptConfig {
    /// What to do, and
    /// "when".
    #[serde(default)]
    act: Act,
    #[config(default = "/proc")]
    procfs: PathBuf,
    #[config(default = ["lo", "docker0"])]
    exclude: Vec<String>,
    #[config(secret)]
    password: Option<String>,
    #[config(default)]
    nested: Vec<Nested>,
    #[config(default)]
    limits: BTreeMap<String, u8>,
    #[config(default = 7)]
    r#type: u64,
}

struct Script {
    act: Act,
    ctx: Ctx,
    load: Series,
    rounds: u64,
}

struct PanickingPayload;

impl Drop for PanickingPayload {
    fn drop(&mut self) {
        panic!("panicked in the drop of a panic");
    }
}

impl Collector for Script {
    type Config = ScriptConfig;

    fn new(cfg: ScriptConfig, ctx: Ctx) -> Result<Self> {
        match cfg.act {
            Act::RefuseToStart => return Err(Error::unsupported("no such device")),
            Act::PanicInNew => panic!("cannot begin with {}", cfg.procfs.display()),
            _ => {}
        }
        let nested: Vec<_> = cfg.nested.iter().map(|one| (one.port, one.offset)).collect();
        ctx.debug(format_args!(
            "{:?} {:?} {nested:?} {:?} {}",
            cfg.exclude, cfg.password, cfg.limits, cfg.r#type
        ));
        let load = ctx.series(M::Load, &[]);
        Ok(Self { act: cfg.act, ctx, load, rounds: 0 })
    }

    fn collect(&mut self, out: &mut Out) -> Result<()> {
        self.rounds += 1;
        let uptime = |host: &str| self.ctx.series(M::Uptime, &[("host", host), ("zone", "a")]);
        match self.act {
            Act::MeasureNothingReal => {
                out.gauge(self.load, f64::NAN);
                out.gauge(self.load, f64::NEG_INFINITY);
            }
            Act::PanicInCollect if self.rounds == 1 => {
                out.gauge(self.load, 1.0);
                panic!("round {}", self.rounds);
            }
            Act::PanicWithPanickingPayload => std::panic::panic_any(PanickingPayload),
            Act::Fail => {
                out.gauge(self.load, 1.0);
                Err(io::Error::other("the disk is tired"))?;
            }
            Act::LoopUntilCancelled => {
                while !out.cancelled() && Instant::now() < out.deadline() {
                    out.gauge(self.load, 1.0);
                }
                return Err(Error::retry(if out.cancelled() { "cancelled" } else { "late" }));
            }
            Act::ComeAndGo => {
                let now = uptime(&self.rounds.to_string());
                out.counter(now, self.rounds);
                if self.rounds == 2 {
                    self.ctx.series_drop(uptime("1"));
                    out.counter(uptime("3"), 3);
                }
            }
            Act::UseWhatWasDropped => {
                self.ctx.series_drop(self.load);
                out.gauge(self.load, 1.0);
            }
            Act::BadLabels => {
                out.gauge(self.ctx.series(M::Load, &[("host", "a")]), 1.0);
                out.gauge(self.ctx.series(M::Uptime, &[("host", "a"); 17]), 1.0);
            }
            _ => {
                out.gauge(self.load, 0.25);
                out.counter(uptime(self.ctx.target()), u64::MAX);
            }
        }
        Ok(())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        assert!(self.act != Act::PanicInDrop, "cannot let go");
    }
}

plugin! { Script, id: "org.example.script", license: "MIT", interval: "5s", timeout: "500ms", threads: "single",
    name: "script",
    needs { read: ["/proc"], connect: [] }
    metrics {
        Load: gauge "load" "processes" [] "Load, \"average\"";
        Uptime: counter "uptime_seconds_total" "seconds" ["zone", "host"] "Time since the start" max_series: 2;
    }
}

fn script(act: &str) -> Result<Host> {
    Host::new::<Script>(&format!(r#"{{"act":"{act}"}}"#))
}

fn failure<T>(result: Result<T>) -> (Status, String) {
    let error = result.map(|_| ()).unwrap_err();
    (error.status(), error.text().to_owned())
}

#[test]
fn a_round_brings_named_samples_with_labels_and_the_whole_count() {
    let round = script("measure").unwrap().collect().unwrap();
    assert_eq!(round.value("load", &[]), Some(0.25));
    assert!(
        round.value("uptime_seconds_total", &[("zone", "a"), ("host", "test-server")]).is_some()
    );
    assert_eq!(round.value("uptime_seconds_total", &[("host", "test-server")]), None);
    assert_eq!(round.samples.last().unwrap().value, Value::Counter(u64::MAX));
}

#[test]
fn what_is_no_number_passes_through() {
    let round = script("measure_nothing_real").unwrap().collect().unwrap();
    let [nan, infinite] = round.samples.as_slice() else { panic!("{round:?}") };
    assert!(matches!(nan.value, Value::Gauge(value) if value.is_nan()));
    assert_eq!(infinite.value, Value::Gauge(f64::NEG_INFINITY));
}

#[test]
fn samples_without_room_are_counted() {
    let mut host = script("measure").unwrap();
    host.set_capacity(1);
    let round = host.collect().unwrap();
    assert_eq!((round.samples.len(), round.dropped), (1, 1));
    host.set_capacity(0);
    assert_eq!(host.collect().unwrap().dropped, 2);
}

#[test]
fn a_panic_in_new_is_a_status_with_its_message() {
    assert_eq!(failure(script("panic_in_new")), (Status::Panic, "cannot begin with /proc".into()));
}

#[test]
fn a_panic_in_collect_is_a_status_and_the_next_round_goes_on() {
    let mut host = script("panic_in_collect").unwrap();
    assert_eq!(failure(host.collect()), (Status::Panic, "round 1".into()));
    assert_eq!(host.collect().unwrap().value("load", &[]), Some(0.25));
}

#[test]
fn a_panic_in_drop_is_logged() {
    let logs = script("panic_in_drop").unwrap().destroy();
    let last = logs.last().unwrap();
    assert_eq!(
        (last.level, last.text.as_str()),
        (Level::Error, "panicked in destroy: cannot let go")
    );
}

#[test]
fn a_panic_whose_own_drop_panics_stays_inside() {
    let mut host = script("panic_with_panicking_payload").unwrap();
    assert_eq!(failure(host.collect()), (Status::Panic, "panicked without a message".into()));
}

#[test]
fn a_wrong_configuration_is_refused_in_the_words_of_serde() {
    for (config, text) in [
        (r#"{"nested":[{}]}"#, "missing field `port` at line 1 column 13"),
        (r#"{"act":"dance"}"#, "unknown variant `dance`, expected one of `measure`"),
        (r#"{"acts":1}"#, "unknown field `acts`, expected one of `act`"),
        (r#"{"procfs":1}"#, "invalid type: integer `1`"),
        ("[", "EOF while parsing"),
        ("7", "invalid type: integer `7`, expected an object"),
    ] {
        let (status, said) = failure(Host::new::<Script>(config));
        assert_eq!(status, Status::Config, "{config}");
        assert!(said.contains(text), "{config}: {said}");
    }
}

#[test]
fn a_configuration_is_read_with_its_defaults() {
    let host = Host::new::<Script>("{}").unwrap();
    assert_eq!(host.logs().last().unwrap().text, r#"["lo", "docker0"] None [] {} 7"#);
    let given = r#"{"exclude":[],"password":"p","nested":[{"port":1}],"limits":{"a":2},"type":3}"#;
    let host = Host::new::<Script>(given).unwrap();
    assert_eq!(host.logs().last().unwrap().text, r#"[] Some("p") [(1, -1.5)] {"a": 2} 3"#);
}

#[test]
fn an_authors_error_keeps_its_status_and_any_other_means_retry() {
    assert_eq!(failure(script("refuse_to_start")), (Status::Unsupported, "no such device".into()));
    let mut host = script("fail").unwrap();
    assert_eq!(failure(host.collect()), (Status::Retry, "the disk is tired".into()));
}

#[test]
fn the_causes_of_an_error_are_in_its_text() {
    #[derive(Debug)]
    struct Outer(io::Error);
    impl std::fmt::Display for Outer {
        fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("failed to read")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let error = Error::from(Outer(io::Error::other("too tired")));
    assert_eq!(error.to_string(), "failed to read: too tired");
}

#[test]
fn a_loop_ends_when_the_round_is_cancelled_or_late() {
    let mut host = script("loop_until_cancelled").unwrap();
    host.set_time_limit(Duration::from_millis(5));
    assert_eq!(failure(host.collect()).1, "late");
    host.set_cancelled(true);
    host.set_time_limit(Duration::MAX);
    assert_eq!(failure(host.collect()).1, "cancelled");
}

#[test]
fn series_come_and_go_between_rounds() {
    let mut host = script("come_and_go").unwrap();
    let host_of = |round: crate::testing::Round| -> Vec<String> {
        round
            .samples
            .into_iter()
            .map(|sample| sample.labels.into_iter().next().unwrap().1)
            .collect()
    };
    assert_eq!(host_of(host.collect().unwrap()), ["1"]);
    // The metric has room for two: "3" fits because "1" has gone.
    assert_eq!(host_of(host.collect().unwrap()), ["2", "3"]);
    // "4" would not exist beside "2" and "3", but "3" of the third round does.
    assert_eq!(host_of(host.collect().unwrap()), ["3"]);
    assert_eq!(host.collect().unwrap().samples, []);
    let refusals = host.logs().into_iter().filter(|line| line.level == Level::Error).count();
    assert_eq!(refusals, 1);
}

#[test]
fn a_sample_of_a_dropped_series_fails_the_round() {
    let mut host = script("use_what_was_dropped").unwrap();
    assert_eq!(
        failure(host.collect()),
        (Status::Fatal, "wrote to series 0, which is not registered".into())
    );
}

#[test]
fn labels_that_the_manifest_does_not_have_are_refused_and_named() {
    let mut host = script("bad_labels").unwrap();
    assert_eq!(host.collect().unwrap().samples, []);
    let logs: Vec<_> = host.logs().into_iter().filter(|line| line.level == Level::Error).collect();
    let [unknown, many] = logs.as_slice() else { panic!("{logs:?}") };
    assert_eq!(unknown.text, "refused a series of metric 0: load has no label `host`");
    assert_eq!(many.text, "refused a series with 17 labels");
}

#[test]
fn the_manifest_is_what_the_macro_and_cargo_were_told() {
    let manifest = Manifest::parse(Script::MANIFEST).unwrap();
    assert_eq!((manifest.id.as_str(), manifest.name.as_str()), ("org.example.script", "script"));
    assert_eq!(manifest.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest.description, env!("CARGO_PKG_DESCRIPTION"));
    assert_eq!(manifest.interval, Some(Duration::from_secs(5)));
    assert_eq!(manifest.timeout, Some(Duration::from_millis(500)));
    assert_eq!(manifest.needs.read, ["/proc"]);
    let [load, uptime] = manifest.metrics.as_slice() else { panic!("{manifest:?}") };
    assert_eq!((load.kind, load.help.as_str()), (Kind::Gauge, "Load, \"average\""));
    assert_eq!((uptime.kind, uptime.max_series), (Kind::Counter, Some(2)));
    assert_eq!(uptime.labels, ["zone", "host"]);
}

#[test]
fn the_schema_is_what_the_struct_says() {
    let acts = [
        "measure",
        "measure_nothing_real",
        "refuse_to_start",
        "panic_in_new",
        "panic_in_collect",
        "panic_in_drop",
        "panic_with_panicking_payload",
        "fail",
        "loop_until_cancelled",
        "come_and_go",
        "use_what_was_dropped",
        "bad_labels",
    ];
    let nested = serde_json::json!({"type": "object", "additionalProperties": false, "required": ["port"], "properties": {
        "port": {"type": "integer", "minimum": 0, "maximum": 65535}, "offset": {"type": "number", "default": -1.5}}});
    let schema = serde_json::json!({"type": "object", "additionalProperties": false, "required": [], "properties": {
        "act": {"type": "string", "enum": acts, "default": "measure", "description": "What to do, and \"when\"."},
        "procfs": {"type": "string", "default": "/proc"},
        "exclude": {"type": "array", "items": {"type": "string"}, "default": ["lo", "docker0"]},
        "password": {"type": "string", "format": "secret"},
        "nested": {"type": "array", "items": nested, "default": []},
        "limits": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 255},
            "default": {}},
        "type": {"type": "integer", "minimum": 0, "default": 7}}});
    assert_eq!(Manifest::parse(Script::MANIFEST).unwrap().config_schema, schema);
}
