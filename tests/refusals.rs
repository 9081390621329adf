//! The daemon does not start where it cannot work, and says why and what to do.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt};

use bartizan_tests::{Finished, Setup, now_ms};

#[tokio::test]
async fn a_port_in_use_is_named_with_the_fix() {
    let setup = Setup::new("");
    let _taken = TcpListener::bind(setup.address).unwrap();
    let finished = Finished::of(setup.run(&[])).await;
    let port = setup.address.port().to_string();
    refused(finished, &[&port, "another program", "--listen"]);
}

#[tokio::test]
async fn a_state_folder_in_use_is_named_and_its_owner_goes_on() {
    let setup = Setup::new("");
    let daemon = setup.start().await;
    let mut second = setup.command(&["run", "--listen", "127.0.0.1:0"]);
    second.arg("--config").arg(setup.config()).arg("--state").arg(setup.state());
    let finished = Finished::of(second).await;
    let (state, pid) = (setup.state().display().to_string(), daemon.process.pid.to_string());
    refused(finished, &[&state, &pid, "--state"]);

    let name = daemon.get("/servers").await["servers"][0]["name"].as_str().unwrap().to_owned();
    daemon.samples(&name, "memory_usage_ratio", now_ms(), 2).await;
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_written_is_named_with_the_fix() {
    let setup = Setup::new("");
    // Root may write everywhere but into what is no folder.
    fs::write(setup.state(), "not a folder").unwrap();
    let finished = Finished::of(setup.run(&[])).await;
    refused(finished, &[&setup.state().display().to_string(), "--state"]);
}

#[tokio::test]
async fn a_state_folder_without_the_right_to_write_is_named_with_the_fix() {
    if rustix::process::geteuid().is_root() {
        // Permissions do not bind root, /proc does: nobody can make a folder there.
        let setup = Setup::new("");
        let mut command = setup.command(&["run", "--state", "/proc/bartizan"]);
        command.arg("--config").arg(setup.config()).args(["--listen", &setup.address.to_string()]);
        return refused(Finished::of(command).await, &["/proc/bartizan", "--state"]);
    }
    let setup = Setup::new("");
    fs::create_dir(setup.state()).unwrap();
    fs::set_permissions(setup.state(), fs::Permissions::from_mode(0o500)).unwrap();
    let finished = Finished::of(setup.run(&[])).await;
    refused(finished, &[&setup.state().display().to_string(), "--state"]);
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused_without_tls() {
    let setup = Setup::new("");
    let mut command = setup.command(&["run", "--listen", "0.0.0.0:0"]);
    command.arg("--config").arg(setup.config()).arg("--state").arg(setup.state());
    refused(Finished::of(command).await, &["0.0.0.0", "http.insecure"]);
}

#[tokio::test]
async fn a_state_of_a_newer_version_is_refused_by_name() {
    let setup = Setup::new("");
    let mut daemon = setup.start().await;
    daemon.signal(bartizan_tests::process::Signal::TERM);
    daemon.ended().await;
    fs::write(setup.state().join("VERSION"), "999\n").unwrap();
    let finished = Finished::of(setup.run(&[])).await;
    refused(finished, &["999", &setup.state().display().to_string()]);
}

/// Exit 1, and every word stands in what it said.
#[track_caller]
fn refused(finished: Finished, words: &[&str]) {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "`{word}` is not in: {}", finished.stderr);
    }
}
