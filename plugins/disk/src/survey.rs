//! Asks file systems how full they are, and never waits for one that does not answer.
//!
//! ```text
//!  collector ──paths──► helper thread ──► statvfs, one after the other ──answers──► collector, by a deadline
//!                            └─ stuck: the thread is left to that path, the others get a new one next time
//! ```
//!
//! statvfs on a network file system whose server is gone blocks, and cannot be cancelled. sysinfo calls it on every
//! mount, on the caller's thread, and leaves network file systems out to stay safe; this is why it is not asked here.
//!
//! # Invariants
//!
//! - A survey returns by its deadline.
//! - A path is asked by one thread at a time: while it is stuck it is not asked again, so that at most one thread hangs
//!   in each. When that call returns at last, its answer is too old to use, and the path is asked anew next time.
//! - While nothing is stuck there is one helper thread, and a survey allocates nothing.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Instant,
};

use crate::space::Space;

/// How a file system is asked: [`Space::measure`], or a stand-in in tests. It may block for ever.
pub(crate) type Measure = Arc<dyn Fn(&Path) -> io::Result<Space> + Send + Sync>;

/// What came of asking one path.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It said how full it is.
    Space(Space),
    /// It said that it will not.
    Refused(io::Error),
    /// It has not answered in time, now or earlier.
    Stuck,
    /// It was not asked, because one before it did not answer in time.
    Unasked,
}

