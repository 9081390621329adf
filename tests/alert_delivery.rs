//! Every way in which a mail can fail to be handed over ends as it should: once in the box, held, or dead; and the
//! ledger says why in words for people.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{fs, time::Duration};

use bartizan_tests::{
    Daemon, Setup,
    alerts::{HTTP, attempts, list, number, outcomes},
    dial::{self, Dials},
    mail::{GREY, Mail, NOBODY, OPS},
    now_ms,
    process::Signal,
    smtp::{Manner, Smtp},
};
use serde_json::Value;

#[tokio::test]
async fn a_server_that_is_down_and_a_daemon_that_is_killed_meanwhile_cost_no_mail_and_no_second_one()
 {
    let mut scene = Scene::new();
    let mut mail = Mail::prepare();
    let mut daemon = scene.start(&mail.channel(scene.setup.folder()), &[OPS]).await;
    let incident = scene.breach(&daemon).await;
    let tried = daemon.notice(incident, "a first attempt", |n| !attempts(n).is_empty()).await;
    assert_eq!(outcomes(&tried)[0], "temporary", "{tried}");
    said(&tried, &["refused", "connect", "reach"]);
    let id = tried["id"].clone();

    daemon.kill();
    let daemon = scene.setup.start().await;
    let after = daemon.notice(incident, "the same one after the kill", |n| n["id"] == id).await;
    assert!(["waiting", "retrying"].contains(&after["state"].as_str().unwrap()), "{after}");
    mail.up().await;
    let letter = mail.arrived(OPS, 1).await.remove(0);
    assert_eq!(letter.notice(), number(&id));
    let sent = once(&daemon, &mail, OPS, incident).await;
    assert!(outcomes(&sent).len() >= 2, "attempts from before the kill are still there: {sent}");
}

#[tokio::test]
async fn a_greylisted_mail_comes_again_until_it_is_taken() {
    let mut scene = Scene::new();
    let mail = Mail::start().await;
    mail.greylist(true);
    let daemon = scene.start(&mail.channel(scene.setup.folder()), &[GREY]).await;
    let incident = scene.breach(&daemon).await;
    let tried = daemon.notice(incident, "two attempts", |n| attempts(n).len() >= 2).await;
    assert!(outcomes(&tried).iter().all(|outcome| *outcome == "temporary"), "{tried}");
    assert_eq!(tried["state"], "retrying", "{tried}");
    said(&tried, &["greylisted"]);
    mail.greylist(false);
    once(&daemon, &mail, GREY, incident).await;
}

#[tokio::test]
async fn a_cut_in_the_middle_of_the_text_is_tried_again() {
    let mut scene = Scene::new();
    let mut smtp = Smtp::prepare();
    smtp.manner(Manner::CutsInData);
    smtp.up();
    let daemon = scene.start(&smtp.channel(), &[OPS]).await;
    let incident = scene.breach(&daemon).await;
    let tried = daemon.notice(incident, "a first attempt", |n| !attempts(n).is_empty()).await;
    // A short mail fits between two machines: its sender cannot tell this from a cut after the end.
    assert!(["temporary", "unknown"].contains(&outcomes(&tried)[0]), "{tried}");
    smtp.manner(Manner::Takes);
    daemon.notice(incident, "sent", |n| n["state"] == "sent").await;
    scene.settled(&daemon).await;
    assert_eq!(smtp.taken().len(), 1, "taken once");
}

