//! Questions about the past: what the store has, and what others have of the time before.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::{
    sync::{Mutex as AsyncMutex, Semaphore},
    time::{Instant, timeout},
    try_join,
};
use tracing::{info, warn};

use super::{
    caller::{Caller, Fault},
    join::{Replies, join},
    plan::Plan,
    promql::Requests,
};
use crate::{
    config::{Config, HistoryConfig},
    series::now_ms,
    store::{
        StoreError, StoreReader,
        messages::{Answer, Query},
    },
};

/// Questions to others at one time; more wait for their turn, within their deadline.
const AT_ONCE: usize = 4;

/// Whoever has just failed is left alone for so long, so that not every question waits for its deadline. A fault of the
/// question's own says nothing about the next one.
const REST: Duration = Duration::from_secs(5);

/// Answers questions about the past. Cheap to clone.
#[derive(Clone)]
pub struct Past {
    store: StoreReader,
    others: Others,
}

/// Who knows what is older.
#[derive(Clone)]
pub(super) struct Others(Arc<Inner>);

struct Inner {
    config: Arc<ArcSwap<Config>>,
    caller: AsyncMutex<Caller>,
    turns: Semaphore,
    /// Who is not asked until when, and why.
    resting: Mutex<Option<Resting>>,
    asked: AtomicU64,
    failed: AtomicU64,
    waited_us: AtomicU64,
}

/// Who has failed and is left alone.
struct Resting {
    who: HistoryConfig,
    until: Instant,
    why: String,
}

/// An answer, and where it comes from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Told {
    /// The answer.
    pub answer: Answer,
    /// Which stretch of it comes from where, oldest first; none where all of it is the store's.
    pub sources: Vec<Stretch>,
    /// Why it is partial, as far as others are the reason.
    pub reason: Option<String>,
}

/// A stretch of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// Its first instant.
    #[serde(rename = "from")]
    pub from_ms: i64,
    /// The first instant after it.
    #[serde(rename = "to")]
    pub to_ms: i64,
    /// Whose it is.
    pub source: Source,
}

/// Who has a stretch of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The query API of `[history]`.
    History,
    /// This store.
    Store,
}

/// What was asked of others since the start.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PastStats {
    /// Questions.
    pub asked: u64,
    /// Those of them that had no whole answer, or none in time.
    pub failed: u64,
    /// How long was waited for answers, in seconds.
    pub seconds: f64,
}

impl Past {
    /// The past as `store` knows it, and whom `config` names.
    pub fn new(store: StoreReader, config: Arc<ArcSwap<Config>>) -> Self {
        Self { store, others: Others::new(config) }
    }

    /// Answers a question.
    pub async fn query(&self, query: Query) -> Result<Told, StoreError> {
        let answer = self.store.query(query.clone()).await?;
        if !self.others.are_known() {
            return Ok(Told { answer, ..Told::default() });
        }
        let catalog = self.store.catalog();
        let of_series = answer.series.iter().filter_map(|one| catalog.get(one.id));
        let interval_ms = of_series.map(|series| series.interval_ms).min();
        let times = (self.store.stats().oldest_ms, now_ms());
        match Plan::of(&query, &answer, times, interval_ms) {
            Some(plan) => Ok(self.others.complete(&query, answer, &plan).await),
            None => Ok(Told { answer, ..Told::default() }),
        }
    }

    /// What was asked of others; `None` where nobody is named.
    pub fn stats(&self) -> Option<PastStats> {
        self.others.are_known().then(|| self.others.stats())
    }
}

impl Others {
    pub(super) fn new(config: Arc<ArcSwap<Config>>) -> Self {
        Self(Arc::new(Inner {
            config,
            caller: AsyncMutex::default(),
            turns: Semaphore::new(AT_ONCE),
            resting: Mutex::default(),
            asked: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
        }))
    }

    fn are_known(&self) -> bool {
        self.0.config.load().history.query_url.is_some()
    }

