//! Alerts that cannot be meant are refused at the start: every problem at once, each with file, line and reason.

use bartizan_tests::{Finished, Setup};

/// Each kind of problem, and behind it what its line must name.
const BAD: &str = r#"[[rule]]
name = "typing-mistake"
metric = "cpu_usage_ration"                                 # cpu_usage_ration|cpu_usage_ratio
warning = { above = 0.9 }

[[rule]]
name = "never-clears"
metric = "cpu_usage_ratio"
warning = { above = 0.8, clear = -0.1 }                     # clear

[[rule]]
name = "clears-where-it-fires"
metric = "cpu_usage_ratio"
warning = { above = 0.8, clear = 0.9 }                      # clear

[[rule]]
name = "two-directions"
metric = "cpu_usage_ratio"
warning = { above = 0.8 }
critical = { below = 0.9 }                                  # critical

[[rule]]
name = "milder-than-its-warning"
metric = "cpu_usage_ratio"
warning = { above = 0.8 }
critical = { above = 0.7 }                                  # critical

[[rule]]                                                    # warning|critical
name = "without-limits"
metric = "cpu_usage_ratio"

[[rule]]                                                    # over
name = "without-window"
metric = "cpu_usage_ratio"
take = "mean"
warning = { above = 0.8 }

[[rule]]
name = "both-sides"
metric = "cpu_usage_ratio"
warning = { above = 0.8, below = 0.1 }                      # above|below
no_data = "panic"                                           # no_data

[[rule]]
name = "both-sides"                                         # both-sides
metric = "cpu_usage_ratio"
warning = { above = 0.8, for = "soon" }                     # for
summary = "{{ value"                                        # summary

[[server]]
name = "web-1"
thresholds = { memory_usage_ration = { warning = 0.8 } }    # memory_usage_ration

[channel.email]
host = "smtp.example.test"
username = "bartizan"
password_file = "/nowhere/smtp-password"                    # /nowhere/smtp-password
from = "nobody"                                             # from
ca_file = "/nowhere/authority.pem"                          # /nowhere/authority.pem

[channel.sms]
provider = "pigeon"                                         # pigeon

[contact.ops]
email = ["ops@example.test", "ops at example"]              # ops at example
sms = ["13711112222"]                                       # 13711112222
webhook = ["ftp://chat.example.test/hook"]                  # contact.ops.webhook
language = "tlh"                                            # language

[contact.nobody]                                            # nobody

[[route]]
notify = ["ops", "opps"]                                    # opps
match = { level = "fatal" }                                 # fatal

[[route]]
notify = []                                                 # notify
group_by = ["planet"]                                       # planet
remind_every = "0s"                                         # remind_every
"#;

#[tokio::test]
async fn the_daemon_does_not_start_and_names_every_problem_at_once() {
    let setup = Setup::new(BAD);
    names_every_problem(Finished::of(setup.run(&[])).await);
    assert!(!setup.state().join("log").exists(), "nothing was begun");
}

#[tokio::test]
async fn check_names_every_problem_at_once() {
    let setup = Setup::new(BAD);
    let mut command = setup.command(&["check"]);
    command.arg("--config").arg(setup.config());
    names_every_problem(Finished::of(command).await);
}

#[tokio::test]
async fn a_way_that_is_not_configured_cannot_be_used() {
    let setup = Setup::new(
        "[contact.ops]\nemail = [\"ops@example.test\"]\n\n[[route]]\nnotify = [\"ops\"]\n",
    );
    let finished = Finished::of(setup.run(&[])).await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let said = finished.stderr + &finished.stdout;
    assert!(said.contains("bartizan.toml:2"), "{said}");
    assert!(said.contains("channel.email"), "names the fix: {said}");
}

#[tokio::test]
async fn a_broken_change_is_refused_and_the_old_rules_go_on() {
    let setup = Setup::new("[[server]]\nname = \"here\"\n");
    let daemon = setup.start().await;
    daemon.samples("here", "memory_usage_ratio", 0, 1).await;
    setup.configure("[[server]]\nname = \"here\"\n\n[[route]]\nnotify = [\"opps\"]\n");
    daemon.signal(bartizan_tests::process::Signal::HUP);
    bartizan_tests::wait_for("the refusal in the log", bartizan_tests::DEADLINE, async || {
        let log = daemon.log();
        (log.contains("bartizan.toml:5") && log.contains("opps")).then_some(())
    })
    .await;
    let after = bartizan_tests::now_ms();
    daemon.samples("here", "memory_usage_ratio", after, 2).await;
}

#[track_caller]
fn names_every_problem(finished: Finished) {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let missing: Vec<String> = BAD
        .lines()
        .enumerate()
        .filter_map(|(at, line)| Some((at + 1, line.rsplit_once("  # ")?.1)))
        .filter(|(line, words)| !words.split('|').any(|word| finished.names(*line, word.trim())))
        .map(|(line, words)| format!("bartizan.toml:{line} with {words}"))
        .collect();
    assert!(missing.is_empty(), "not named: {missing:#?}\n{finished:?}");
}