/// The helper thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error("failed to start the thread that asks file systems")]
pub(crate) struct SurveyError(#[from] io::Error);

/// One collector's helper.
pub(crate) struct Survey {
    measure: Measure,
    helper: Option<Helper>,
    stuck: Vec<(PathBuf, Helper)>,
}

/// A thread that asks, and what it shares with the collector.
struct Helper {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    work: Mutex<Work>,
    changed: Condvar,
}

/// One survey. Those before `next` are done; the thread asks `next`.
struct Work {
    paths: Arc<[PathBuf]>,
    answers: Vec<Answer>,
    next: usize,
    ended: bool,
}

impl Survey {
    /// A survey whose first asking starts the helper.
    pub(crate) fn new(measure: Measure) -> Self {
        Self { measure, helper: None, stuck: Vec::new() }
    }

    /// Asks all `paths` in their order, and gives what came of each to `visit` by its position, at the latest at
    /// `deadline`.
    ///
    /// # Errors
    ///
    /// There can be no more threads. Nothing was asked.
    pub(crate) fn ask(
        &mut self,
        paths: &Arc<[PathBuf]>,
        deadline: Instant,
        mut visit: impl FnMut(usize, &Answer),
    ) -> Result<(), SurveyError> {
        self.stuck.retain(|(_, helper)| !helper.thread.is_finished());
        let helper = match self.helper.take() {
            // A panic of the stand-in in a test is the only way for a helper to end.
            Some(helper) if !helper.thread.is_finished() => helper,
            _ => Helper::start(Arc::clone(&self.measure))?,
        };
        let mut work = helper.shared.lock();
        work.begin(paths, |path| self.stuck.iter().any(|(stuck, _)| stuck == path));
        helper.shared.changed.notify_one();
        let left = deadline.saturating_duration_since(Instant::now());
        let changed = &helper.shared.changed;
        let waited = changed.wait_timeout_while(work, left, |work| work.next < paths.len());
        let (mut work, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let at = work.next;
        let late = paths.get(at).cloned();
        if let Some(answer) = work.answers.get_mut(at) {
            *answer = Answer::Stuck;
        }
        for (at, answer) in work.answers.iter().enumerate() {
            visit(at, answer);
        }
        work.ended = late.is_some();
        drop(work);
        match late {
            Some(path) => self.stuck.push((path, helper)),
            None => self.helper = Some(helper),
        }
        Ok(())
    }
}

impl Helper {
    fn start(measure: Measure) -> io::Result<Self> {
        let work = Work { paths: Arc::new([]), answers: Vec::new(), next: 0, ended: false };
        let shared = Arc::new(Shared { work: Mutex::new(work), changed: Condvar::new() });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("disk-survey".into())
            .spawn(move || theirs.run(&*measure))?;
        Ok(Self { shared, thread })
    }
}

/// An idle helper ends at once, and is waited for. A stuck one was told to end when it got stuck, and ends when it can.
impl Drop for Survey {
    fn drop(&mut self) {
        if let Some(helper) = self.helper.take() {
            helper.shared.lock().ended = true;
            helper.shared.changed.notify_one();
            // It failed only if it panicked, and then it has ended too.
            let _ = helper.thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The helper's life: asks what is to be asked, outside the lock, until it is told to end.
    fn run(&self, measure: &dyn Fn(&Path) -> io::Result<Space>) {
        let mut work = self.lock();
        while !work.ended {
            let (paths, at) = (Arc::clone(&work.paths), work.next);
            let Some(path) = paths.get(at) else {
                work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            if matches!(work.answers.get(at), Some(Answer::Unasked)) {
                drop(work);
                let answer = measure(path).map_or_else(Answer::Refused, Answer::Space);
                work = self.lock();
                if work.ended {
                    // The answer comes too late, and nobody waits for it.
                    return;
                }
                if let Some(slot) = work.answers.get_mut(at) {
                    *slot = answer;
                }
            }
            work.next = at + 1;
            if work.next == paths.len() {
                self.changed.notify_one();
            }
        }
    }
}

impl Work {
    /// Sets out to ask `paths`, without those that are stuck.
    fn begin(&mut self, paths: &Arc<[PathBuf]>, is_stuck: impl Fn(&Path) -> bool) {
        self.paths = Arc::clone(paths);
        self.answers.clear();
        let answer = |path: &PathBuf| if is_stuck(path) { Answer::Stuck } else { Answer::Unasked };
        self.answers.extend(paths.iter().map(answer));
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn every_path_is_answered_in_its_order() {
        let mut survey = Survey::new(Dead::default().measure());
        for _ in 0..3 {
            assert_eq!(
                ask(&mut survey, &["/", "/none", "/home"], LONG),
                ["space", "refused", "space"]
            );
        }
        assert_eq!(ask(&mut survey, &[], LONG), [""; 0]);
    }

    #[test]
    fn a_path_that_hangs_costs_one_survey_and_one_thread() {
        let dead = Dead::default();
        let mut survey = Survey::new(dead.measure());
        assert_eq!(
            ask(&mut survey, &["/", "/dead", "/home"], SHORT),
            ["space", "stuck", "unasked"]
        );
        for _ in 0..3 {
            assert_eq!(
                ask(&mut survey, &["/", "/dead", "/home"], LONG),
                ["space", "stuck", "space"]
            );
        }
        assert_eq!(survey.stuck.len(), 1);
        assert_eq!(*dead.calls.lock().unwrap(), 1, "asked once while it hangs");
    }

    #[test]
    fn several_that_hang_are_found_one_after_the_other() {
        let dead = Dead::default();
        let mut survey = Survey::new(dead.measure());
        let paths = ["/", "/dead", "/dead2"];
        assert_eq!(ask(&mut survey, &paths, SHORT), ["space", "stuck", "unasked"]);
        assert_eq!(ask(&mut survey, &paths, SHORT), ["space", "stuck", "stuck"]);
        assert_eq!(ask(&mut survey, &paths, LONG), ["space", "stuck", "stuck"]);
    }

    #[test]
    fn a_path_that_comes_back_is_asked_anew() {
        let dead = Dead::default();
        let mut survey = Survey::new(dead.measure());
        assert_eq!(ask(&mut survey, &["/dead"], SHORT), ["stuck"]);
        dead.revive();
        let deadline = Instant::now() + LONG;
        while ask(&mut survey, &["/dead"], LONG) != ["space"] {
            assert!(Instant::now() < deadline, "it came back, and is still not asked");
            thread::yield_now();
        }
        assert_eq!(survey.stuck.len(), 0);
    }

    #[test]
    fn the_end_of_the_collector_does_not_wait_for_what_hangs() {
        let dead = Dead::default();
        let mut survey = Survey::new(dead.measure());
        assert_eq!(ask(&mut survey, &["/dead"], SHORT), ["stuck"]);
        assert_eq!(ask(&mut survey, &["/"], LONG), ["space"]);
        drop(survey);
        assert_eq!(*dead.calls.lock().unwrap(), 1);
    }

    /// File systems of which those whose path begins with `/dead` hang until they are revived.
    #[derive(Default, Clone)]
    struct Dead {
        calls: Arc<Mutex<u32>>,
        alive: Arc<(Mutex<bool>, Condvar)>,
    }

    impl Dead {
        fn measure(&self) -> Measure {
            let this = self.clone();
            Arc::new(move |path: &Path| {
                let path = path.to_str().unwrap();
                if path.starts_with("/dead") {
                    *this.calls.lock().unwrap() += 1;
                    let (alive, revived) = &*this.alive;
                    drop(revived.wait_while(alive.lock().unwrap(), |alive| !*alive).unwrap());
                }
                if path == "/none" {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Ok(Space { total: 1, used: 1, available: 0, inodes: 0, inodes_free: 0 })
            })
        }

        fn revive(&self) {
            *self.alive.0.lock().unwrap() = true;
            self.alive.1.notify_all();
        }
    }

    fn ask(survey: &mut Survey, paths: &[&str], patience: Duration) -> Vec<&'static str> {
        let paths: Arc<[PathBuf]> = paths.iter().map(PathBuf::from).collect();
        let mut answers = vec![""; paths.len()];
        let visit = |at: usize, answer: &Answer| {
            answers[at] = match answer {
                Answer::Space(_) => "space",
                Answer::Refused(_) => "refused",
                Answer::Stuck => "stuck",
                Answer::Unasked => "unasked",
            };
        };
        survey.ask(&paths, Instant::now() + patience, visit).unwrap();
        answers
    }
}