    pub(super) fn stats(&self) -> PastStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PastStats {
            asked: count(&self.0.asked),
            failed: count(&self.0.failed),
            seconds: count(&self.0.waited_us) as f64 / 1e6,
        }
    }

    /// Adds to the store's answer what others have of the plan's stretch, or the reason why they have not.
    pub(super) async fn complete(&self, query: &Query, answer: Answer, plan: &Plan) -> Told {
        let config = self.0.config.load_full();
        let outcome = match Requests::of(plan, query) {
            Some(requests) => self.ask(&config.history, &requests).await,
            // No series there has such labels.
            None => return Told { answer, ..Told::default() },
        };
        let stretch = |from_ms, to_ms, source| Stretch { from_ms, to_ms, source };
        let begins_ms = answer.series.iter().map(|one| one.begins_ms.unwrap_or(plan.from_ms));
        let begins_ms = begins_ms.min().unwrap_or(plan.to_ms);
        let rest =
            (begins_ms < query.to_ms).then(|| stretch(begins_ms, query.to_ms, Source::Store));
        match outcome {
            Ok(replies) => {
                let reason = replies.incomplete().map(|why| reason(&config.history, why));
                let added = config.forwards.iter().flat_map(|target| target.labels.keys().cloned());
                let added: BTreeSet<String> = added.collect();
                let mut answer = join(answer, replies, plan, query, &added);
                answer.partial |= reason.is_some();
                let older = stretch(plan.from_ms, plan.to_ms, Source::History);
                Told { answer, sources: std::iter::once(older).chain(rest).collect(), reason }
            }
            Err(why) => {
                let reason = Some(reason(&config.history, &why));
                let answer = Answer { partial: true, ..answer };
                Told { answer, sources: rest.into_iter().collect(), reason }
            }
        }
    }

    /// Asks what has to be asked, within the deadline.
    async fn ask(&self, config: &HistoryConfig, requests: &Requests) -> Result<Replies, String> {
        let Inner { asked, failed, waited_us, .. } = &*self.0;
        asked.fetch_add(1, Ordering::Relaxed);
        let began = Instant::now();
        let outcome = match self.resting(config, began) {
            Some(why) => Err(why),
            None => {
                let late = || format!("it did not answer within {:?}", config.timeout);
                let outcome = timeout(config.timeout, self.replies(config, requests)).await;
                let outcome = outcome.unwrap_or_else(|_| Err(Fault::Other(late())));
                self.tell(config, outcome.as_ref().err());
                outcome.map_err(|fault| fault.why().to_owned())
            }
        };
        let waited = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        waited_us.fetch_add(waited, Ordering::Relaxed);
        let is_whole = outcome.as_ref().is_ok_and(|replies| replies.incomplete().is_none());
        failed.fetch_add(u64::from(!is_whole), Ordering::Relaxed);
        outcome
    }

    async fn replies(&self, config: &HistoryConfig, requests: &Requests) -> Result<Replies, Fault> {
        let gone = |_| Fault::Other("the daemon is stopping".to_owned());
        let _turn = self.0.turns.acquire().await.map_err(gone)?;
        let asker = self.0.caller.lock().await.asker(config).await.map_err(Fault::Other)?;
        let base = config.query_url.as_deref().unwrap_or_default();
        Ok(match requests {
            Requests::One(request) => Replies::One(asker.ask(base, request).await?),
            Requests::Three([mean, min, max]) => {
                let asked =
                    try_join!(asker.ask(base, mean), asker.ask(base, min), asker.ask(base, max));
                Replies::Three(asked?.into())
            }
        })
    }

    /// Why nobody is asked at present.
    fn resting(&self, config: &HistoryConfig, now: Instant) -> Option<String> {
        let resting = self.0.resting.lock().unwrap_or_else(PoisonError::into_inner);
        let resting = resting.as_ref().filter(|one| now < one.until && one.who == *config);
        resting.map(|Resting { until, why, .. }| {
            let seconds = (*until - now).as_secs() + 1;
            format!("{why}; it was not asked again, and will be in {seconds} s")
        })
    }

    /// Logs that they begin to fail, or do so no more, and lets them rest in the former case.
    fn tell(&self, config: &HistoryConfig, fault: Option<&Fault>) {
        let mut resting = self.0.resting.lock().unwrap_or_else(PoisonError::into_inner);
        match (fault, &*resting) {
            (Some(Fault::Other(why)), before) => {
                if before.as_ref().is_none_or(|before| before.why != *why) {
                    warn!(why, "older history is not answered, what is here is served");
                }
                let (who, why) = (config.clone(), why.clone());
                *resting = Some(Resting { who, until: Instant::now() + REST, why });
            }
            (Some(Fault::Question(why)), _) => {
                warn!(why, "a question about older history is not answered, others may be");
            }
            (None, Some(_)) => {
                info!("older history is answered again");
                *resting = None;
            }
            (None, None) => {}
        }
    }
}

/// Why something is missing, for whoever asked.
fn reason(config: &HistoryConfig, why: &str) -> String {
    let url = config.query_url.as_deref().unwrap_or_default();
    format!("what is older than what is here is asked of {url}: {why}")
}
