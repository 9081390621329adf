//! The daemon was away: whose samples are missing since, and why.

use proptest::prelude::*;
use tempfile::TempDir;

use super::{
    super::{Appended, LogPlace},
    *,
};
use crate::series::{Gap, now_ms};

/// From, to, and why, in seconds from [`START_MS`] on.
type Shown = (i64, Option<i64>, &'static str);

const KILLED: &str = "bartizan was killed";

/// Frames of these seconds.
fn seconds(id: SeriesId, at: impl IntoIterator<Item = i64>) -> Vec<Frame> {
    at.into_iter().map(|at| frame(START_MS + at * 1000, &[(id, at as f64)])).collect()
}

fn gap(from: i64, to: Option<i64>, reason: &str) -> Gap {
    Gap {
        server: "web-1".into(),
        collector: "test".into(),
        from_ms: START_MS + from * 1000,
        to_ms: to.map(|to| START_MS + to * 1000),
        reason: reason.into(),
    }
}

impl Opened {
    /// What a sender elsewhere gives, with gaps.
    fn arrive_with(&mut self, gaps: Vec<Gap>, frames: Vec<Frame>) {
        self.store.writer.write([(&Batch { frames, gaps }, Origin::Elsewhere)]).unwrap();
    }

    /// The gaps of `load` up to a second, which is now.
    fn gaps(&self, to: i64) -> Vec<(i64, Option<i64>, String)> {
        let query = Query { to_ms: START_MS + to * 1000, ..everything("load") };
        let gaps = self.ask(&query).series.remove(0).gaps.into_iter();
        let at = |at_ms: i64| (at_ms - START_MS) / 1000;
        gaps.map(|gap| (at(gap.from_ms), gap.to_ms.map(at), gap.reason.to_string())).collect()
    }

    /// Fails unless these are the gaps, now and after a kill.
    fn has_gaps(&self, folder: &TempDir, to: i64, expected: &[Shown]) {
        let expected: Vec<_> =
            expected.iter().map(|(from, end, why)| (*from, *end, (*why).to_owned())).collect();
        assert_eq!(self.gaps(to), expected);
        let after = open(copy(folder.path()).path()).gaps(to);
        assert_eq!(after, expected, "after a kill");
    }
}

/// A store with frames of the seconds 0 to 4 from elsewhere, killed and opened again.
fn killed() -> (TempDir, Opened, SeriesId) {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.arrive(seconds(id, 0..5));
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.gaps(20), [(5, None, KILLED.into())], "as far as anybody knows");
    (folder, store, id)
}

#[test]
fn whoever_sends_what_was_missed_leaves_no_gap() {
    for first in [5, 7] {
        let (folder, mut store, id) = killed();
        store.arrive(seconds(id, first..15));
        store.has_gaps(&folder, 15, &[]);
        store.seal();
        store.has_gaps(&folder, 15, &[]);
    }
}

#[test]
fn whoever_does_not_leaves_one_until_its_next_sample() {
    let (folder, mut store, id) = killed();
    store.arrive(seconds(id, [4]));
    store.arrive(seconds(id, 12..15));
    store.has_gaps(&folder, 15, &[(5, Some(12), KILLED)]);
}

#[test]
fn an_agents_own_gaps_win_over_it() {
    let (folder, mut store, id) = killed();
    store.arrive_with(vec![gap(5, Some(11), "its agent slept")], seconds(id, 11..15));
    store.has_gaps(&folder, 15, &[(5, Some(11), "its agent slept")]);

    let (folder, mut store, id) = killed();
    store.arrive_with(vec![gap(5, None, "its agent slept")], Vec::new());
    store.has_gaps(&folder, 9, &[(5, None, "its agent slept")]);
    store.arrive(seconds(id, 11..15));
    store.has_gaps(&folder, 15, &[(5, Some(11), "its agent slept")]);

    // A batch has its gaps before its frames, whatever their times.
    let (folder, mut store, id) = killed();
    let frames = [seconds(id, 5..9), seconds(id, 15..18)].concat();
    store.arrive_with(vec![gap(9, Some(15), "its agent slept")], frames);
    store.has_gaps(&folder, 18, &[(9, Some(15), "its agent slept")]);
}

