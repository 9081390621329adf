//! The commands, as a person types them.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use bartizan_tests::{
    Finished, Setup,
    hostile::{self, IN_C},
    http, now_ms,
    process::Signal,
};
use serde_json::Value;

const CONFIG: &str = "[[server]]\nname = \"here\"\n";

const COMMANDS: [&str; 11] = [
    "run", "check", "query", "plugin", "alert", "notify", "server", "join", "store", "backup",
    "restore",
];

#[tokio::test]
async fn help_names_every_command_and_every_command_has_help() {
    let setup = Setup::new(CONFIG);
    let help = Finished::of(setup.command(&["--help"])).await;
    assert_eq!(help.code, Some(0), "{help:?}");
    for command in COMMANDS {
        assert!(
            help.stdout.lines().any(|line| line.trim_start().starts_with(command)),
            "{command}"
        );
        let help = Finished::of(setup.command(&[command, "--help"])).await;
        assert_eq!(help.code, Some(0), "{help:?}");
        assert!(help.stdout.contains("Usage: bartizan"), "{}", help.stdout);
    }
    for option in ["--config", "--listen", "--state", "--plugins"] {
        let help = Finished::of(setup.command(&["run", "--help"])).await;
        assert!(help.stdout.contains(option), "{option} is not in: {}", help.stdout);
    }
    assert!(!help.stdout.contains("plugin-host"), "what is not for people is not shown");
    assert!(help.stdout.lines().all(|line| line.chars().count() <= 120), "{}", help.stdout);
}

#[tokio::test]
async fn version_is_that_of_the_package() {
    let setup = Setup::new(CONFIG);
    let version = Finished::of(setup.command(&["--version"])).await;
    assert_eq!(version.stdout.trim(), format!("bartizan {}", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_mistyped_command_or_option_is_a_usage_error() {
    let setup = Setup::new(CONFIG);
    for arguments in [&["chekc"][..], &["run", "--lisen", "x"], &["query", "here"]] {
        let finished = Finished::of(setup.command(arguments)).await;
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.stderr.contains("Usage") && finished.stdout.is_empty(), "{finished:?}");
    }
}

#[tokio::test]
async fn check_says_that_all_is_well() {
    let setup = Setup::new(CONFIG);
    let mut command = setup.command(&["check"]);
    command.arg("--config").arg(setup.config());
    let finished = Finished::of(command).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[tokio::test]
async fn query_reads_from_a_running_daemon_and_from_its_state_when_none_runs() {
    let setup = Setup::new(CONFIG);
    let mut daemon = setup.start().await;
    let began = now_ms();
    let first = daemon.samples("here", "memory_usage_ratio", began, 3).await.points[0];
    for running in [true, false] {
        if !running {
            daemon.signal(Signal::TERM);
            daemon.ended().await;
        }
        let text = query(&setup, &["here", "memory_usage_ratio", "--since", "1h"]).await;
        assert_eq!(text.code, Some(0), "running {running}: {text:?}");
        assert!(text.stdout.lines().count() >= 3, "a line for each sample: {}", text.stdout);

        let json = query(&setup, &["here", "memory_usage_ratio", "--since", "1h", "--json"]).await;
        assert_eq!(json.code, Some(0), "running {running}: {json:?}");
        let answer: Value = serde_json::from_str(&json.stdout).unwrap();
        let series = bartizan_tests::History::all(&answer);
        assert!(series[0].points.contains(&first), "running {running}: {first:?} is there");
    }
}

#[tokio::test]
async fn query_of_what_is_not_there_says_so() {
    let setup = Setup::new(CONFIG);
    let daemon = setup.start().await;
    daemon.samples("here", "memory_usage_ratio", 0, 1).await;
    for (arguments, word) in [
        (&["nobody", "load1"][..], "nobody"),
        (&["here", "no_such_metric"], "no_such_metric"),
        (&["here", "load1", "--since", "yesterday"], "yesterday"),
    ] {
        let finished = query(&setup, arguments).await;
        assert!(matches!(finished.code, Some(1 | 2)), "{finished:?}");
        assert!(finished.stderr.contains(word), "{finished:?}");
    }
}

#[tokio::test]
async fn plugin_list_and_info_say_what_there_is() {
    let setup = Setup::new(CONFIG);
    let file = hostile::in_c(setup.folder());
    let setup = setup.plugin(&file);
    std::fs::write(setup.plugins().join("libtext.so"), "no plugin").unwrap();
    let plugins = setup.plugins();
    let list = ["plugin", "list", "--plugins", plugins.to_str().unwrap()];
    let list = Finished::of(setup.command(&list)).await;
    assert_eq!(list.code, Some(0), "{list:?}");
    let refused = list.stdout.lines().find(|line| line.contains("libtext.so")).unwrap();
    assert!(refused.contains("ELF"), "with the reason: {refused}");
    for plugin in ["cpu", "memory", "network", "disk", "load", "hostile-c"] {
        assert!(list.stdout.contains(plugin), "{plugin} is not in: {}", list.stdout);
    }

    let info = Finished::of(setup.command(&["plugin", "info", file.to_str().unwrap()])).await;
    assert_eq!(info.code, Some(0), "{info:?}");
    for word in [IN_C, "1.0.0", "Apache-2.0", "hostile_rounds", "rounds", "fault"] {
        assert!(info.stdout.contains(word), "{word} is not in: {}", info.stdout);
    }

    let none = Finished::of(setup.command(&["plugin", "info", "/proc/self/exe"])).await;
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(none.stderr.contains("/proc/self/exe"), "{none:?}");
}

#[tokio::test]
async fn the_sign_in_url_becomes_a_cookie() {
    let setup = Setup::new(CONFIG);
    let daemon = setup.start().await;
    let token = std::fs::read_to_string(setup.state().join("admin-token")).unwrap();
    let path = format!("/api/v1/signin?token={}", token.trim());
    let answer = http::get(daemon.address, &path).await.unwrap();
    assert_eq!(answer.status, 303, "{}", answer.text());
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    for word in ["bartizan_session=", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.contains(word), "{word} is not in: {cookie}");
    }
    let wrong = http::get(daemon.address, "/api/v1/signin?token=wrong").await.unwrap();
    assert_eq!(wrong.status, 401, "{}", wrong.text());
}

async fn query(setup: &Setup, arguments: &[&str]) -> Finished {
    let mut command = setup.command(&["query"]);
    command.args(arguments).arg("--state").arg(setup.state());
    Finished::of(command).await
}
