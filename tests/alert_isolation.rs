//! A mail server that is dead, says a byte a second, or nothing, and a webhook that hangs, delay no other way and no
//! evaluation.
//!
//! An attempt at such a server lasts 10 s and more. What has nothing to do with it is there long before: a limit of 5 s
//! tells the two apart on any machine, and what it really took is printed.

use bartizan_tests::{
    Daemon, Setup,
    alerts::{HTTP, list},
    dial::{self, Dials},
    mail::OPS,
    now_ms,
    sink::{Reply, Sink},
    smtp::{Manner, Smtp},
    wait_for,
};

/// From the breach's sample to the gateway.
const LIMIT_MS: i64 = 5_000;

/// How many breaches are told of.
const BREACHES: usize = 4;

#[tokio::test]
async fn a_mail_server_that_is_not_there_delays_nobody() {
    let smtp = Smtp::prepare();
    let worst = breaches(&smtp, &[("sms", true), ("webhook", true), ("email", false)]).await;
    eprintln!("no mail server: an SMS and a webhook within {worst} ms of the sample");
    assert_eq!(smtp.taken().len(), 0);
}

#[tokio::test]
async fn a_mail_server_that_says_a_byte_a_second_delays_nobody() {
    let mut smtp = Smtp::prepare();
    smtp.manner(Manner::Trickles);
    smtp.up();
    let worst = breaches(&smtp, &[("sms", true), ("webhook", true), ("email", false)]).await;
    eprintln!("a byte a second: an SMS and a webhook within {worst} ms of the sample");
    assert!(smtp.connections() > 0 && smtp.taken().is_empty(), "it was tried, in vain");
}

#[tokio::test]
async fn a_mail_server_that_says_nothing_delays_nobody() {
    let mut smtp = Smtp::prepare();
    smtp.manner(Manner::Silent);
    smtp.up();
    let worst = breaches(&smtp, &[("sms", true), ("webhook", true), ("email", false)]).await;
    eprintln!("a silent mail server: an SMS and a webhook within {worst} ms of the sample");
    assert!(smtp.connections() > 0 && smtp.taken().is_empty(), "it was tried, in vain");
}

#[tokio::test]
async fn a_webhook_that_hangs_delays_nobody() {
    let mut smtp = Smtp::prepare();
    smtp.up();
    let worst = breaches(&smtp, &[("sms", true), ("email", true), ("webhook", false)]).await;
    eprintln!("a webhook that hangs: an SMS and a mail within {worst} ms of the sample");
}

/// Breaches one limit after the other, and waits for each to leave by the ways that work; of the others nothing is
/// accepted. Returns the longest time from a sample to its arrival.
async fn breaches(smtp: &Smtp, ways: &[(&str, bool)]) -> i64 {
    let works = |way: &str| ways.contains(&(way, true));
    let setup = Setup::new("").plugin(&dial::plugin());
    let (gateway, hook) = (Sink::start().await, Sink::start().await);
    if !works("webhook") {
        hook.reply(Reply::Hang);
    }
    let mut dials = Dials::new(setup.folder(), "web-1");
    dials.turn("idle", 1.0);
    setup.configure(&format!(
        "{HTTP}{}{}{}[channel.sms]\nprovider = \"http\"\nurl = \"{}\"\nbody = '{{\"to\":\"{{to}}\",\"text\":\"{{text}}\"}}'\n\
         body_type = \"json\"\naccepted = [\"ok\"]\n\n[contact.ops]\nemail = [\"{OPS}\"]\n\
         sms = [\"+8613711112222\"]\nwebhook = [\"{}\"]\n\n[[route]]\nnotify = [\"ops\"]\n",
        dials.server("250ms"),
        dial::RULE,
        smtp.channel(),
        gateway.url("/send"),
        hook.url("/hook"),
    ));
    let daemon = setup.start().await;
    dials.read(&daemon, "idle", 1.0, 0).await;

    let mut worst = 0;
    for count in 1..=BREACHES {
        let name = format!("dial-{count}");
        let turned = dials.turn(&name, 42.0);
        let mut arrivals = Vec::new();
        arrivals.push(gateway.arrived(count).await[count - 1].at_ms);
        if works("webhook") {
            arrivals.push(hook.arrived(count).await[count - 1].at_ms);
        }
        if works("email") {
            arrivals.push(taken(smtp, count).await);
        }
        let read = dials.read(&daemon, &name, 42.0, turned - 1_000).await;
        for arrived in arrivals {
            worst = worst.max(arrived - read);
        }
        assert!(worst < LIMIT_MS, "breach {count}: {worst} ms after its sample");
        evaluated_at_once(&daemon, count, read).await;
    }
    nothing_left_by(&daemon, ways).await;
    // Nor was any evaluation late for what is fine again.
    let turned = now_ms();
    dials.turn("dial-1", 1.0);
    let read = dials.read(&daemon, "dial-1", 1.0, turned - 1_000).await;
    let resolved = daemon.incident_of("web-1", "dial", &["resolved"]).await;
    assert_eq!(resolved["closed_ms"], read, "{resolved}");
    worst
}

/// When so many mails have been taken: the instant of the last.
async fn taken(smtp: &Smtp, count: usize) -> i64 {
    let look = async || smtp.taken().get(count - 1).map(|taken| taken.letter.arrived_ms);
    wait_for("a mail", bartizan_tests::DEADLINE, look).await.0
}

/// There are so many incidents by now, and the newest began with its sample.
async fn evaluated_at_once(daemon: &Daemon, count: usize, read: i64) {
    let firing = daemon.incidents("firing").await;
    assert_eq!(firing.len(), count, "{firing:?}");
    let newest = firing.iter().filter_map(|incident| incident["opened_ms"].as_i64()).max();
    assert_eq!(newest, Some(read));
}

async fn nothing_left_by(daemon: &Daemon, ways: &[(&str, bool)]) {
    let delivery = daemon.get("/delivery").await;
    for way in list(&delivery["ways"]) {
        if ways.iter().any(|(name, works)| way["way"] == **name && !works) {
            assert_eq!((&way["sent"], &way["dead"]), (&0.into(), &0.into()), "{way}");
        }
    }
}
