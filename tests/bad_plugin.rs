//! What is no plugin, and a plugin of another ABI, is refused before any of its code runs; the daemon goes on.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{fs, path::Path};

use bartizan_tests::{
    DEADLINE, Setup,
    hostile::{self, IN_C, METRIC},
    now_ms, wait_for,
};

#[tokio::test]
async fn files_that_are_no_plugins_are_refused_by_name_and_the_rest_works() {
    let innocent = hostile::server("beside", IN_C, "none");
    let setup = Setup::new(&format!("[[server]]\nname = \"here\"\n\n{innocent}"));
    let good = hostile::in_c(setup.folder());
    let future = hostile::of_another_abi(setup.folder());
    let setup = setup.plugin(&good).plugin(&future);
    let whole = fs::read(&good).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(setup.plugins().join(name), bytes).unwrap();
    write("libempty.so", b"");
    write("libtext.so", b"#!/bin/sh\necho no plugin\n");
    write("libtruncated.so", &whole[..whole.len() / 3]);
    write("libfor_32_bits.so", &{
        let mut other = whole.clone();
        other[4] = 1;
        other
    });
    fs::copy(a_library(), setup.plugins().join("libno_manifest.so")).unwrap();

    let daemon = setup.start().await;
    daemon.samples("here", "memory_usage_ratio", now_ms(), 2).await;
    daemon.samples("beside", METRIC, now_ms(), 2).await;

    let bad =
        ["libempty.so", "libtext.so", "libtruncated.so", "libfor_32_bits.so", "libno_manifest.so"];
    let (refused, _) = wait_for("every refusal", DEADLINE, async || {
        let answer = daemon.get("/plugins").await;
        let refused = answer["refused"].as_array().unwrap().clone();
        (refused.len() > bad.len()).then_some(refused)
    })
    .await;
    let reason = |name: &str| {
        let mut of_file = refused.iter().filter(|refused| {
            let path = Path::new(refused["path"].as_str().unwrap());
            path.file_name().unwrap() == name
        });
        let refusal = of_file.next().unwrap_or_else(|| panic!("{name} is not among {refused:?}"));
        refusal["reason"].as_str().unwrap().to_owned()
    };
    let reasons = bad.map(reason);
    for (at, reason) in reasons.iter().enumerate() {
        assert!(!reasons[..at].contains(reason), "each has a reason of its own: {reasons:?}");
    }
    let future = reason("libanother_abi.so");
    assert!(future.contains("99") && future.contains('1'), "names both versions: {future}");
    for name in bad.iter().chain(&["libanother_abi.so"]) {
        assert!(daemon.log().contains(name), "{name} is in the log");
    }
    assert!(daemon.runs());
}

#[tokio::test]
async fn of_two_files_with_one_id_the_first_is_used_and_the_other_named() {
    let setup = Setup::new(&hostile::server("beside", IN_C, "none"));
    let good = hostile::in_c(setup.folder());
    let setup = setup.plugin(&good);
    // Not the same bytes, but the same plugin: something stands after its end.
    let mut other = fs::read(&good).unwrap();
    other.extend([0; 16]);
    fs::write(setup.plugins().join("zz_other.so"), other).unwrap();

    let daemon = setup.start().await;
    daemon.samples("beside", METRIC, now_ms(), 2).await;
    let answer = daemon.get("/plugins").await;
    let refused = answer["refused"].as_array().unwrap();
    let other =
        refused.iter().find(|refused| refused["path"].as_str().unwrap().ends_with("zz_other.so"));
    let reason = other.unwrap()["reason"].as_str().unwrap();
    assert!(reason.contains("libhostile.so"), "names the one that is used: {reason}");
}

/// A library that is no plugin: the one that every program here is linked with.
fn a_library() -> String {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps.lines().find_map(|line| {
        let path = line.split_whitespace().last()?;
        path.contains("/libc.so").then(|| path.to_owned())
    });
    path.unwrap()
}
