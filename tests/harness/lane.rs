//! One server of a storm: a dial after the other breaches its limit and is fine again, and a model of its own remembers
//! what must have been told.
//!
//! A value is held until the daemon has stored it [`HOLD`] times in one life; only then the next is written. So every
//! value has been seen and judged, whatever was killed meanwhile, and each must have its notice. A dial is used for one
//! breach and its end: what comes and goes more often is flapping, and told in another way.

use std::{collections::BTreeMap, path::Path};

use fastrand::Rng;

use crate::{Daemon, dial::Dials, letter::Letter, smtp::Taken};

/// Samples of one life that make sure that a value was judged.
const HOLD: usize = 5;

/// What is told: that a dial of a server fired, or that it was resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// Name of the server.
    pub server: String,
    /// Name of the dial.
    pub dial: String,
    /// Whether it fired.
    pub fired: bool,
}

/// One server with its dial of the moment.
pub struct Lane {
    dials: Dials,
    dial: String,
    used: u64,
    fired: bool,
    written_ms: i64,
    /// Everything that must be told, with its value.
    pub expected: BTreeMap<Told, f64>,
}

impl Lane {
    /// A lane whose server has this name; its first dial breaches at once.
    pub fn new(folder: &Path, server: &str) -> Self {
        let mut lane = Self {
            dials: Dials::new(folder, server),
            dial: String::new(),
            used: 0,
            fired: false,
            written_ms: 0,
            expected: BTreeMap::new(),
        };
        lane.turn(&mut Rng::with_seed(0));
        lane
    }

    /// The server's lines in the configuration.
    pub fn server(&self) -> String {
        self.dials.server("100ms")
    }

    /// Whether the daemon that has been up since `up_ms` has stored the value often enough.
    pub async fn held(&self, daemon: &Daemon, up_ms: i64) -> bool {
        let since = self.written_ms.max(up_ms);
        let samples = self.dials.samples(daemon, &self.dial, since).await;
        let written = self.dials.value(&self.dial);
        samples.iter().filter(|(_, value)| Some(*value) == written).count() >= HOLD
    }

    /// Ends the breach, or begins another one on a new dial.
    pub fn turn(&mut self, random: &mut Rng) {
        let value = if self.fired {
            f64::from(random.u8(0..=5))
        } else {
            self.dials.take_away(&self.dial);
            self.used += 1;
            self.dial = format!("d{}", self.used);
            f64::from(random.u8(11..=99))
        };
        self.fired = !self.fired;
        self.written_ms = self.dials.turn(&self.dial, value);
        let (server, dial) = (self.dials.server.clone(), self.dial.clone());
        self.expected.insert(Told { server, dial, fired: self.fired }, value);
    }

    /// Whether its breach lasts.
    pub fn fires(&self) -> bool {
        self.fired
    }
}

/// What a mail tells, and the value in it.
///
/// # Panics
///
/// When it tells anything else than one dial.
pub fn told(letter: &Letter) -> (Told, f64) {
    let fired = letter.subject.starts_with("CRITICAL ");
    let known = fired || letter.subject.starts_with("RESOLVED ");
    assert!(known && !letter.subject.contains("more)"), "{}", letter.subject);
    let after = |begin: &str| {
        let found =
            letter.text.split_once(begin).map(|(_, rest)| rest.trim_start_matches(['"', ' ']));
        found.unwrap_or_else(|| panic!("no {begin} in: {}", letter.text))
    };
    // In the rule's summary or among the labels, `dial=d7` or `dial="d7"`; and `Value     42 turns`.
    let dial = after("dial=").split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
    let value = after("\n  Value ").split_whitespace().next().unwrap().parse().unwrap();
    let server = letter.subject.split([' ', ':']).nth(1).unwrap().to_owned();
    (Told { server, dial, fired }, value)
}

/// Mails by their Message-ID, each with every time that it was taken.
pub fn by_message(taken: &[Taken]) -> BTreeMap<String, Vec<Taken>> {
    let mut messages: BTreeMap<String, Vec<Taken>> = BTreeMap::new();
    for mail in taken {
        messages.entry(mail.letter.message_id.clone()).or_default().push(mail.clone());
    }
    messages
}
