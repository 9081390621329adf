//! Which instance lives in which process, and what a process's end means for the others.

use std::time::{Duration, Instant};

use bartizan::plugin::{CollectError, FolderKind};
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{
    Folder, PATIENCE, SHORT, World, gone, is_down, pid, read, ready, reason, state, until,
};

const BUNDLED: [&str; 3] = ["cpu", "load", "memory"];

/// Three plugins that pass for bundled ones, and one that does not.
async fn world() -> World {
    let folder = Folder::new();
    for name in BUNDLED {
        let id = format!(r#"ID="org.bartizan.{name}""#);
        folder.compile(name, &[&id, &format!(r#"NAME="{name}""#)]);
    }
    folder.compile("other", &[r#"ID="org.example.other""#, r#"NAME="other""#]);
    let world = World::start(&folder, FolderKind::Beside).await;
    until(|| (world.port.catalog().found.len() == 4).then_some(())).await;
    world
}

#[tokio::test]
async fn bundled_plugins_share_a_process_and_others_do_not() {
    let world = world().await;
    let mut instances = Vec::new();
    for name in ["cpu", "load", "memory", "other"] {
        let mut instance = world.open(name, name, "");
        ready(&mut instance).await;
        instances.push(instance);
    }
    let hosts = world.node.view().children;
    assert_eq!(hosts.len(), 2, "{hosts:?}");
    let bundled = world.host("host:bundled").unwrap();
    let other = hosts.iter().find(|host| host.name != bundled.name).unwrap();
    assert_ne!(pid(&bundled), pid(other));

    // The last instance of a host takes it along.
    let other = pid(other);
    instances.pop();
    gone(other).await;
    read(&mut instances[0]).await.unwrap();
    let bundled = pid(&bundled);
    world.stop().await;
    gone(bundled).await;
}

#[tokio::test]
async fn a_host_killed_from_outside_is_back_at_once_and_nobody_is_blamed() {
    let world = world().await;
    let mut instances: Vec<_> = BUNDLED.map(|name| world.open(name, name, "")).into();
    for instance in &mut instances {
        ready(instance).await;
    }
    let before = world.host("host:bundled").unwrap();
    let since = Instant::now();
    kill_process(Pid::from_raw(pid(&before)).unwrap(), Signal::KILL).unwrap();
    let down = state(&mut instances[0], is_down).await;
    assert_eq!(reason(&down), "plugin host was killed by SIGKILL");
    for instance in &mut instances {
        read(instance).await.unwrap();
    }
    assert!(since.elapsed() < PATIENCE / 2);
    let after = world.host("host:bundled").unwrap();
    assert_eq!(after.restarts, 1);
    assert_eq!(after.last_error.as_deref(), Some("plugin host was killed by SIGKILL"));
    assert_eq!(world.node.view().children.len(), 1, "nobody moved out");
    world.stop().await;
}

#[tokio::test]
async fn a_reading_in_flight_is_told_how_the_host_died() {
    let world = world().await;
    let mut instance = world.open("cpu", "cpu", "cancel");
    ready(&mut instance).await;
    let pid = pid(&world.host("host:bundled").unwrap());
    let killer = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    });
    let error = instance.collect(0).await.unwrap_err();
    assert_eq!(error, CollectError::HostDown("plugin host was killed by SIGKILL".into()));
    killer.await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_bundled_plugin_that_takes_the_shared_host_down_moves_out() {
    let world = world().await;
    let mut good = world.open("good", "load", "");
    ready(&mut good).await;
    let mut bad = world.open("bad", "cpu", "segv");
    assert!(read(&mut bad).await.is_err());
    state(&mut bad, is_down).await;
    read(&mut good).await.unwrap();
    let shared = pid(&world.host("host:bundled").unwrap());
    // It is back in a process of its own, which it takes down again; the others do not notice.
    assert!(read(&mut bad).await.is_err());
    state(&mut bad, is_down).await;
    good.collect(0).await.unwrap();
    assert_eq!(pid(&world.host("host:bundled").unwrap()), shared);
    world.stop().await;
}

#[tokio::test]
async fn if_several_were_running_each_gets_a_process_of_its_own() {
    let world = world().await;
    let mut idle = world.open("idle", "memory", "");
    let mut waiting = world.open("waiting", "cpu", "cancel");
    let mut bad = world.open("bad", "cpu", "segv_in_company");
    for instance in [&mut idle, &mut waiting, &mut bad] {
        ready(instance).await;
    }
    let (one, other) = tokio::join!(waiting.collect(0), bad.collect(0));
    let expected = CollectError::HostDown("plugin host was killed by SIGSEGV".into());
    assert_eq!((one.unwrap_err(), other.unwrap_err()), (expected.clone(), expected));
    for instance in [&mut idle, &mut waiting, &mut bad] {
        ready(instance).await;
    }
    let names = world.node.view().children.into_iter().map(|host| host.name.to_string());
    let own = names.filter(|name| name.contains(":own-")).count();
    assert_eq!(own, 2);
    assert!(world.host("host:bundled").is_some(), "the idle one stays");
    world.stop().await;
}

#[tokio::test]
async fn one_that_keeps_falling_is_quarantined_and_the_others_go_on() {
    let world = world().await;
    let mut good = world.open("good", "load", "");
    ready(&mut good).await;
    let mut bad = world.open("bad", "other", "create_segv");
    let down = state(&mut bad, |state| reason(state).contains("quarantined")).await;
    let expected =
        "plugin host was killed by SIGSEGV in create; it fell too often and is quarantined";
    assert_eq!(reason(&down), expected);
    read(&mut good).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_plugin_that_hangs_in_destroy_does_not_hold_up_the_stop() {
    let world = world().await;
    let mut hang = world.open("hang", "other", "destroy_spin");
    ready(&mut hang).await;
    let host = world.node.view().children.into_iter().next().unwrap();
    let since = Instant::now();
    world.stop().await;
    assert!(since.elapsed() < PATIENCE / 2, "{:?}", since.elapsed());
    gone(pid(&host)).await;
}

#[tokio::test]
async fn a_new_actor_takes_over_what_was_opened() {
    let folder = Folder::new();
    folder.compile("good", &[]);
    let world = World::start(&folder, FolderKind::Configured).await;
    let mut instance = world.open("good", "hostile", "");
    ready(&mut instance).await;
    let before = pid(&world.host("host:").unwrap());
    world.actor.kill_and_wait(None).await.unwrap();
    gone(before).await;
    world.restart().await;
    read(&mut instance).await.unwrap();
}

#[tokio::test]
async fn a_host_that_lies_is_killed_and_told() {
    let folder = Folder::new();
    folder.compile("good", &[SHORT]);
    let frame =
        |bytes: &str| format!("char f[24] = {{{bytes}}}; write(0, f, 24); for (;;) pause();");
    let liars = [
        (
            "long",
            frame("-1, -1, -1, -1"),
            "a frame of 4294967295 bytes, at most 524288 are allowed",
        ),
        ("kind", frame("0, 0, 0, 0, 99"), "a frame of kind 99, which does not exist"),
        ("nobody", frame("0, 0, 0, 0, 16, 0, 0, 0, 42"), "an answer of nobody"),
        ("seq", frame("0, 0, 0, 0, 16, 0, 0, 0, 1"), "an answer that nobody asked for"),
        ("role", frame("0, 0, 0, 0, 2, 0, 0, 0, 1"), "a frame that only the daemon sends"),
    ];
    for (name, body, expected) in liars {
        let program = folder.program(name, &body);
        let world = World::start_with(&folder, FolderKind::Configured, &program).await;
        let mut instance = world.open("any", "hostile", "");
        let down = state(&mut instance, is_down).await;
        assert_eq!(reason(&down), format!("plugin host broke the protocol: {expected}"));
        world.stop().await;
    }
    let deaf = folder.program("deaf", "for (;;) pause();");
    let world = World::start_with(&folder, FolderKind::Configured, &deaf).await;
    let mut instance = world.open("any", "hostile", "");
    let down = state(&mut instance, is_down).await;
    assert_eq!(reason(&down), "deadline of 5s exceeded in create");
    world.stop().await;

    let absent = folder.path().join("absent");
    let world = World::start_with(&folder, FolderKind::Configured, &absent).await;
    let mut instance = world.open("any", "hostile", "");
    let down = state(&mut instance, is_down).await;
    assert!(reason(&down).starts_with("plugin host could not be started: No such file"));
    world.stop().await;
}
