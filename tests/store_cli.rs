//! What is done with a store from the command line, while a daemon goes on and while none runs.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, LazyLock, Mutex},
};

use bartizan_tests::{
    DEADLINE, Finished, SEED, Setup, now_ms, wait_for, wire::Written, writer::Writer,
};
use fastrand::Rng;
use serde_json::{Value, json};

const CONFIG: &str = "[[server]]\nname = \"here\"\n\n[[rule]]\nname = \"always\"\nmetric = \"memory_usage_ratio\"\n\
                      warning = { above = 1e-6, for = \"0s\" }\n";

/// What a daemon has acknowledged: series and time, bits.
type Acknowledged = BTreeMap<(String, i64), u64>;

/// Series that are written at once.
const SERIES: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_has_everything_that_was_acknowledged_before() {
    let setup = Setup::in_company(CONFIG);
    let mut daemon = setup.start().await;
    let added = run(&setup, &["server", "add", "web-9"], &setup.state()).await;
    assert_eq!(added.code, Some(0), "{added:?}");
    let look = async || daemon.incidents("all").await.pop();
    let incident = wait_for("an incident", DEADLINE, look).await.0;

    let acknowledged = Arc::new(Mutex::new(Acknowledged::new()));
    let load = tokio::spawn(write(
        Writer::new(setup.address, Some(&setup.admin_token())),
        acknowledged.clone(),
    ));
    let count = || acknowledged.lock().unwrap().len();
    wait_for("samples to be acknowledged", DEADLINE, async || (count() > 4_000).then_some(()))
        .await;
    let before = acknowledged.lock().unwrap().clone();
    let copy = setup.folder().join("copy");
    let made = run(&setup, &["backup", copy.to_str().unwrap()], &setup.state()).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(count() > before.len(), "writing went on");
    daemon.kill();
    load.await.unwrap();

    let other = setup.beside(CONFIG);
    let restored = run(&setup, &["restore", copy.to_str().unwrap()], &other.state()).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    let stored = stored(&other, &["--server", "load"]).await;
    let lost = before.iter().filter(|(sample, bits)| stored.get(sample) != Some(bits)).count();
    assert_eq!(lost, 0, "of {} acknowledged before", before.len());
    let all = acknowledged.lock().unwrap().clone();
    // What was under way when the copy was made may be there; another value than what was sent may not.
    let wrong =
        stored.iter().filter(|(sample, bits)| all.get(sample).is_some_and(|it| it != *bits));
    assert_eq!(wrong.count(), 0);

    let daemon = other.start().await;
    let kept = daemon.incident(incident["id"].as_u64().unwrap()).await;
    assert_eq!((&kept["server"], &kept["id"]), (&json!("here"), &incident["id"]), "{kept}");
    let list = run(&setup, &["server", "list"], &other.state()).await;
    assert!(list.stdout.contains("web-9"), "the token is there: {list:?}");
    drop(daemon);

    // A flipped byte is refused by the name of its file, and nothing is touched.
    let segment = copy.join("checkpoint/state.ckpt");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let refused =
        run(&setup, &["restore", "--force", copy.to_str().unwrap()], &other.state()).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("checkpoint/state.ckpt"), "{refused:?}");
    assert!(other.state().join("VERSION").is_file());
}

/// Writes until the daemon is gone, and notes what it has acknowledged.
async fn write(mut writer: Writer, acknowledged: Arc<Mutex<Acknowledged>>) {
    let mut random = Rng::with_seed(SEED);
    let mut at_ms = now_ms() - 3_600_000;
    loop {
        at_ms += 250;
        let series: Vec<Written> = (0..SERIES)
            .map(|number| {
                let number = number.to_string();
                let labels = [("collector", "load"), ("number", &number), ("server", "load")];
                Written::new("load_value", &labels).sample(at_ms, random.f64())
            })
            .collect();
        let Ok(answer) = writer.write(&series).await else { return };
        if answer.status == 204 {
            let mut acknowledged = acknowledged.lock().unwrap();
            for (number, series) in series.iter().enumerate() {
                let (at_ms, value) = series.samples[0];
                acknowledged.insert((number.to_string(), at_ms), value.to_bits());
            }
        }
    }
}

/// The samples of `load_value` in a store that nobody has open.
async fn stored(setup: &Setup, arguments: &[&str]) -> Acknowledged {
    let all =
        [&["store", "export", "--format", "csv", "--metric", "load_value"], arguments].concat();
    let exported = run(setup, &all, &setup.state()).await;
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    let lines = exported.stdout.lines().skip(1).map(|line| {
        let mut fields = line.split(',');
        let at_ms = fields.next().unwrap().parse().unwrap();
        let value: f64 = fields.next().unwrap().parse().unwrap();
        let number = line.split("number=\"\"").nth(1).unwrap().split('"').next().unwrap();
        ((number.to_owned(), at_ms), value.to_bits())
    });
    lines.collect()
}