#[test]
fn a_gap_of_an_agent_that_lasts_is_not_taken_for_it() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.arrive_with(vec![gap(5, None, KILLED)], seconds(id, 0..5));
    drop(store);
    let mut store = open(folder.path());
    // Within three intervals of the last: it is the agent's all the same.
    store.arrive(seconds(id, 7..15));
    store.has_gaps(&folder, 15, &[(5, Some(7), KILLED)]);
}

#[test]
fn a_silence_of_before_is_not_explained_by_it() {
    // One that has been silent for more than ten seconds of another's, and one that has not.
    for (until, reason) in [(16, "no sample was received"), (15, KILLED)] {
        let folder = TempDir::new().unwrap();
        let mut store = open(folder.path());
        let id = store.series("load", "");
        store.arrive(seconds(id, 0..5));
        let beside = store.series("beside", "");
        let other = seconds(beside, 0..until).into_iter();
        store.write(other.map(|frame| Frame { collector: "other".into(), ..frame }).collect());
        drop(store);
        let mut store = open(folder.path());
        store.arrive(seconds(id, 30..32));
        store.has_gaps(&folder, 32, &[(5, Some(30), reason)]);
    }
}

#[test]
fn a_reason_that_was_told_before_stays() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    store.arrive_with(vec![gap(5, None, "it slept")], seconds(id, 0..5));
    drop(store);
    let mut store = open(folder.path());
    store.has_gaps(&folder, 20, &[(5, None, "it slept")]);
    store.arrive(seconds(id, 12..15));
    store.has_gaps(&folder, 15, &[(5, Some(12), "it slept")]);
}

#[test]
fn a_clock_that_is_ahead_makes_nobody_else_look_silent() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    let now = now_ms();
    let mut ahead = frame(now + 600_000, &[(id, 1.0)]);
    ahead.collector = "ahead".into();
    store.write(vec![frame(now, &[(id, 1.0)]), ahead]);
    drop(store);
    let store = open(folder.path());
    let query = Query { from_ms: now - 1000, to_ms: now + 5000, ..everything("load") };
    let gaps = store.ask(&query).series.remove(0).gaps;
    assert_eq!(gaps.iter().map(|gap| &*gap.reason).collect::<Vec<_>>(), [KILLED]);
}

#[test]
fn what_is_filled_in_by_another_series_ends_it_too() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let (a, b) = (store.series("load", ""), store.series("other", ""));
    store.arrive([seconds(a, 0..5), seconds(b, 0..5)].concat());
    drop(store);
    let mut store = open(folder.path());
    store.arrive(seconds(a, 12..15));
    store.has_gaps(&folder, 15, &[(5, Some(12), KILLED)]);
    store.arrive(seconds(b, 9..12));
    store.has_gaps(
        &folder,
        15,
        &[(5, Some(9), KILLED), (9, Some(12), "no sample was received")][..1],
    );
    store.arrive(seconds(b, 12..15));
    store.arrive(seconds(a, 15..18));
    assert_eq!(store.gaps(18).len(), 1);
}

#[test]
fn two_absences_in_a_row_are_one_until_somebody_comes() {
    let (folder, store, id) = killed();
    drop(store);
    let mut store = open(folder.path());
    assert_eq!(store.gaps(20), [(5, None, KILLED.into())]);
    let again = copy(folder.path());
    store.arrive(seconds(id, 6..15));
    store.has_gaps(&folder, 15, &[]);
    let mut store = open(again.path());
    store.arrive(seconds(id, 12..15));
    store.has_gaps(&again, 15, &[(5, Some(12), KILLED)]);
}

#[test]
fn a_collector_here_has_missed_what_was_missed_however_short() {
    for (next, expected) in [(5, &[][..]), (7, &[(5, Some(7), KILLED)])] {
        let (folder, mut store, id) = killed();
        store.write(seconds(id, next..15));
        store.has_gaps(&folder, 15, expected);
    }
    let (folder, mut store, _) = killed();
    store.try_write(&Batch { frames: Vec::new(), gaps: vec![gap(9, None, "it slept")] }).unwrap();
    store.has_gaps(&folder, 15, &[(5, Some(9), KILLED), (9, None, "it slept")]);
}

