//! What a file lists, from one reading to the next: what appeared, what is still there, what is gone.

/// The named things that the last reading found, each with what its plugin keeps of it.
///
/// The kernel lists things in nearly the same order each time, so that each look-up begins where the last one ended
/// and takes one comparison. Nothing is allocated for a name that is known.
#[derive(Debug)]
pub struct Roster<T> {
    entries: Vec<Entry<T>>,
    next: usize,
}

#[derive(Debug)]
struct Entry<T> {
    name: Box<[u8]>,
    seen: bool,
    item: T,
}

impl<T> Default for Roster<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), next: 0 }
    }
}

impl<T> Roster<T> {
    /// What is kept of `name`, which the reading has found; `make` is called where it was not there before.
    pub fn meet(&mut self, name: &[u8], make: impl FnOnce() -> T) -> &mut T {
        let count = self.entries.len();
        let at = (self.next..count)
            .chain(0..self.next.min(count))
            .find(|at| self.entries.get(*at).is_some_and(|entry| *entry.name == *name))
            .unwrap_or_else(|| {
                self.entries.push(Entry { name: name.into(), seen: true, item: make() });
                count
            });
        self.next = at + 1;
        // In bounds: it was found there, or has just been pushed there.
        let entry = &mut self.entries[at];
        entry.seen = true;
        &mut entry.item
    }

    /// Ends a reading: what it has not met leaves the roster, through `leave`.
    pub fn part(&mut self, mut leave: impl FnMut(T)) {
        self.next = 0;
        for entry in self.entries.extract_if(.., |entry| !entry.seen) {
            leave(entry.item);
        }
        for entry in &mut self.entries {
            entry.seen = false;
        }
    }

    /// All that is kept, in the order of first meeting.
    pub fn items_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().map(|entry| &mut entry.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_reading_does_not_meet_leaves_and_may_come_back_as_new() {
        let mut roster = Roster::default();
        assert_eq!(read(&mut roster, &["lo", "eth0", "tun0"], 1), ["", "", ""]);
        assert_eq!(gone(&mut roster), [] as [String; 0]);
        assert_eq!(read(&mut roster, &["eth0", "lo"], 2), ["eth0 of 1", "lo of 1"], "in any order");
        assert_eq!(gone(&mut roster), ["tun0 of 1"]);
        assert_eq!(read(&mut roster, &["lo", "tun0", "eth0"], 3), ["lo of 1", "", "eth0 of 1"]);
        assert_eq!(gone(&mut roster), [] as [String; 0]);
        assert_eq!(roster.items_mut().count(), 3);
        assert_eq!(gone(&mut roster).len(), 3, "an empty reading");
    }

    /// What was known of each name; new ones are noted as of `reading`.
    fn read(roster: &mut Roster<String>, names: &[&str], reading: u32) -> Vec<String> {
        let meet = |name: &&str| {
            let mut new = false;
            let item = roster.meet(name.as_bytes(), || {
                new = true;
                format!("{name} of {reading}")
            });
            if new { String::new() } else { item.clone() }
        };
        names.iter().map(meet).collect()
    }

    fn gone(roster: &mut Roster<String>) -> Vec<String> {
        let mut gone = Vec::new();
        roster.part(|item| gone.push(item));
        gone
    }
}
