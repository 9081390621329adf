//! `bartizan store stats`: what a store consists of.

use std::process::ExitCode;

use clap::Args;

use super::{
    super::{
        Failure, PlaceArguments,
        client::{self, ClientError},
        moment::utc,
        output::print,
        table,
    },
    is_there,
};
use crate::{
    config::StoreConfig,
    store::upkeep::{ClosedStore, Inventory, TierFacts},
};

/// How it is shown.
#[derive(Debug, Args)]
pub(crate) struct StatsArguments {
    /// JSON instead of tables.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: PlaceArguments,
}

/// Shows what the store consists of.
pub(super) fn stats(arguments: StatsArguments) -> Result<ExitCode, Failure> {
    let state = arguments.places.sources().state()?;
    let inventory = match client::get(&state, "/api/v1/store") {
        Ok(body) => serde_json::from_slice(&body)?,
        Err(ClientError::Absent(_)) => {
            is_there(&state)?;
            ClosedStore::open(&state, &StoreConfig::default())?.inventory()
        }
        Err(error) => return Err(error.into()),
    };
    if arguments.json {
        print(&format!("{}\n", serde_json::to_string(&inventory)?))?;
    } else {
        print(&shown(&inventory))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(inventory: &Inventory) -> String {
    let Inventory { samples, samples_unsealed, series, bytes_total, parts, tiers, .. } = inventory;
    let per_sample = inventory
        .bytes_per_sample
        .map_or(String::new(), |bytes| format!(", {bytes:.3} bytes/sample without the reserve"));
    let bytes = |bytes: u64| table::value(bytes as f64, "bytes");
    let mut text = format!(
        "{samples} samples of {series} series in {}{per_sample}; {samples_unsealed} of them are not sealed\n\n",
        bytes(*bytes_total)
    );
    let mut rows = vec![row(["part", "size", "bytes"])];
    rows.extend(
        parts.iter().map(|part| row([&part.part, &bytes(part.bytes), &part.bytes.to_string()])),
    );
    text.push_str(&table::columns(&rows, true));
    text.push('\n');
    let mut rows =
        vec![row(["tier", "segments", "points", "size", "bytes/point", "oldest", "newest"])];
    rows.extend(tiers.iter().map(|tier| {
        let TierFacts { segments, points, bytes_per_point, oldest_ms, newest_ms, .. } = tier;
        let time = |at_ms: &Option<i64>| at_ms.map_or("-".to_owned(), utc);
        let per_point = bytes_per_point.map_or("-".to_owned(), |bytes| format!("{bytes:.3}"));
        row([
            &tier.tier,
            &segments.to_string(),
            &points.to_string(),
            &bytes(tier.bytes),
            &per_point,
            &time(oldest_ms),
            &time(newest_ms),
        ])
    }));
    text.push_str(&table::columns(&rows, true));
    text
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::upkeep::PartSize;

    #[test]
    fn a_store_is_shown_by_part_and_by_tier() {
        let raw = TierFacts {
            tier: "raw".to_owned(),
            segments: 2,
            points: 1000,
            bytes: 600,
            bytes_per_point: Some(0.6),
            oldest_ms: Some(0),
            newest_ms: Some(5_250),
        };
        let inventory = Inventory {
            samples: 1500,
            samples_unsealed: 500,
            series: 3,
            bytes_total: 3072,
            bytes_per_sample: Some(2.048),
            parts: vec![PartSize { part: "log".to_owned(), bytes: 2472 }],
            tiers: vec![raw, TierFacts { tier: "hour".to_owned(), ..TierFacts::default() }],
        };
        assert_eq!(
            shown(&inventory),
            "1500 samples of 3 series in 3 KiB, 2.048 bytes/sample without the reserve; 500 of them are not sealed\n\n\
             part       size  bytes\n\
             log   2.414 KiB   2472\n\n\
             tier  segments  points   size  bytes/point                oldest                    newest\n\
             raw          2    1000  600 B        0.600  1970-01-01T00:00:00Z  1970-01-01T00:00:05.250Z\n\
             hour         0       0    0 B            -                     -                         -\n"
        );
    }
}
