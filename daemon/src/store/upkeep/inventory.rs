//! What a store consists of: samples by tier, bytes by part.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use super::super::{
    folder::bytes_below,
    shared::{Shared, View},
    tier::Tier,
};

/// The part that is given back when the disk is full.
const RESERVE: &str = "reserve";

/// What a store consists of, at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// Samples as they were taken in, sealed or not.
    pub samples: u64,
    /// Those of them that stand in the log alone.
    pub samples_unsealed: u64,
    /// Series that are known.
    pub series: u64,
    /// Size of the whole folder.
    pub bytes_total: u64,
    /// The same for each sample, but for the reserve, which holds none; nothing where there is no sample.
    pub bytes_per_sample: Option<f64>,
    /// Sizes of all parts, which are together the whole.
    pub parts: Vec<PartSize>,
    /// What the segments hold, finest first.
    pub tiers: Vec<TierFacts>,
}

/// The size of a part of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSize {
    /// What it is: `log`, `raw`, `minute`, `hour`, `state`, `checkpoint`, `reserve` or `other`.
    pub part: String,
    /// Its size.
    pub bytes: u64,
}

/// What the segments of a tier hold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TierFacts {
    /// `raw`, `minute` or `hour`.
    pub tier: String,
    /// How many segments there are.
    pub segments: u64,
    /// Samples in them, or points that stand for many.
    pub points: u64,
    /// Their size.
    pub bytes: u64,
    /// The same for each point; none where there is no point.
    pub bytes_per_point: Option<f64>,
    /// Time of the oldest, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    /// Time of the newest.
    pub newest_ms: Option<i64>,
}

impl Inventory {
    /// Looks at a store and its folder. Blocks on the disk.
    pub(super) fn of(shared: &Shared) -> Self {
        let (tiers, samples_unsealed) = {
            let view = shared.view();
            let tiers: Vec<_> = Tier::ALL.map(|tier| TierFacts::of(tier, &view)).into();
            (tiers, view.heads.samples())
        };
        let sealed = tiers.first().map_or(0, |raw| raw.points);
        let samples = sealed + samples_unsealed;
        let parts = parts_of(&shared.path);
        let bytes_total = parts.iter().map(|part| part.bytes).sum();
        let reserve = parts.iter().filter(|part| part.part == RESERVE);
        let in_use = bytes_total - reserve.map(|part| part.bytes).sum::<u64>();
        Self {
            samples,
            samples_unsealed,
            series: shared.catalog.len() as u64,
            bytes_total,
            bytes_per_sample: per(in_use, samples),
            parts,
            tiers,
        }
    }
}

impl TierFacts {
    fn of(tier: Tier, view: &View) -> Self {
        let mut facts = Self { tier: tier.name().to_owned(), ..Self::default() };
        for segment in view.segments.values().filter(|facts| facts.tier == tier) {
            facts.segments += 1;
            facts.points += segment.samples;
            facts.bytes += segment.bytes;
            let oldest_ms = facts.oldest_ms.map_or(segment.first_ms, |at| at.min(segment.first_ms));
            facts.oldest_ms = Some(oldest_ms);
            facts.newest_ms = facts.newest_ms.max(Some(segment.last_ms));
        }
        facts.bytes_per_point = per(facts.bytes, facts.points);
        facts
    }
}

fn per(bytes: u64, samples: u64) -> Option<f64> {
    (samples > 0).then(|| bytes as f64 / samples as f64)
}

/// The parts of the folder `path`. What vanishes meanwhile counts nothing.
fn parts_of(path: &Path) -> Vec<PartSize> {
    let mut parts: Vec<(&str, u64)> = vec![("log", 0)];
    parts.extend(Tier::ALL.map(|tier| (tier.name(), 0)));
    parts.extend(["state", "checkpoint", RESERVE, "other"].map(|part| (part, 0)));
    let mut add = |part: &str, bytes: u64| {
        let place = parts.iter().position(|(name, _)| *name == part).unwrap_or(parts.len() - 1);
        parts[place].1 += bytes;
    };
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name();
        match name.to_str().unwrap_or_default() {
            "segments" => {
                for tier in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
                    let name = tier.file_name();
                    add(name.to_str().unwrap_or_default(), bytes_below(&tier.path()));
                }
            }
            "sled" => add("state", bytes_below(&entry.path())),
            name => add(name, bytes_below(&entry.path())),
        }
    }
    let part = |(part, bytes): (&str, u64)| PartSize { part: part.to_owned(), bytes };
    parts.into_iter().map(part).collect()
}