#[tokio::test]
async fn what_is_exported_is_imported_and_exported_the_same() {
    let setup = Setup::in_company("[[server]]\nname = \"here\"\n");
    let (first, second, third) =
        (setup.folder().join("a"), setup.folder().join("b"), setup.folder().join("c"));
    let file = |name: &str| setup.folder().join(name).to_str().unwrap().to_owned();
    fs::write(file("in.csv"), samples()).unwrap();
    fine(&setup, &["store", "import", &file("in.csv"), "--server", "*", "--seal"], &first).await;
    for format in ["openmetrics", "csv"] {
        let (out, again) = (file(&format!("{format}-1")), file(&format!("{format}-2")));
        let export = ["store", "export", "--format", format, "--output"];
        fine(&setup, &[&export[..], &[&out]].concat(), &first).await;
        let into = if format == "csv" { &second } else { &third };
        fine(&setup, &["store", "import", &out, "--server", "*"], into).await;
        // What is there is not stored twice.
        let twice = fine(&setup, &["store", "import", &out, "--server", "*"], into).await;
        assert!(twice.contains("0 stored, 1200 were there before"), "{twice}");
        fine(&setup, &[&export[..], &[&again]].concat(), into).await;
        assert_eq!(fs::read_to_string(&out).unwrap(), fs::read_to_string(&again).unwrap());
    }
    assert_eq!(fs::read_to_string(file("csv-1")).unwrap(), samples());

    // A running daemon takes them by the way of all writers, and gives them back the same.
    let mut daemon = setup.start().await;
    let state = setup.state();
    let om = file("openmetrics-1");
    fine(&setup, &["store", "import", &om, "--server", "*", "--seal"], &state).await;
    let export = ["store", "export", "--server", "web-1"];
    let of_daemon = fine(&setup, &export, &state).await;
    assert_eq!(of_daemon, fine(&setup, &export, &first).await);
    let stats = fine(&setup, &["store", "stats", "--json"], &state).await;
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert!(stats["tiers"][0]["points"].as_u64().unwrap() >= 1200, "sealed: {stats}");
    let text = fine(&setup, &["store", "stats"], &state).await;
    assert!(text.contains("raw") && text.contains("bytes/point"), "{text}");
    let looked = fine(&setup, &["store", "check"], &state).await;
    assert!(looked.contains("everything is whole"), "{looked}");
    let repair = run(&setup, &["store", "check", "--repair"], &state).await;
    assert_eq!(repair.code, Some(1), "a daemon has it: {repair:?}");
    assert!(repair.stderr.contains("in use by the daemon"), "{repair:?}");
    daemon.kill();
    assert_eq!(fine(&setup, &export, &state).await, of_daemon, "after kill -9 as well");
}

#[tokio::test]
async fn what_is_damaged_is_named_and_mended_and_what_is_wrong_is_refused() {
    let setup = Setup::in_company("");
    let (state, file) = (setup.state(), setup.folder().join("in.csv"));
    fs::write(&file, samples()).unwrap();
    let import = ["store", "import", file.to_str().unwrap(), "--server", "*", "--seal"];
    fine(&setup, &import, &state).await;
    let day = fs::read_dir(state.join("segments/raw")).unwrap().next().unwrap().unwrap().path();
    let segment = fs::read_dir(&day).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[60] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let found = run(&setup, &["store", "check"], &state).await;
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.stdout.contains(segment.to_str().unwrap()), "{found:?}");
    assert!(found.stdout.contains("--repair"), "with the fix: {found:?}");
    let json = run(&setup, &["store", "check", "--json"], &state).await;
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(json["damages"][0]["bytes"].as_u64().unwrap() > 0, "{json}");
    let mended = fine(&setup, &["store", "check", "--repair"], &state).await;
    assert!(mended.contains("samples saved") && mended.contains("quarantine"), "{mended}");
    fine(&setup, &["store", "check"], &state).await;

    let bad = samples().replacen("web-1", "web-1,x", 3);
    fs::write(&file, bad).unwrap();
    let refused = run(&setup, &import, &setup.folder().join("other")).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("line 2: it has 10 fields"), "{refused:?}");
    assert!(!setup.folder().join("other").exists(), "nothing was stored");
    for arguments in [&["store", "check"][..], &["store", "stats"], &["backup", "copy"]] {
        let nothing = run(&setup, arguments, &setup.folder().join("nowhere")).await;
        assert_eq!(nothing.code, Some(1), "{nothing:?}");
        assert!(nothing.stderr.contains("--state"), "{nothing:?}");
    }
}

/// Samples of four series in CSV, as an export writes them.
fn samples() -> String {
    let mut text =
        "time_ms,value,server,collector,metric,labels,kind,unit,interval_ms\n".to_owned();
    // The same for as long as this program runs.
    static BEGIN_MS: LazyLock<i64> = LazyLock::new(|| (now_ms() / 1000 - 3_600) * 1000);
    let begin = *BEGIN_MS;
    for core in 0..4 {
        for row in 0..300 {
            let (at, value) = (begin + row * 1000, f64::from(core) + row as f64 / 7.0);
            let labels = format!("\"{{core=\"\"{core}\"\"}}\"");
            let rest = format!("web-1,cpu,cpu_usage_ratio,{labels},gauge,ratio,1000");
            text.push_str(&format!("{at},{value},{rest}\n"));
        }
    }
    text
}

async fn run(setup: &Setup, arguments: &[&str], state: &Path) -> Finished {
    let mut command = setup.command(arguments);
    command.arg("--state").arg(state);
    Finished::of(command).await
}

/// What a command said that did well.
async fn fine(setup: &Setup, arguments: &[&str], state: &Path) -> String {
    let finished = run(setup, arguments, state).await;
    assert_eq!(finished.code, Some(0), "{arguments:?}: {finished:?}");
    finished.stdout
}
