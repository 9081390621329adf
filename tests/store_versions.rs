//! Stores that former builds have written: each is opened by this one, and gives every sample back, bit for bit.
//!
//! `tests/stores/make` packs one for each version of the format.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{fs, process::Command};

use bartizan_tests::{Finished, Setup, repository};

/// How many versions there have been.
const VERSIONS: usize = 2;

#[tokio::test]
async fn a_store_of_every_version_gives_back_what_was_put_in() {
    let setup = Setup::in_company("");
    let stores = repository().join("tests/stores");
    let wanted = fs::read_to_string(stores.join("samples.csv")).unwrap();
    for version in 1..=VERSIONS {
        let folder = setup.folder().join(version.to_string());
        fs::create_dir(&folder).unwrap();
        let packed = stores.join(format!("version-{version}.tar.gz"));
        let mut unpack = Command::new("tar");
        unpack.args(["--extract", "--no-same-owner", "--file"]).arg(&packed);
        assert!(unpack.arg("--directory").arg(&folder).status().unwrap().success());
        let state = folder.join("store");
        assert_eq!(fs::read_to_string(state.join("VERSION")).unwrap(), format!("{version}\n"));
        let ask = async |arguments: &[&str]| {
            let mut command = setup.command(&["store"]);
            command.args(arguments).arg("--state").arg(&state);
            let finished = Finished::of(command).await;
            assert_eq!(finished.code, Some(0), "version {version}: {finished:?}");
            finished.stdout
        };
        ask(&["check"]).await;
        let given = ask(&["export", "--format", "csv"]).await;
        let differs = wanted.lines().zip(given.lines()).find(|(wanted, given)| wanted != given);
        assert_eq!(differs, None, "version {version}");
        assert_eq!(given.len(), wanted.len(), "version {version}");
        // What opening has changed is as whole as what it found.
        ask(&["check"]).await;
        assert_eq!(ask(&["export", "--format", "csv"]).await, given, "version {version}, again");
    }
}
