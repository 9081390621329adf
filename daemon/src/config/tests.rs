//! Folders of valid and invalid files, and the promise of `example.toml`.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use super::{
    BodyType, Config, ConfigError, GroupBy, Language, LogFormat, MailTls, NoData, Pattern,
    ScrapeConfig, Severity, Side, SmsConfig, Take, effective_rules, section::Reader,
};

const SECOND: Duration = Duration::from_secs(1);
const EXAMPLE: &str = include_str!("../../example.toml");

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(Config::parse("", "empty.toml").unwrap(), Config::default());
    assert_eq!(Config::load(None).unwrap(), Config::default());
}

#[test]
fn every_valid_file_is_accepted() {
    for path in files("valid") {
        if let Err(error) = Config::load(Some(&path)) {
            panic!("{}: {error}", path.display());
        }
    }
}

#[test]
fn other_hubs_are_known_by_what_their_addresses_begin_with() {
    let plain = r#"
        [fleet]
        hubs = ["http://10.0.0.2:9797/", "https://example.org/bartizan/"]
        token_file = "src/config/cases/valid/secret"
        insecure = true
    "#;
    let fleet = Config::parse(plain, "fleet.toml").unwrap().fleet;
    assert_eq!(fleet.hubs, ["http://10.0.0.2:9797", "https://example.org/bartizan"]);
    let token = crate::config::Credentials::Token("src/config/cases/valid/secret".into());
    assert_eq!(fleet.access.credentials, token);
}