#[test]
fn whoever_stays_away_is_not_silent_because_of_it() {
    let folder = TempDir::new().unwrap();
    let mut store = open(folder.path());
    let id = store.series("load", "");
    let now = now_ms();
    store.arrive(vec![frame(now - 1000, &[(id, 1.0)])]);
    drop(store);
    let mut store = open(folder.path());
    let shown = |store: &Opened, at_ms: i64| {
        let query = Query { from_ms: now - 2000, to_ms: at_ms, ..everything("load") };
        let gaps = store.ask(&query).series.remove(0).gaps.into_iter();
        gaps.map(|gap| (gap.from_ms, gap.to_ms, gap.reason.to_string())).collect::<Vec<_>>()
    };
    let soon = shown(&store, now + 5_000);
    assert_eq!(soon, [(now, None, KILLED.to_owned())]);
    let later = shown(&store, now + 600_000);
    let (_, Some(back_ms), _) = &later[0] else { panic!("{later:?}") };
    assert!((now..now + 60_000).contains(back_ms), "{later:?}");
    assert_eq!(later[1], (*back_ms, None, "no sample was received".to_owned()));
    store.arrive(vec![frame(now + 600_000, &[(id, 2.0)])]);
    let ended = shown(&store, now + 601_000);
    assert_eq!(ended[..1], later[..1]);
    assert_eq!(ended[1].1, Some(now + 600_000));
}

/// What happens to an agent and its hub.
#[derive(Debug, Clone)]
enum Step {
    /// The agent skips so many seconds, which is no hole, and reads so many.
    Read(i64, i64),
    /// The agent's collector begins to fail, so many seconds after its last reading.
    Fail(i64),
    KillAgent,
    /// So much is sent on, and whether the answer to it is lost.
    Send(usize, bool),
    KillHub,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0i64..3, 1i64..6).prop_map(|(skip, count)| Step::Read(skip, count)),
        1 => (0i64..3).prop_map(Step::Fail),
        2 => Just(Step::KillAgent),
        4 => (1usize..9, any::<bool>()).prop_map(|(most, lost)| Step::Send(most, lost)),
        2 => Just(Step::KillHub),
    ]
}

/// The agent's log from a place on, as its hub takes it.
fn send(agent: &Opened, hub: &mut Opened, place: LogPlace, most: usize) -> LogPlace {
    let passage = tailing::reader(agent).tail(Some(place)).next(most).unwrap();
    assert!(!passage.lost);
    hub.series("load", "");
    let (mut frames, mut gaps) = (Vec::new(), Vec::new());
    for appended in passage.appended {
        match appended {
            Appended::Frame(frame) => frames.push(frame),
            Appended::Gap(gap) => gaps.push(gap),
        }
    }
    hub.arrive_with(gaps, frames);
    passage.end
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_hub_has_the_gaps_of_its_agent_whoever_falls(steps in proptest::collection::vec(step(), 1..40)) {
        let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
        let [mut agent, mut hub] = [&folders[0], &folders[1]].map(|folder| open(folder.path()));
        let mut place = LogPlace { sequence: 1, offset: 0 };
        tailing::reader(&agent).hold_log("hub", Some(1));
        let mut next = 0;
        let last = [Step::Read(0, 1), Step::Send(usize::MAX, false)];
        for step in steps.iter().chain(&last) {
            match step {
                Step::Read(skip, count) => {
                    let id = agent.series("load", "");
                    agent.write(seconds(id, next + skip..next + skip + count));
                    next += skip + count;
                }
                Step::Fail(after) => {
                    let gaps = vec![gap(next + after, None, "it fails")];
                    agent.try_write(&Batch { frames: Vec::new(), gaps }).unwrap();
                    next += after + 1;
                }
                Step::KillAgent => {
                    drop(agent);
                    agent = open(folders[0].path());
                }
                Step::Send(most, is_lost) => {
                    let end = send(&agent, &mut hub, place, *most);
                    place = if *is_lost { place } else { end };
                }
                Step::KillHub => {
                    drop(hub);
                    hub = open(folders[1].path());
                }
            }
        }
        prop_assert_eq!(hub.gaps(next), agent.gaps(next));
        prop_assert_eq!(hub.bits("load"), agent.bits("load"));
    }
}