#[tokio::test]
async fn a_cut_after_the_end_of_the_text_is_unknown_and_comes_again_under_the_same_name() {
    let mut scene = Scene::new();
    let mut smtp = Smtp::prepare();
    smtp.manner(Manner::CutsAfterDot);
    smtp.up();
    let daemon = scene.start(&smtp.channel(), &[OPS]).await;
    let incident = scene.breach(&daemon).await;
    let tried = daemon.notice(incident, "a first attempt", |n| !attempts(n).is_empty()).await;
    assert_eq!(outcomes(&tried)[0], "unknown", "{tried}");
    smtp.manner(Manner::Takes);
    let sent = daemon.notice(incident, "sent", |n| n["state"] == "sent").await;
    scene.settled(&daemon).await;
    let taken = smtp.taken();
    assert_eq!(taken.len(), outcomes(&sent).len(), "each attempt handed it over: {sent}");
    assert!(taken.len() >= 2);
    let same = taken.iter().all(|mail| mail.letter.message_id == taken[0].letter.message_id);
    assert!(same, "so that its receiver knows the repetition: {taken:?}");
    assert_eq!(taken[0].letter.notice(), number(&sent["id"]));
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_held_until_somebody_corrects_it() {
    let mut scene = Scene::new();
    let mail = Mail::start().await;
    let channel = mail.channel(scene.setup.folder());
    let file = scene.setup.folder().join("smtp-password");
    let right = fs::read_to_string(&file).unwrap();
    fs::write(&file, "mistyped\n").unwrap();
    let daemon = scene.start(&channel, &[OPS]).await;
    let incident = scene.breach(&daemon).await;
    let held = held(&scene, &daemon, incident).await;
    said(&held, &["password"]);
    assert!(!held.to_string().contains("mistyped"), "it is not shown: {held}");
    let refused = mail.log().matches("authenticator failed").count();
    // Two methods may be offered, and each may be tried.
    assert!((1..=4).contains(&refused), "{refused} refusals: {}", mail.log());

    fs::write(&file, right).unwrap();
    daemon.signal(Signal::HUP);
    once(&daemon, &mail, OPS, incident).await;
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_is_held_until_somebody_corrects_it() {
    let mut scene = Scene::new();
    let mail = Mail::start().await;
    let right = mail.channel(scene.setup.folder());
    let wrong: Vec<_> = right.lines().filter(|line| !line.starts_with("ca_file")).collect();
    let daemon = scene.start(&(wrong.join("\n") + "\n\n"), &[OPS]).await;
    let incident = scene.breach(&daemon).await;
    let held = held(&scene, &daemon, incident).await;
    said(&held, &["certificate"]);
    assert!(!mail.log().contains("A=plain"), "the password was told nobody: {}", mail.log());

    scene.configure(&right, &[OPS]);
    daemon.signal(Signal::HUP);
    once(&daemon, &mail, OPS, incident).await;
}

#[tokio::test]
async fn a_refused_recipient_is_dead_at_once_and_costs_the_other_nothing() {
    let mut scene = Scene::new();
    let mail = Mail::start().await;
    let daemon = scene.start(&mail.channel(scene.setup.folder()), &[NOBODY, OPS]).await;
    let incident = scene.breach(&daemon).await;
    mail.arrived(OPS, 1).await;
    let dead = daemon.notice(incident, "dead", |n| n["state"] == "dead").await;
    assert_eq!(dead["address"], NOBODY, "{dead}");
    assert_eq!(outcomes(&dead), ["permanent"], "{dead}");
    said(&dead, &["no such user here"]);
    let delivery = daemon.get("/delivery").await;
    let email = list(&delivery["ways"]).iter().find(|way| way["way"] == "email").unwrap();
    assert_eq!((number(&email["dead"]), number(&email["sent"])), (1, 1), "{delivery}");
    scene.settled(&daemon).await;
    let refused = mail.log().matches("no such user here").count();
    // A refusal stands in two logs.
    assert!(refused <= 2, "asked {refused} times: {}", mail.log());
}

#[tokio::test]
async fn a_port_that_is_encrypted_from_the_first_byte_works_as_well() {
    let mut scene = Scene::new();
    let mail = Mail::start().await;
    let by_starttls = mail.channel(scene.setup.folder());
    let port = format!("port = {}\n", mail.starttls);
    let implicit = format!("port = {}\ntls = \"implicit\"\n", mail.implicit);
    let daemon = scene.start(&by_starttls.replace(&port, &implicit), &[OPS]).await;
    let incident = scene.breach(&daemon).await;
    once(&daemon, &mail, OPS, incident).await;
    assert!(mail.log().contains("A=plain") || mail.log().contains("A=login"), "{}", mail.log());
}

/// One server with one dial, and who is told of it.
struct Scene {
    setup: Setup,
    dials: Dials,
}

impl Scene {
    fn new() -> Self {
        let setup = Setup::in_company("").plugin(&dial::plugin());
        let mut dials = Dials::new(setup.folder(), "web-1");
        dials.turn("main", 1.0);
        Self { setup, dials }
    }

    fn configure(&self, channel: &str, addresses: &[&str]) {
        let (server, rule) = (self.dials.server("250ms"), dial::RULE);
        let contact = format!("[contact.ops]\nemail = {addresses:?}\n\n");
        let route = "[[route]]\nnotify = [\"ops\"]\n";
        self.setup.configure(&format!("{HTTP}{server}{rule}{channel}{contact}{route}"));
    }

    async fn start(&self, channel: &str, addresses: &[&str]) -> Daemon {
        self.configure(channel, addresses);
        let daemon = self.setup.start().await;
        self.dials.read(&daemon, "main", 1.0, 0).await;
        daemon
    }

    /// Turns the dial over its limit; returns the number of the incident.
    async fn breach(&mut self, daemon: &Daemon) -> u64 {
        self.dials.turn("main", 42.0);
        let incident = daemon.incident_of("web-1", "dial", &["firing"]).await;
        number(&incident["id"])
    }

    /// Waits until the daemon has had some seconds for whatever it might do more.
    async fn settled(&self, daemon: &Daemon) {
        daemon.samples("web-1", dial::METRIC, now_ms(), 16).await;
    }
}

/// Waits until the notice is held, and makes sure that it stays so without a further attempt for an hour.
async fn held(scene: &Scene, daemon: &Daemon, incident: u64) -> Value {
    daemon.notice(incident, "held", |n| n["state"] == "held").await;
    scene.settled(daemon).await;
    let held = daemon.notice(incident, "still held", |n| n["state"] == "held").await;
    assert_eq!(outcomes(&held), ["misconfigured"], "{held}");
    let due_ms = held["due_ms"].as_i64().unwrap();
    assert!(due_ms > now_ms() + 50 * 60 * 1000, "due in an hour: {held}");
    held
}

/// The mail is in the box, once, and stays alone there; returns its notice.
async fn once(daemon: &Daemon, mail: &Mail, address: &str, incident: u64) -> Value {
    let sent = daemon.notice(incident, "sent", |n| n["state"] == "sent").await;
    assert_eq!(outcomes(&sent).last(), Some(&"accepted"), "{sent}");
    let letter = mail.arrived(address, 1).await.remove(0);
    assert_eq!(letter.notice(), number(&sent["id"]));
    daemon.nothing_waits(Duration::from_secs(60)).await;
    mail.arrived(address, 1).await;
    sent
}

/// The last attempt says one of these, in one line, and without the machinery's own words.
#[track_caller]
fn said(notice: &Value, words: &[&str]) {
    let said = attempts(notice).last().unwrap()["said"].as_str().unwrap();
    let lower = said.to_lowercase();
    assert!(words.iter().any(|word| lower.contains(word)), "none of {words:?} in: {said}");
    assert!(!said.contains('\n'), "one line: {said}");
    for machinery in ["Error {", "Err(", "lettre::", "kind:", "Some("] {
        assert!(!said.contains(machinery), "in words for people: {said}");
    }
}
