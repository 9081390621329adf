//! What a plugin can do wrong in a call, and what becomes of it.

use std::time::{Duration, Instant};

use bartizan::plugin::{CollectError, FolderKind, InstanceState};

use crate::world::{
    DEADLINE, Folder, PATIENCE, SHORT, World, gone, is_down, is_parked, pid, read, ready, reason,
    state,
};

/// Between two looks.
const TICK: Duration = Duration::from_millis(5);

async fn world() -> World {
    world_of(&[]).await
}

/// A world whose plugin is compiled with these macros.
async fn world_of(macros: &[&str]) -> World {
    let folder = Folder::new();
    folder.compile("hostile", macros);
    let world = World::start(&folder, FolderKind::Configured).await;
    // The files are judged once, then kept: the folder may go.
    let mut first = world.open("first", "hostile", "");
    ready(&mut first).await;
    world
}

#[tokio::test]
async fn a_good_reading_brings_its_samples() {
    let world = world().await;
    let mut instance = world.open("good", "org.example.hostile", "");
    for round in 1..=3 {
        let reading = read(&mut instance).await.unwrap();
        let values: Vec<f64> = reading.samples.iter().map(|sample| sample.value).collect();
        assert_eq!(values, [f64::from(round), 1000.0 + f64::from(round)]);
        assert_eq!((reading.invalid, reading.refused_series), (0, 0));
        let series = world.series.get(reading.samples[0].series).unwrap();
        assert_eq!((&*series.server, &*series.collector), ("web-1", "good"));
        assert_eq!((&*series.metric, &*series.unit), ("value", "things"));
    }
    world.stop().await;
}

#[tokio::test]
async fn what_is_no_fault_of_the_plugin_costs_it_nothing() {
    let world = world().await;
    let mut retry = world.open("retry", "hostile", "retry");
    assert_eq!(read(&mut retry).await.unwrap_err(), CollectError::Retry("".into()));
    let mut away = world.open("away", "hostile", "unavailable");
    let error = read(&mut away).await.unwrap_err();
    assert_eq!(error.to_string(), "target is unavailable: connection refused");
    assert_eq!(*retry.states().borrow(), InstanceState::Ready);
    assert_eq!(*away.states().borrow(), InstanceState::Ready);
    world.stop().await;
}

#[tokio::test]
async fn a_plugin_makes_no_process_and_signals_none() {
    let world = world().await;
    let mut fork = world.open("fork", "hostile", "fork");
    assert_eq!(read(&mut fork).await.unwrap_err(), CollectError::Retry("fork refused".into()));
    let mut others = world.open("others", "hostile", "signal_others");
    assert_eq!(read(&mut others).await.unwrap_err(), CollectError::Retry("signal refused".into()));
    world.stop().await;
}

#[tokio::test]
async fn a_panic_is_told_and_the_instance_is_made_again_in_the_same_process() {
    let world = world().await;
    let before = world.host_when("host:", |host| host.detail.is_some()).await;
    let mut instance = world.open("p", "hostile", "panic");
    let error = read(&mut instance).await.unwrap_err();
    assert_eq!(error.to_string(), "plugin panicked: index out of bounds");
    // It is down at once, and comes back.
    ready(&mut instance).await;
    let after = world.host("host:").unwrap();
    assert_eq!(pid(&before), pid(&after));
    world.stop().await;
}