/// Beside each file stands what is said of it, line by line.
#[test]
fn every_problem_of_an_invalid_file_is_named_at_once() {
    let mut wrong = Vec::new();
    for path in files("invalid") {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let expected = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();

        let Err(ConfigError::Invalid(problems)) = Config::parse(&text, name) else {
            panic!("{name} was not refused");
        };

        let said: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
        if said != expected {
            wrong.push(format!("{name} should say:\n{expected}but says:\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn everything_that_is_given_arrives() {
    let config = Config::parse(include_str!("cases/valid/whole.toml"), "whole.toml").unwrap();

    assert_eq!(config.http.listen, "0.0.0.0:9797".parse().unwrap());
    assert_eq!(config.http.public_url.as_deref(), Some("https://bartizan.example.org/monitor"));
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.store.path, Some("/srv/bartizan".into()));
    assert_eq!(config.store.max_bytes, 1 << 40);
    assert_eq!(config.collect.interval, Duration::from_millis(250));
    assert_eq!(config.collect.plugins, [Path::new("/")]);
    let [web_1, web_2] = &config.servers[..] else { panic!("{:?}", config.servers) };
    assert_eq!(web_1.tags["site"], "上海");
    assert_eq!(web_2.collectors, []);
    let [nginx, nginx_2] = &web_1.collectors[..] else { panic!("{:?}", web_1.collectors) };
    assert_eq!((nginx.name.as_str(), nginx_2.name.as_str()), ("nginx", "nginx-2"));
    assert_eq!((nginx.interval, nginx_2.interval), (Some(Duration::from_secs(10)), None));
    assert_eq!(
        serde_json::Value::from(nginx.config.clone()),
        json!({"url": "http://127.0.0.1/status", "timeout": 1.5, "nested": {"list": [1, 16, true]}})
    );
}

#[test]
fn all_that_is_given_about_alerts_arrives() {
    let text = include_str!("cases/valid/alerts.toml");
    let config = Config::parse(text, "alerts.toml").unwrap();

    let rule = |name: &str| config.rules.iter().find(|rule| rule.name == name);
    assert!(rule("cpu").is_none(), "switched off");
    let disk = rule("disk").unwrap();
    assert_eq!((disk.take, disk.over), (Take::Max, Duration::from_secs(5400)));
    assert_eq!(disk.no_data, NoData::Alert);
    assert_eq!(disk.labels[1], ("mount".into(), Pattern::new("!/snap/*")));
    let (minutes, warning) =
        (|minutes: u64| Duration::from_secs(60 * minutes), disk.warning.unwrap());
    assert_eq!((warning.side, warning.at, warning.clear), (Side::Above, 0.8, 0.75));
    assert_eq!((warning.hold, disk.clear_for), (minutes(5), minutes(2)));
    let critical = disk.critical.unwrap();
    assert_eq!((critical.clear, critical.hold), (0.95, Duration::ZERO), "unless given");
    let frost = rule("frost").unwrap().critical.unwrap();
    assert_eq!((frost.side, frost.at, frost.clear), (Side::Below, -20.0, -15.0));

    let rules = effective_rules(&config.rules, &config.servers[0]);
    let disk = rules.iter().find(|rule| rule.name == "disk").unwrap();
    assert_eq!((disk.warning.unwrap().at, disk.warning.unwrap().hold), (0.5, minutes(1)));
    assert_eq!(disk.critical, Some(critical));
    assert!(rules.iter().any(|rule| rule.name == "memory_available_bytes"));

    let email = config.channels.email.unwrap();
    assert_eq!((email.host.as_str(), email.port, email.tls), ("::1", 25, MailTls::None));
    let Some(SmsConfig::Http(gateway)) = config.channels.sms else { panic!("no gateway") };
    assert_eq!(gateway.body_type, BodyType::Form);
    assert_eq!(gateway.headers["Authorization"], "Bearer {secret}");
    assert_eq!((gateway.accepted.len(), gateway.refused.len()), (2, 1));
    assert!(config.channels.webhook.secret_file.is_some());
    let [lead, ops] = &config.contacts[..] else { panic!("{:?}", config.contacts) };
    assert_eq!((ops.name.as_str(), ops.language, ops.email.len()), ("ops", Language::Zh, 2));
    assert_eq!((lead.language, lead.sms.len()), (Language::En, 1));
    let [first, second] = &config.routes[..] else { panic!("{:?}", config.routes) };
    assert_eq!(first.levels, [Severity::Warning, Severity::Critical]);
    assert_eq!(first.group_by, [GroupBy::Server, GroupBy::Rule]);
    assert_eq!((first.group_wait, first.remind_every), (Some(Duration::ZERO), Some(minutes(240))));
    assert_eq!((first.goes_on, second.goes_on), (true, false));
    assert_eq!((second.group_by.as_slice(), second.group_wait), (&[GroupBy::Server][..], None));
}

#[test]
fn all_that_is_given_about_scrapes_arrives() {
    let text = include_str!("cases/valid/scrapes.toml");
    let scrapes = Config::parse(text, "scrapes.toml").unwrap().scrapes;

    let names: Vec<_> = scrapes.iter().map(|scrape| scrape.name.as_str()).collect();
    assert_eq!(names, ["scrape-9100", "mysql", "scrape"]);
    let [plain, given, _] = &scrapes[..] else { panic!("{scrapes:?}") };
    assert_eq!((plain.interval, plain.timeout), (None, None));
    assert_eq!((plain.max_bytes, plain.series_max), (16 << 20, 20_000));
    assert_eq!((given.every(), given.deadline()), (30 * SECOND, 30 * SECOND));
    assert_eq!((given.max_bytes, given.series_max, given.honor_timestamps), (1 << 20, 10, true));
    assert_eq!(given.labels["job"], "db");
    assert_eq!(given.relabel.len(), 7);
    let with = |interval| ScrapeConfig { interval: Some(interval), ..plain.clone() }.deadline();
    assert_eq!((with(4 * SECOND), with(60 * SECOND)), (3 * SECOND, 10 * SECOND));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::load(Some(Path::new("/nonexistent.toml"))).unwrap_err();
    assert_eq!(error.to_string(), "failed to read configuration `/nonexistent.toml`");
}

#[test]
fn the_example_is_the_default() {
    assert_eq!(Config::parse(EXAMPLE, "example.toml").unwrap(), Config::default());
}

/// Keys without a default stand in the example behind a `#` without a space, and other ways of
/// writing a section behind `##`.
#[test]
fn the_example_names_every_key_and_no_other() {
    let behind = |line: &'static str, mark: &str| -> Option<&'static str> {
        line.strip_prefix(mark).filter(|key| !key.starts_with([' ', '#']))
    };
    let joined = |lines: Vec<&str>| lines.join("\n");
    let whole = joined(EXAMPLE.lines().map(|line| behind(line, "#").unwrap_or(line)).collect());
    let other = joined(EXAMPLE.lines().filter_map(|line| behind(line, "##")).collect());
    let (mut given, mut absent) = (BTreeSet::new(), BTreeSet::new());
    for text in [whole, other] {
        let mut reader = Reader::new(&text, "example.toml");
        let config = reader.read(Config::read);
        given.append(&mut reader.given);
        absent.append(&mut reader.absent);
        // The files that it names are nowhere.
        let mut problems = reader.problems();
        problems.retain(|problem| !problem.reason.ends_with("there is no such file"));
        assert_eq!(problems, [], "the example names what nobody knows");
        assert_eq!(
            (config.servers.len(), config.rules.len()),
            (1, Config::default().rules.len() + 1)
        );
    }
    // Whatever metric it is shown with.
    let general = |path: String| match path.strip_prefix("server.thresholds.") {
        Some(metric) => {
            metric.split('.').skip(1).fold("thresholds".into(), |all, key| all + "." + key)
        }
        None => path,
    };
    let [given, absent]: [BTreeSet<String>; 2] =
        [given, absent].map(|paths| paths.into_iter().map(general).collect());
    let unnamed: Vec<_> = absent.difference(&given).collect();
    assert_eq!(unnamed, [""; 0], "the example does not name these");
}

proptest::proptest! {
    /// Whatever the file holds, the answer is a configuration or a list of problems.
    #[test]
    fn no_text_brings_the_reader_down(
        text in "([a-z._]{0,8}( = )?|\\[{0,2}(server|rule|route|contact|channel|forward)\\]{0,2}|(warning|match|sms|notify|url|urls|labels)( = )?|\"\\PC{0,6}\"|[0-9]|\\{|\\}|\n){0,24}"
    ) {
        if let Err(error) = Config::parse(&text, "any.toml") {
            proptest::prop_assert!(matches!(error, ConfigError::Invalid(problems) if !problems.is_empty()));
        }
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/cases").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    assert!(!files.is_empty());
    files
}
