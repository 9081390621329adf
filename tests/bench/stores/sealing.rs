//! How each receiver is made to seal what it has, so that its bytes can be compared.
//!
//! - Ours seals by itself once blocks are full. What is behind the last full block stays in the log, so bytes per sample
//!   are those of its segments for each sample in them, and of everything else for each sample there is.
//! - VictoriaMetrics is told to flush what it has in memory and to merge all parts of the month into one.
//! - Prometheus makes a block of what is in its head once that spans three hours. It is told to make a snapshot instead,
//!   which is such a block, and only that is counted: no log, no head.

use std::path::Path;

use bartizan_tests::{
    http,
    measured::{Receiver, size},
};
use hyper::Method;

/// What a receiver has on the disk of samples that are sealed, in bytes for each.
pub(crate) struct Sealed {
    pub(crate) per_sample: f64,
    /// Everything on the disk, logs and catalogues included, in bytes for each sample there is.
    pub(crate) whole: f64,
    /// What it is made of, for people.
    pub(crate) parts: String,
}

/// Seals what the receiver has of `samples`, and measures it.
pub(crate) async fn seal(receiver: &Receiver, samples: f64) -> Sealed {
    match receiver.name {
        "VictoriaMetrics" => {
            for path in ["/internal/force_flush", "/internal/force_merge"] {
                http::get(receiver.address, path).await.unwrap();
                receiver.rests().await;
            }
            let whole = size(&receiver.data) as f64;
            let parts = [("samples", "data"), ("names", "indexdb")];
            let parts = parts.map(|(what, folder)| {
                let bytes = size(&receiver.data.join(folder)) as f64;
                format!("{what} {:.3}", bytes / samples)
            });
            Sealed { per_sample: whole / samples, whole: whole / samples, parts: parts.join(", ") }
        }
        "Prometheus" => {
            let path = "/api/v1/admin/tsdb/snapshot";
            let answer =
                http::request(receiver.address, Method::POST, path, &[], "").await.unwrap();
            let name = answer.json()["data"]["name"].as_str().unwrap().to_owned();
            let snapshot = receiver.data.join("snapshots").join(name);
            let (block, all) = (size(&snapshot) as f64, size(&receiver.data) as f64);
            let index = files(&snapshot, "index") as f64;
            Sealed {
                per_sample: block / samples,
                whole: (all - block) / samples,
                parts: format!(
                    "samples {:.3}, names {:.3}",
                    (block - index) / samples,
                    index / samples
                ),
            }
        }
        _ => {
            // What stays is settled at once, as the others merge theirs.
            let socket = receiver.data.join("control.sock");
            let seal = http::over_control(&socket, Method::POST, "/api/v1/store/seal", "{}").await;
            let settled = if seal.is_ok() { "settled" } else { "not settled to its end" };
            receiver.rests().await;
            let (sealed, whole) =
                (metric(receiver, "bartizan_store_sealed_samples").await, size(&receiver.data));
            let mut parts = Vec::new();
            for part in ["log", "segments", "rest"] {
                let name = format!("bartizan_store_part_bytes{{part=\"{part}\"}}");
                parts.push((part, metric(receiver, &name).await));
            }
            let segments = parts[1].1;
            let shown = parts.iter().map(|(part, bytes)| format!("{part} {:.3}", bytes / samples));
            let shown = shown.collect::<Vec<_>>().join(", ");
            Sealed {
                per_sample: segments / sealed,
                whole: whole as f64 / samples,
                parts: format!("{shown}; {:.1} % sealed, {settled}", 100.0 * sealed / samples),
            }
        }
    }
}

/// A figure that our daemon shows of itself.
async fn metric(receiver: &Receiver, name: &str) -> f64 {
    let text = http::get(receiver.address, "/metrics").await.unwrap().text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}

/// Bytes of the files of this name in the folders of a folder.
fn files(folder: &Path, name: &str) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries.filter_map(|entry| Some(entry.path().join(name).metadata().ok()?.len())).sum()
}
