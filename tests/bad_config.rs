//! A configuration that cannot be meant is refused: every problem at once, each with file, line, key and reason.

use bartizan_tests::{Finished, Setup};

/// Each kind of problem, on a line of its own.
const BAD: &str = r#"[http]
listen = "nowhere"
lissten = "127.0.0.1:1"

[store]
max_bytes = "much"
retention = { raw = "-1d" }

[collect]
interval = 5
intervall = "1s"
plugins = "one"

[[server]]
tags = { env = "prod" }

[[server]]
name = "web-1"

[[server]]
name = "web-1"

[unheard_of]
"#;

/// Line, key, and what must be named besides.
const PROBLEMS: [(usize, &str); 10] = [
    (2, "http.listen"),
    (3, "lissten"),
    (6, "store.max_bytes"),
    (7, "retention"),
    (10, "collect.interval"),
    (11, "intervall"),
    (12, "collect.plugins"),
    (14, "name"),
    (21, "web-1"),
    (23, "unheard_of"),
];

#[tokio::test]
async fn check_names_every_problem_at_once() {
    let setup = Setup::new(BAD);
    let mut command = setup.command(&["check"]);
    command.arg("--config").arg(setup.config());
    names_every_problem(Finished::of(command).await);
}

#[tokio::test]
async fn the_daemon_does_not_start_and_names_every_problem_at_once() {
    let setup = Setup::new(BAD);
    names_every_problem(Finished::of(setup.run(&[])).await);
    assert!(!setup.state().join("log").exists(), "nothing was begun");
}

#[tokio::test]
async fn text_that_is_no_toml_is_refused_with_its_line() {
    let setup = Setup::new("[http]\nlisten = \n");
    let finished = Finished::of(setup.run(&[])).await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("bartizan.toml:2"), "{}", finished.stderr);
}

#[tokio::test]
async fn a_plugin_s_settings_are_judged_by_its_schema() {
    let config = "[[server]]\nname = \"here\"\n\n[[server.collector]]\nplugin = \"cpu\"\n\
                  config = { procsf = \"/proc\" }\n";
    let setup = Setup::new(config);
    let mut command = setup.command(&["check"]);
    command.arg("--config").arg(setup.config());
    let finished = Finished::of(command).await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let said = finished.stderr + &finished.stdout;
    assert!(said.contains("bartizan.toml:6") && said.contains("procsf"), "{said}");
    assert!(said.contains("procfs"), "suggests what may have been meant: {said}");
}

#[tokio::test]
async fn a_file_that_was_asked_for_and_is_not_there_is_an_error() {
    let setup = Setup::new("");
    let finished = Finished::of(setup.command(&["run", "--config", "nowhere.toml"])).await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("nowhere.toml"), "{}", finished.stderr);
}

#[track_caller]
fn names_every_problem(finished: Finished) {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for (line, key) in PROBLEMS {
        assert!(finished.names(line, key), "no line {line} with `{key}`:\n{finished:?}");
    }
}
