//! What a sender has said of its metrics, as far as their names do not say it themselves.

use std::collections::HashMap;

use super::naming::{Told, Type, describe, family};

/// So many families are remembered; of more, the names must say it.
const FAMILIES_MAX: usize = 10_000;

/// Longest unit that is believed, in bytes.
const UNIT_MAX: usize = 64;

/// What one token has said of its metrics.
#[derive(Debug, Default)]
pub(super) struct Metadata(HashMap<Box<str>, (Type, Box<str>)>);

impl Metadata {
    /// Takes in what is said of the family `name`; whether that changes what is known of any series.
    pub(super) fn tell(&mut self, name: &str, told: Told<'_>) -> bool {
        if told.unit.len() > UNIT_MAX || told.unit.contains(char::is_control) {
            return false;
        }
        if says_nothing_new(name, told) {
            return self.0.remove(name).is_some();
        }
        let before = self.0.get(name);
        if before.is_some_and(|(kind, unit)| (*kind, &**unit) == (told.kind, told.unit)) {
            return false;
        }
        let has_room = before.is_some() || self.0.len() < FAMILIES_MAX;
        if has_room {
            self.0.insert(name.into(), (told.kind, told.unit.into()));
        }
        has_room
    }

    /// What was said of `metric`, or of the family that it is a part of.
    pub(super) fn of(&self, metric: &str) -> Told<'_> {
        let told = self.0.get(metric).or_else(|| self.0.get(family(metric)));
        told.map_or(Told::default(), |(kind, unit)| Told { kind: *kind, unit })
    }
}

/// Whether the names of the family's metrics say all of it.
fn says_nothing_new(name: &str, told: Told<'_>) -> bool {
    let same = |metric: &str| describe(metric, told) == describe(metric, Told::default());
    let parts = |parts: &[&str]| parts.iter().all(|part| same(&format!("{name}{part}")));
    match told.kind {
        Type::Unknown => told.unit.is_empty(),
        Type::Counter if name.ends_with("_total") => same(name),
        // The metric itself may be called as the family is, or by its total.
        Type::Counter => false,
        Type::Gauge => same(name),
        Type::Histogram => parts(&["_bucket", "_count", "_sum"]),
        Type::GaugeHistogram => false,
        Type::Summary => parts(&["", "_count", "_sum"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_names_do_not_say_is_remembered_and_told_of_once() {
        let mut metadata = Metadata::default();
        let told = |kind| Told { kind, unit: "" };
        assert!(!metadata.tell("node_cpu_seconds_total", told(Type::Counter)));
        assert!(!metadata.tell("request_seconds", told(Type::Histogram)));
        assert!(!metadata.tell("up", told(Type::Gauge)));

        assert!(metadata.tell("segments", told(Type::Counter)));
        assert!(!metadata.tell("segments", told(Type::Counter)), "known");
        assert_eq!(metadata.of("segments").kind, Type::Counter);
        assert_eq!(metadata.of("segments_total").kind, Type::Counter);
        assert!(metadata.tell("segments", told(Type::Unknown)), "taken back");
        assert_eq!(metadata.of("segments"), Told::default());
    }

    #[test]
    fn what_is_remembered_has_a_limit() {
        let mut metadata = Metadata::default();
        for number in 0..FAMILIES_MAX + 10 {
            metadata.tell(&format!("m{number}"), Told { kind: Type::Counter, unit: "" });
        }
        assert_eq!(metadata.0.len(), FAMILIES_MAX);
        let unit = "x".repeat(UNIT_MAX + 1);
        assert!(!metadata.tell("long", Told { kind: Type::Gauge, unit: &unit }));
    }
}
