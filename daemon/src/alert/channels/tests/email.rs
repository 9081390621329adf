//! Mail servers that take, refuse, stall and break off at every step.

use std::time::Instant;

use super::{
    LIMITS,
    server::{
        Act::{self, Encrypt, Hang, Hear, HearUntil, Say, Trickle},
        Server,
    },
    tls::{authority, file, path},
};
use crate::{
    alert::{
        channels::{Channel, Email, Verdict},
        notice::{
            Notice,
            Outcome::{self, Accepted, Misconfigured, Permanent, Temporary, Unknown},
            Way,
        },
        text::samples::{cpu, notice, sender},
    },
    config::{EmailConfig, MailTls},
};

const HELLO: [Act; 3] = [
    Say("220 mail.example.org ESMTP\r\n"),
    Hear("EHLO "),
    Say("250-mail.example.org\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n"),
];
const SENDER: [Act; 2] = [Hear("MAIL FROM:<bartizan@example.org>"), Say("250 2.1.0 ok\r\n")];
const RECIPIENT: [Act; 2] = [Hear("RCPT TO:<ops@example.org>"), Say("250 2.1.5 ok\r\n")];
const DATA: [Act; 3] = [Hear("DATA"), Say("354 go on\r\n"), HearUntil("\r\n.\r\n")];

#[tokio::test]
async fn a_mail_is_handed_over_and_the_servers_words_are_kept() {
    let last = [Say("250-2.0.0 ok\r\n250 id=1abc\r\n"), Hear("QUIT"), Say("221 bye\r\n")];
    let server = Server::start([&HELLO[..], &SENDER, &RECIPIENT, &DATA, &last].concat()).await;
    let verdict = email(config(server.port)).deliver(&mail()).await;
    assert_eq!((verdict.outcome, verdict.said.as_str()), (Accepted, "250 2.0.0 ok id=1abc"));

    let heard = server.heard().await;
    assert!(heard.contains("Message-ID: <bartizan.hub1.5@example.org>\r\n"), "{heard}");
    assert!(heard.contains("Subject: CRITICAL web-1: CPU 98.2 % above 95 %\r\n"), "{heard}");
    assert!(!heard.contains("AUTH"), "nobody gave a name");
}

