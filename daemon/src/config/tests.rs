//! Folders of valid and invalid files, and the promise of `example.toml`.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use super::{Config, ConfigError, LogFormat, section::Reader};

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
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::load(Some(Path::new("/nonexistent.toml"))).unwrap_err();
    assert_eq!(error.to_string(), "failed to read configuration `/nonexistent.toml`");
}

#[test]
fn the_example_is_the_default() {
    assert_eq!(Config::parse(EXAMPLE, "example.toml").unwrap(), Config::default());
}

/// Keys without a default stand in the example behind a `#` without a space.
#[test]
fn the_example_names_every_key_and_no_other() {
    let whole: String = EXAMPLE
        .lines()
        .map(|line| line.strip_prefix('#').filter(|key| !key.starts_with(' ')).unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut reader = Reader::new(&whole, "example.toml");
    let config = reader.read(Config::read);

    assert_eq!(reader.absent, [""; 0], "the example does not name these");
    assert_eq!(reader.problems(), [], "the example names what nobody knows");
    assert_eq!(config.servers.len(), 1);
    assert_eq!(config.servers[0].collectors.len(), 1);
}

proptest::proptest! {
    /// Whatever the file holds, the answer is a configuration or a list of problems.
    #[test]
    fn no_text_brings_the_reader_down(
        text in "([a-z._]{0,8}( = )?|\\[{0,2}server\\]{0,2}|\"\\PC{0,6}\"|[0-9]|\\{|\\}|\n){0,24}"
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
