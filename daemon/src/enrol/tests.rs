//! Tokens without a disk and without a clock.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::{Just, prop_oneof, proptest};

use super::{
    messages::{EnrolError, Grant, TokenFault},
    register::{Plan, Register, TOKENS_MAX},
    secret::{self, Secret},
};

/// A register, and the disk it is kept on.
#[derive(Default)]
struct World {
    register: Register,
    disk: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl World {
    fn add(&mut self, name: &str, again: bool, now_ms: i64) -> Result<String, EnrolError> {
        let (token, id) = secret::random().unwrap();
        let hash = Secret::parse(&token).unwrap().hash();
        let tags = BTreeMap::new();
        let plan = self.register.add((id, hash), name, tags, again, now_ms)?;
        self.make(plan);
        Ok(token)
    }

    fn make(&mut self, mut plan: Plan) {
        plan.changes().apply_to(&mut self.disk);
        self.register.make(plan);
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), EnrolError> {
        let plan = self.register.rename(from, to, 0)?;
        self.make(plan);
        Ok(())
    }

    /// Hears of all tokens of `other`; how many change by it.
    fn hear(&mut self, other: &Self) -> usize {
        let plan = self.register.told(other.register.shared());
        let changed = self.register.shifts(&plan).len();
        self.make(plan);
        changed
    }

    fn keep_progress(&mut self) {
        let (_, changes) = self.register.take_unkept();
        changes.apply_to(&mut self.disk);
    }

    /// A crash, and another start.
    fn restart(&mut self) {
        self.register = Register::restored(self.disk.clone());
    }
}

#[test]
fn a_token_is_known_after_a_restart_and_is_nowhere_in_what_is_kept() {
    let mut world = World::default();
    let token = world.add("web-1", false, 1_000).unwrap();
    let grant = world.register.judge(&token, 2_000).unwrap();
    assert!(grant.may_write("web-1") && !grant.may_write("web-2"));
    world.register.stored(&grant.id, 3_000);
    world.keep_progress();
    let before = world.register.of("web-1").unwrap().clone();
    world.restart();
    assert_eq!(*world.register.of("web-1").unwrap(), before);
    assert_eq!(before.first_sample_ms, Some(3_000));
    assert_eq!(world.register.judge(&token, 4_000), Ok(grant));

    let kept: Vec<u8> = world.disk.values().flatten().copied().collect();
    let secret = token.rsplit('_').next().unwrap();
    assert!(!String::from_utf8_lossy(&kept).contains(secret));
    assert!(world.disk.keys().all(|key| key.starts_with(b"t")));
}

#[test]
fn who_is_refused_hears_why() {
    let mut world = World::default();
    let token = world.add("a", false, 0).unwrap();
    let mut judge = |token: &str| world.register.judge(token, 1).unwrap_err();
    assert_eq!(judge(""), TokenFault::Malformed);
    assert_eq!(judge(&"0".repeat(64)), TokenFault::Malformed);
    assert_eq!(judge(&secret::random().unwrap().0), TokenFault::Unknown);
    let (other, _) = secret::random().unwrap();
    assert_eq!(judge(&format!("{}{}", &token[..12], &other[12..])), TokenFault::Wrong);
    assert_eq!(world.register.wrong, 4);

    let shown = world.register.of("a").unwrap();
    assert_eq!((shown.connected_ms, shown.known_ms), (Some(1), None));
    assert!(shown.error.as_ref().unwrap().0.contains("copy the whole"), "{shown:?}");
    world.add("a", true, 2).unwrap();
    assert_eq!(world.register.judge(&token, 3), Err(TokenFault::Revoked));
    let shown = world.register.of("a").unwrap();
    assert_eq!((shown.made_ms, shown.error.as_ref()), (2, None), "the one that counts");
}

#[test]
fn a_machine_goes_on_by_the_former_name_until_another_gets_it() {
    let mut world = World::default();
    let token = world.add("a", false, 0).unwrap();
    world.rename("a", "b").unwrap();
    world.restart();
    let grant = world.register.judge(&token, 1).unwrap();
    assert_eq!((grant.stored_as("a"), grant.stored_as("b")), (Some("b"), Some("b")));
    assert_eq!((grant.stored_as("c"), grant.only_server()), (None, Some("b")));
    assert!(matches!(world.register.rename("a", "c", 1), Err(EnrolError::Unknown(_))));

    assert!(matches!(world.add("a", false, 2), Err(EnrolError::Former { .. })));
    world.add("a", true, 2).unwrap();
    assert_eq!(world.register.judge(&token, 3).unwrap().stored_as("a"), None);
    assert!(matches!(world.rename("a", "b"), Err(EnrolError::Exists { .. })));
    world.rename("b", "c").unwrap();
    world.rename("c", "b").unwrap();
    assert_eq!(world.register.of("b").unwrap().former, ["c"], "no name of itself");
}

#[test]
fn a_pattern_stands_for_every_name_that_fits() {
    let grant =
        Grant { id: "x".into(), servers: Arc::new(["web-*".into(), "db?".into()]), renamed: false };
    for (name, may) in
        [("web-1", true), ("web-", true), ("web", false), ("db?", true), ("db1", false)]
    {
        assert_eq!(grant.may_write(name), may, "{name}");
    }
    let mut world = World::default();
    world.add("*", false, 0).unwrap();
    assert!(matches!(world.rename("*", "a"), Err(EnrolError::Name(_))));
}

#[test]
fn revoked_tokens_are_forgotten_in_time_and_those_that_count_are_limited() {
    let mut world = World::default();
    for round in 0..1_010 {
        world.add("a", true, round).unwrap();
    }
    let kept = world.disk.keys().filter(|key| *key != b"t").count();
    assert_eq!(kept, 1_002, "one that counts, and one more until the next is made");
    let (_, row) = world.disk.last_key_value().unwrap();
    let row = serde_json::from_slice::<serde_json::Value>(row).unwrap();
    for server in 1..TOKENS_MAX {
        let mut row = row.clone();
        (row["name"], row["revoked_ms"]) = (format!("s{server}").into(), serde_json::Value::Null);
        world.disk.insert(format!("ts{server}").into_bytes(), serde_json::to_vec(&row).unwrap());
    }
    world.restart();
    assert!(matches!(world.add("one more", false, 0), Err(EnrolError::Full(_))));
}

#[test]
fn use_is_kept_now_and_then_and_progress_at_once() {
    let mut world = World::default();
    let token = world.add("a", false, 0).unwrap();
    let mut is_kept_after = |now_ms| {
        world.register.judge(&token, now_ms).unwrap();
        let (_, changes) = world.register.take_unkept();
        !changes.is_empty()
    };
    assert!(is_kept_after(1), "the first time");
    assert!(!is_kept_after(2) && !is_kept_after(600_000));
    assert!(is_kept_after(600_001));
    let (id, errors) = (world.register.of("a").unwrap().id.clone(), "x".repeat(10_000));
    for _ in 0..2 {
        world.register.refused(&id, &errors, 5);
    }
    let (taken, _) = world.register.take_unkept();
    assert_eq!(taken.len(), 1);
    world.register.refused(&id, &errors, 6);
    assert!(world.register.take_unkept().0.is_empty(), "the same words again");
    assert_eq!(world.register.of("a").unwrap().error.as_ref().unwrap().0.len(), 500);
}

#[test]
fn what_one_hub_makes_or_revokes_the_other_knows_and_what_makes_no_sense_nobody() {
    let (mut one, mut other) = (World::default(), World::default());
    let token = one.add("web-1", false, 10).unwrap();
    one.register.judge(&token, 11).unwrap();
    assert_eq!((other.hear(&one), other.hear(&one)), (1, 0));
    assert_eq!(other.register.of("web-1").unwrap().known_ms, None, "how far it came there");
    other.restart();
    assert!(other.register.judge(&token, 12).unwrap().may_write("web-1"));

    let plan = other.register.remove("web-1", 5).unwrap();
    other.make(plan);
    assert_eq!((one.hear(&other), other.hear(&one)), (1, 0));
    assert_eq!(one.register.judge(&token, 13), Err(TokenFault::Revoked));
    assert_eq!(one.register.of("web-1").unwrap().known_ms, Some(11));

    let told = serde_json::to_value(&one.register.shared()[0]).unwrap();
    for (key, wrong) in [("id", "x"), ("hash", "00"), ("name", ""), ("hash", &*"0".repeat(64))] {
        let mut told = told.clone();
        (told[key], told["revoked_ms"]) = (wrong.into(), serde_json::Value::Null);
        let plan = one.register.told(vec![serde_json::from_value(told).unwrap()]);
        assert!(plan.is_empty(), "{key} {wrong}");
    }
}

#[test]
fn a_token_that_was_revoked_and_forgotten_does_not_come_back_by_a_hub_that_was_away() {
    let (mut one, mut away) = (World::default(), World::default());
    let token = one.add("a", false, 0).unwrap();
    away.hear(&one);
    for now_ms in 1..1_010 {
        one.add("a", true, now_ms).unwrap();
    }
    one.restart();
    assert_eq!(one.register.judge(&token, 2_000), Err(TokenFault::Unknown));
    assert_eq!(one.hear(&away), 0);
    away.add("b", false, 3_000).unwrap();
    assert_eq!(one.hear(&away), 1, "what is newer is taken");
}

proptest! {
    /// Whatever is done at three hubs, and whoever hears of it meanwhile: all end with the same.
    #[test]
    fn hubs_that_hear_of_each_other_agree(
        deeds in proptest::collection::vec((0..3_usize, 0..3_usize, 0..5_u8, 0..2_usize), 0..40)
    ) {
        let mut worlds = [World::default(), World::default(), World::default()];
        for (at, (hub, other, deed, name)) in deeds.into_iter().enumerate() {
            let (now_ms, names) = (at as i64, [["a", "b"], ["b", "a"]][name]);
            match deed {
                0 => drop(worlds[hub].add(names[0], true, now_ms)),
                1 => drop(worlds[hub].rename(names[0], names[1])),
                2 => if let Ok(plan) = worlds[hub].register.remove(names[0], now_ms) {
                    worlds[hub].make(plan);
                },
                _ if hub != other => {
                    let [one, other] = worlds.get_disjoint_mut([hub, other]).unwrap();
                    one.hear(other);
                }
                _ => worlds[hub].restart(),
            }
        }
        for (hub, other) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
            let [one, other] = worlds.get_disjoint_mut([hub, other]).unwrap();
            one.hear(other);
        }
        let [one, two, three] = worlds.map(|world| world.register.shared());
        proptest::prop_assert_eq!(&one, &two);
        proptest::prop_assert_eq!(&one, &three);
    }

    /// Whatever is done, a crash changes nothing that counts.
    #[test]
    fn the_disk_knows_what_memory_knows(
        deeds in proptest::collection::vec(
            (prop_oneof![Just("a"), Just("b"), Just("c")], prop_oneof![Just("a"), Just("b")], 0..4_u8),
            0..24,
        )
    ) {
        let mut world = World::default();
        for (at, (name, other, deed)) in deeds.into_iter().enumerate() {
            let now_ms = at as i64;
            // What is refused changes nothing, which the comparison below sees.
            match deed {
                0 | 1 => drop(world.add(name, deed == 1, now_ms)),
                2 => drop(world.rename(name, other)),
                _ => if let Ok(plan) = world.register.remove(name, now_ms) {
                    world.make(plan);
                },
            }
            let all = world.register.all();
            world.restart();
            proptest::prop_assert_eq!(world.register.all(), all);
        }
    }
}