#[tokio::test]
async fn an_answer_means_what_its_step_makes_of_it() {
    let greylisted = [Hear("RCPT"), Say("451 4.7.1 greylisted, come back\r\n"), Hear("QUIT")];
    let nobody = [Hear("RCPT"), Say("550 5.1.1 no such user\r\n"), Hear("QUIT")];
    let log_in = [Hear("MAIL"), Say("530 5.7.0 authentication required\r\n"), Hear("QUIT")];
    let not_you = [Hear("MAIL"), Say("553 5.7.1 not your address\r\n"), Hear("QUIT")];
    let full = [Say("452 4.3.1 no room\r\n"), Hear("QUIT")];
    let spam = [Say("554 5.7.1 looks like spam\r\n"), Hear("QUIT")];
    let cases: [(Vec<Act>, Outcome, &str); 8] = [
        (vec![Say("421 too busy\r\n")], Temporary, "421 too busy"),
        (
            vec![Say("554 you are on a list\r\n")],
            Temporary,
            "does not let us in: 554 you are on a list",
        ),
        ([&HELLO[..], &SENDER, &greylisted].concat(), Temporary, "451 4.7.1 greylisted, come back"),
        ([&HELLO[..], &SENDER, &nobody].concat(), Permanent, "550 5.1.1 no such user"),
        ([&HELLO[..], &log_in].concat(), Misconfigured, "channel.email.username"),
        ([&HELLO[..], &not_you].concat(), Misconfigured, "channel.email.from"),
        ([&HELLO[..], &SENDER, &RECIPIENT, &DATA, &full].concat(), Temporary, "452 4.3.1 no room"),
        (
            [&HELLO[..], &SENDER, &RECIPIENT, &DATA, &spam].concat(),
            Permanent,
            "554 5.7.1 looks like spam",
        ),
    ];
    for (script, outcome, said) in cases {
        let verdict = deliver(script, |_| {}).await;
        assert_eq!(verdict.outcome, outcome, "{}", verdict.said);
        assert!(verdict.said.contains(said), "{} instead of {said}", verdict.said);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_last_dot_leaves_it_open() {
    let verdict = deliver([&HELLO[..], &SENDER, &RECIPIENT, &DATA].concat(), |_| {}).await;
    assert_eq!(verdict.outcome, Unknown, "{}", verdict.said);
    assert!(
        verdict.said.contains("it closed the connection: it may have taken it"),
        "{}",
        verdict.said
    );

    let verdict = deliver([&HELLO[..], &SENDER, &RECIPIENT].concat(), |_| {}).await;
    assert_eq!(verdict.outcome, Temporary, "{}", verdict.said);
    assert!(verdict.said.contains("did not ask for the mail"), "{}", verdict.said);

    let silent = [&HELLO[..], &SENDER, &RECIPIENT, &DATA, &[Hang]].concat();
    let began = Instant::now();
    let verdict = deliver(silent, |_| {}).await;
    assert_eq!(verdict.outcome, Unknown, "{}", verdict.said);
    assert!(began.elapsed() > LIMITS.silence, "a slow scan is waited for");
    assert!(began.elapsed() < LIMITS.attempt * 2);
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up() {
    let cases = [
        (vec![Hang], "did not greet within 1s"),
        (vec![Trickle], "did not greet within the 3s of an attempt"),
        (
            [&HELLO[..], &SENDER, &[Hang]].concat(),
            "did not answer the recipient: it was silent for 1s",
        ),
    ];
    for (script, said) in cases {
        let began = Instant::now();
        let verdict = deliver(script, |_| {}).await;
        assert_eq!(verdict.outcome, Temporary, "{}", verdict.said);
        assert!(verdict.said.contains(said), "{} instead of {said}", verdict.said);
        assert!(began.elapsed() < LIMITS.attempt * 2);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_may_come_back() {
    let server = Server::start(vec![]).await;
    let port = server.port;
    server.abort().await;
    let verdict = email(config(port)).deliver(&mail()).await;
    assert_eq!(verdict.outcome, Temporary);
    assert_eq!(verdict.said, format!("127.0.0.1:{port} is not reached: Connection refused"));
}

#[tokio::test]
async fn a_password_is_read_at_each_attempt_and_never_told() {
    let secret = file("s3cret\nsecond line\n");
    let known = |config: &mut EmailConfig| {
        config.username = Some("bartizan".into());
        config.password_file = path(&secret);
    };
    // bartizan, s3cret.
    let auth = Hear("AUTH PLAIN AGJhcnRpemFuAHMzY3JldA==");
    let wrong = [auth.clone(), Say("535 5.7.8 no\r\n"), Hear("QUIT")];
    let verdict = deliver([&HELLO[..], &wrong].concat(), known).await;
    assert_eq!(verdict.outcome, Misconfigured);
    assert!(verdict.said.contains("does not accept user `bartizan`"), "{}", verdict.said);
    assert!(!verdict.said.contains("s3cret"));

    let later = [auth.clone(), Say("454 4.7.0 later\r\n"), Hear("QUIT")];
    assert_eq!(deliver([&HELLO[..], &later].concat(), known).await.outcome, Temporary);

    let right = [auth, Say("235 2.7.0 welcome\r\n")];
    let last = [Say("250 ok\r\n"), Hear("QUIT")];
    let script = [&HELLO[..], &right, &SENDER, &RECIPIENT, &DATA, &last].concat();
    assert_eq!(deliver(script, known).await.outcome, Accepted);

    let plain = [HELLO[0].clone(), Hear("EHLO"), Say("250 mail.example.org\r\n"), Hear("QUIT")];
    let verdict = deliver(plain.to_vec(), known).await;
    assert_eq!(verdict.outcome, Misconfigured);
    assert!(verdict.said.contains("offers neither AUTH PLAIN nor LOGIN"), "{}", verdict.said);

    let verdict = deliver(vec![], |config| {
        config.username = Some("bartizan".into());
        config.password_file = Some("/nonexistent/password".into());
    })
    .await;
    assert_eq!(verdict.outcome, Misconfigured);
    assert!(
        verdict.said.contains("channel.email.password_file `/nonexistent/password`"),
        "{}",
        verdict.said
    );
}

#[tokio::test]
async fn encryption_comes_before_everything_or_nothing_is_sent() {
    let offer = [
        HELLO[0].clone(),
        Hear("EHLO"),
        Say("250-mail.example.org\r\n250 STARTTLS\r\n"),
        Hear("STARTTLS"),
        Say("220 go on\r\n"),
        Encrypt,
    ];
    let last = [Say("250 ok\r\n"), Hear("QUIT")];
    let rest = [&SENDER[..], &RECIPIENT, &DATA, &last].concat();
    let (ca, other) = (authority(), file("no certificate\n"));
    let starttls = |config: &mut EmailConfig| {
        config.host = "localhost".into();
        config.tls = MailTls::Starttls;
        config.ca_file = path(&ca);
    };
    let implicit = |config: &mut EmailConfig| {
        starttls(config);
        config.tls = MailTls::Implicit;
    };

    let script = [&offer[..], &HELLO[1..], &rest].concat();
    assert_eq!(deliver(script.clone(), starttls).await.outcome, Accepted);
    let encrypted = [&[Encrypt][..], &HELLO, &rest].concat();
    assert_eq!(deliver(encrypted.clone(), implicit).await.outcome, Accepted);

    type Change<'a> = &'a (dyn Fn(&mut EmailConfig) + Sync);
    let cases: [(Vec<Act>, Change, &str); 7] = [
        (HELLO.to_vec(), &starttls, "does no STARTTLS: set channel.email.tls to \"implicit\""),
        (
            script.clone(),
            &|c| {
                starttls(c);
                c.ca_file = None
            },
            "is signed by no authority that is trusted here",
        ),
        (
            encrypted.clone(),
            &|c| {
                implicit(c);
                c.ca_file = None
            },
            "certificate into channel.email.ca_file",
        ),
        (
            script.clone(),
            &|c| {
                starttls(c);
                c.host = "127.0.0.1".into()
            },
            "carries other names",
        ),
        (
            encrypted,
            &|c| {
                implicit(c);
                c.host = "127.0.0.1".into()
            },
            "carries other names",
        ),
        (HELLO.to_vec(), &implicit, "answers without TLS"),
        (
            script,
            &|c| {
                starttls(c);
                c.ca_file = path(&other)
            },
            "has no certificate; must be a PEM file",
        ),
    ];
    for (script, change, said) in cases {
        let verdict = deliver(script, change).await;
        assert_eq!(verdict.outcome, Misconfigured, "{}", verdict.said);
        assert!(verdict.said.contains(said), "{} instead of {said}", verdict.said);
    }
}

#[tokio::test]
async fn a_server_that_never_ends_its_line_is_given_up_before_it_fills_memory() {
    let long: &'static str = Box::leak("2".repeat(1 << 20).into_boxed_str());
    let verdict = deliver(vec![Say(long), Hang], |_| {}).await;
    assert_eq!(verdict.outcome, Temporary);
    assert!(verdict.said.contains("it says too much"), "{}", verdict.said);
}

async fn deliver(script: Vec<Act>, change: impl Fn(&mut EmailConfig)) -> Verdict {
    let server = Server::start(script).await;
    let mut config = config(server.port);
    change(&mut config);
    email(config).deliver(&mail()).await
}

fn email(config: EmailConfig) -> Email {
    Email::with_limits(config, sender(), LIMITS)
}

fn mail() -> Notice {
    notice(Way::Email, "ops@example.org", vec![cpu()])
}

fn config(port: u16) -> EmailConfig {
    EmailConfig {
        host: "127.0.0.1".into(),
        port,
        tls: MailTls::None,
        ca_file: None,
        username: None,
        password_file: None,
        from: "Bartizan <bartizan@example.org>".into(),
    }
}
