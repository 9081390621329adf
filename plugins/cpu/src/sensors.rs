//! The temperatures of the processors, from sysinfo.
//!
//! # Invariants
//!
//! - Only sensors of processors are read: one of a disk may wait for the disk.
//! - The list of sensors is made once, because making it reads all of them. One that appears later is found when the
//!   collector is made anew.

use bartizan_plugin::{Ctx, Series};
use sysinfo::{Component, Components};

use crate::M;

/// How the names of chips and zones begin that measure processors.
const PROCESSORS: [&str; 12] = [
    "coretemp",
    "k8temp",
    "k10temp",
    "zenpower",
    "x86_pkg_temp",
    "via_cputemp",
    "cpu",
    "soc",
    "scpi",
    "bigcore",
    "littlecore",
    "package",
];

/// The sensors of this machine's processors.
pub(crate) struct Sensors {
    /// All sensors there are; none where sysinfo does not know this machine.
    all: Option<Components>,
    /// The ones that measure processors: where they stand in the list, and their series.
    ours: Vec<(usize, Series)>,
}

impl Sensors {
    /// Finds them. Most virtual machines have none.
    pub(crate) fn find(ctx: &Ctx) -> Self {
        let all = Components::new_with_refreshed_list().ok();
        let labels = all.iter().flatten().map(Component::label).enumerate();
        let ours = labels.filter(|(_, label)| measures_processor(label));
        let register = |(at, label)| (at, ctx.series(M::Temperature, &[("sensor", label)]));
        let ours = ours.map(register).collect();
        Self { all, ours }
    }

    /// None at all: those of this machine say nothing about a captured one.
    pub(crate) fn none() -> Self {
        Self { all: None, ours: Vec::new() }
    }

    /// Reads them anew.
    pub(crate) fn refresh(&mut self) {
        for (at, _) in &self.ours {
            if let Some(sensor) = self.all.as_mut().and_then(|all| all.get_mut(*at)) {
                sensor.refresh();
            }
        }
    }

    /// What they measured last, in °C; a sensor that does not answer is left out.
    pub(crate) fn celsius(&self) -> impl Iterator<Item = (Series, f64)> {
        self.ours.iter().filter_map(|(at, series)| {
            let celsius = self.all.as_ref()?.get(*at)?.temperature()?;
            Some((*series, f64::from(celsius)))
        })
    }
}

/// Whether a sensor with this label, which begins with the name of its chip, is one of a processor.
fn measures_processor(label: &str) -> bool {
    let label = label.to_ascii_lowercase();
    PROCESSORS.iter().any(|chip| label.starts_with(chip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_told_from_the_rest() {
        for label in ["coretemp Package id 0", "k10temp Tctl", "cpu_thermal temp1", "cpu-thermal"] {
            assert!(measures_processor(label), "{label}");
        }
        for label in
            ["nvme Composite Samsung SSD 980", "iwlwifi_1 temp1", "acpitz temp1", "drivetemp", ""]
        {
            assert!(!measures_processor(label), "{label}");
        }
    }
}