#[tokio::test]
async fn a_broken_contract_is_told_and_the_instance_is_made_again() {
    let world = world().await;
    for (act, expected) in [
        ("fatal", "plugin failed"),
        ("status_99", "plugin failed: returned status 99, which does not exist"),
        ("bad_handle", "plugin failed: sample of a series that was never registered (handle 7777)"),
        ("overrun", "plugin failed: wrote more samples than it was given room for"),
    ] {
        let mut instance = world.open(act, "hostile", act);
        assert_eq!(read(&mut instance).await.unwrap_err().to_string(), expected);
        ready(&mut instance).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_plugin_that_is_not_for_here_is_parked_with_its_reason() {
    let world = world().await;
    for (act, expected) in [
        ("create_unsupported", "plugin is not supported on this machine: no such thing here"),
        ("create_config", "plugin refused its configuration: url is wrong"),
    ] {
        let mut instance = world.open(act, "hostile", act);
        assert_eq!(reason(&state(&mut instance, is_parked).await), expected);
    }
    let mut away = world.open("away", "hostile", "create_unavailable");
    let down = state(&mut away, is_down).await;
    assert_eq!(reason(&down), "target is unavailable: connection refused");
    let config = serde_json::json!({"dd": 1}).as_object().unwrap().clone();
    let mut instance = world.open_with("typo", "hostile", config);
    let parked = state(&mut instance, is_parked).await;
    assert_eq!(reason(&parked), "configuration is refused: dd is not known, did you mean `do`?");
    let mut instance = world.open("nobody", "no-such", "");
    let parked = state(&mut instance, is_parked).await;
    assert_eq!(reason(&parked), "no plugin `no-such` was found");
    world.stop().await;
}

#[tokio::test]
async fn a_crash_is_told_and_blamed_and_the_others_resume() {
    let world = world().await;
    for (act, expected) in [
        ("abort", "plugin host was killed by SIGABRT"),
        ("segv", "plugin host was killed by SIGSEGV"),
        ("exit0", "plugin host exited with status 0"),
        ("leak", "plugin host was killed by SIGSEGV"),
    ] {
        let mut bystander = world.open("bystander", "hostile", "");
        ready(&mut bystander).await;
        let mut instance = world.open(act, "hostile", act);
        let error = read(&mut instance).await.unwrap_err();
        assert_eq!(error, CollectError::HostDown(expected.into()), "{act}");
        let down = state(&mut instance, |state| reason(state).contains("in collect")).await;
        assert!(reason(&down).starts_with(expected), "{act}: {down:?}");
        let since = Instant::now();
        read(&mut bystander).await.unwrap();
        assert!(since.elapsed() < PATIENCE / 2, "others resume at once");
    }
    world.stop().await;
}

#[tokio::test]
async fn one_that_does_not_come_back_is_told_at_its_deadline_and_its_host_killed() {
    let world = world_of(&[SHORT]).await;
    let mut bystander = world.open("bystander", "hostile", "");
    ready(&mut bystander).await;
    let before = world.host("host:").unwrap();
    let mut instance = world.open("spin", "hostile", "spin");
    ready(&mut instance).await;
    let since = Instant::now();
    let error = instance.collect(0).await.unwrap_err();
    assert_eq!(error, CollectError::Deadline { after: DEADLINE });
    assert_eq!(error.to_string(), "deadline of 3s exceeded in collect");
    assert!(since.elapsed() < PATIENCE / 2);
    assert!(matches!(instance.collect(0).await, Err(CollectError::NotReady(_))));
    let down = state(&mut instance, is_down).await;
    assert_eq!(reason(&down), "deadline of 3s exceeded in collect");
    gone(pid(&before)).await;
    read(&mut bystander).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn one_that_heeds_its_cancel_flag_keeps_its_host() {
    let world = world_of(&[SHORT]).await;
    // A machine that pauses between the flag and the grace after it takes the time from the plugin.
    for _ in 0..3 {
        let before = pid(&world.host_when("host:", |host| host.detail.is_some()).await);
        let mut instance = world.open("slow", "hostile", "cancel");
        ready(&mut instance).await;
        assert!(matches!(instance.collect(0).await, Err(CollectError::Deadline { .. })));
        // It has come home: the next reading begins, and ends the same way.
        loop {
            match instance.collect(0).await {
                Err(CollectError::NotReady(_)) => tokio::time::sleep(TICK).await,
                other => break assert!(matches!(other, Err(CollectError::Deadline { .. }))),
            }
        }
        if before == pid(&world.host_when("host:", |host| host.detail.is_some()).await) {
            return world.stop().await;
        }
    }
    panic!("its host was killed each time");
}

#[tokio::test]
async fn garbage_is_dropped_and_counted() {
    let world = world().await;
    let mut nan = world.open("nan", "hostile", "nan");
    let reading = read(&mut nan).await.unwrap();
    assert_eq!((reading.samples.len(), reading.invalid), (2, 2));

    let mut many = world.open("many", "hostile", "many");
    let reading = read(&mut many).await.unwrap();
    assert_eq!(reading.samples.len(), 1000, "two from the start, the rest of the new ones");
    assert_eq!(reading.refused_series, 5002 - 1000);

    let mut labels = world.open("labels", "hostile", "labels");
    let reading = read(&mut labels).await.unwrap();
    assert_eq!(reading.samples.len(), 4);
    assert_eq!(reading.refused_series, 2);
    let label = |at: usize| {
        let series = world.series.get(reading.samples[at].series).unwrap();
        series.labels.get("name").unwrap().to_owned()
    };
    assert_eq!((label(2), label(3)), ("x".repeat(256), "\u{fffd}\u{fffd}".to_owned()));

    let mut flood = world.open("flood", "hostile", "log_flood");
    read(&mut flood).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn what_hangs_or_crashes_in_create_is_told_with_its_phase() {
    let world = world_of(&[SHORT]).await;
    let mut segv = world.open("segv", "hostile", "create_segv");
    let down = state(&mut segv, |state| reason(state).contains(" in ")).await;
    assert_eq!(reason(&down), "plugin host was killed by SIGSEGV in create");
    let mut spin = world.open("spin", "hostile", "create_spin");
    let down = state(&mut spin, |state| reason(state).contains("deadline")).await;
    assert_eq!(reason(&down), "deadline of 5s exceeded in create");
    world.stop().await;
}
