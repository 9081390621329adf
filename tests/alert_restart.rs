//! Nothing is ever sent because the daemon stopped or started, except real differences: once, and marked so.

use std::time::Duration;

use bartizan_tests::{
    Daemon, Setup,
    alerts::{HTTP, number},
    dial::{self, Dials},
    mail::{Mail, OPS},
    now_ms,
    process::Signal,
};

/// What a mail says of what happened meanwhile.
const MARK: &str = "while Bartizan was not running";

#[tokio::test]
async fn a_restart_sends_nothing_and_what_changed_meanwhile_is_told_once() {
    let setup = Setup::new("").plugin(&dial::plugin());
    let mail = Mail::start().await;
    let mut dials = Dials::new(setup.folder(), "web-1");
    for dial in ["stays", "clears", "fires"] {
        dials.turn(dial, 1.0);
    }
    let (server, channel) = (dials.server("250ms"), mail.channel(setup.folder()));
    setup.configure(&format!(
        "{HTTP}{server}{}{channel}[contact.ops]\nemail = [\"{OPS}\"]\n\n[[route]]\nnotify = [\"ops\"]\n",
        dial::RULE
    ));
    let mut daemon = setup.start().await;
    dials.read(&daemon, "fires", 1.0, 0).await;
    dials.turn("stays", 42.0);
    mail.arrived(OPS, 1).await;
    dials.turn("clears", 43.0);
    mail.arrived(OPS, 2).await;

    // Twice each: what is remembered of a start must survive the next one.
    for stop in ["kindly", "kindly", "kill -9", "kill -9"] {
        daemon = restart(&setup, daemon, stop == "kindly", || ()).await;
        settled(&daemon, &dials).await;
        let letters = mail.letters(OPS);
        assert_eq!(letters.len(), 2, "{stop}: {:?}", letters.last());
        assert_eq!(daemon.incidents("firing").await.len(), 2, "{stop}: both still last");
    }

    daemon = restart(&setup, daemon, true, || {
        dials.turn("clears", 1.0);
    })
    .await;
    let resolved = mail.arrived(OPS, 3).await.remove(2);
    assert!(resolved.subject.starts_with("RESOLVED web-1: "), "{}", resolved.subject);
    assert!(resolved.text.contains("clears"), "{}", resolved.text);
    let whole = format!("{} {}", resolved.subject, resolved.text);
    assert!(whole.contains(MARK), "{whole}");

    daemon = restart(&setup, daemon, false, || {
        dials.turn("fires", 44.0);
    })
    .await;
    let fired = mail.arrived(OPS, 4).await.remove(3);
    assert!(fired.subject.starts_with("CRITICAL web-1: "), "{}", fired.subject);
    assert!(fired.text.contains("fires"), "{}", fired.text);
    assert!(format!("{} {}", fired.subject, fired.text).contains(MARK), "{}", fired.text);
    let incident = daemon.incident_of("web-1", "dial", &["firing"]).await;
    assert_eq!(incident["in_absence"], true, "{incident}");

    daemon = restart(&setup, daemon, false, || ()).await;
    settled(&daemon, &dials).await;
    assert_eq!(mail.letters(OPS).len(), 4, "told once");

    // What happens afterwards is not marked any more.
    dials.turn("fires", 1.0);
    let resolved = mail.arrived(OPS, 5).await.remove(4);
    assert!(!format!("{} {}", resolved.subject, resolved.text).contains(MARK), "{}", resolved.text);
    assert_eq!(resolved.in_reply_to, fired.message_id, "threads go on over restarts");
    let after = daemon.incident(number(&incident["id"])).await;
    assert_eq!(after["state"], "resolved", "{after}");
}

/// Stops the daemon, does what is to be done meanwhile, and starts it again.
async fn restart(
    setup: &Setup,
    mut daemon: Daemon,
    kindly: bool,
    meanwhile: impl FnOnce(),
) -> Daemon {
    if kindly {
        daemon.signal(Signal::TERM);
        daemon.ended().await;
    } else {
        daemon.kill();
    }
    meanwhile();
    setup.start().await
}

/// Waits until the daemon has judged some samples, and had the time to send what it wanted.
async fn settled(daemon: &Daemon, dials: &Dials) {
    daemon.samples(&dials.server, dial::METRIC, now_ms(), 8).await;
    daemon.nothing_waits(Duration::from_secs(60)).await;
}
