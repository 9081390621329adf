//! A line to one target: reads the store's log, sends it in parcels, and moves the cursor.
//!
//! ```text
//!  next ─► parcel ─► attempt ─► verdict ─┬─ done ──────► cursor
//!             ▲                          ├─ too much ──► two halves
//!             ├────── pause ◄── again ───┤
//!             └── the other version ◄────┼─ not proved
//!                                        └─ refused ───► halves, until it is known what is refused
//! ```

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::Notify,
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    cursor::{Cursor, Cursors},
    encoder::Encoder,
    figures::Figures,
    log::{Log, Tail},
    parcel::Parcel,
    post::{Outcome, Post},
    tidings::Tidings,
    verdict::says_known,
};
use crate::{
    config::ForwardConfig,
    series::Catalog,
    store::{LogPlace, StatePort, StoreError},
    supervision::Node,
};

/// How often the cursor is written to the disk at most.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// How long is waited for what comes together with the first sample after a silence: collectors read at one instant.
const GATHER: Duration = Duration::from_millis(50);
/// A look at the store though nobody said that there is something.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Requests that are spent on finding out which samples of a parcel are refused; then the rest counts as refused.
const SEARCH_MAX: u32 = 100;
/// The same for a parcel that may have been sent before.
const DOUBTFUL_MAX: u32 = 10_000;

/// What a line is made of.
pub(super) struct LineArguments<L: Log> {
    /// Where it goes.
    pub(super) config: Arc<ForwardConfig>,
    /// What this node is called.
    pub(super) this_node: Arc<str>,
    /// Where it comes from.
    pub(super) log: L,
    /// The series.
    pub(super) catalog: Arc<Catalog>,
    /// How far it has come.
    pub(super) cursors: Cursors,
    /// Where that is kept.
    pub(super) states: StatePort,
    /// What it shows.
    pub(super) figures: Figures,
    /// Where it is shown among the actors.
    pub(super) node: Node,
    /// Ends its pauses.
    pub(super) again: Arc<Notify>,
}

/// A line at work.
pub(super) struct Line<L: Log> {
    config: Arc<ForwardConfig>,
    log: L,
    cursors: Cursors,
    states: StatePort,
    figures: Figures,
    post: Post,
    /// Away while it reads or makes a body.
    desk: Option<Box<Desk<L::Tail>>>,
    cursor: Option<Cursor>,
    /// What is stored before this place may have been sent by a former life.
    doubtful_until: Option<LogPlace>,
    kept: Option<Cursor>,
    kept_at: Option<Instant>,
    unkept: bool,
}

/// What blocks: reading and compressing.
struct Desk<T> {
    tail: T,
    tidings: Tidings,
    encoder: Encoder,
}

impl<L: Log> Line<L> {
    /// A line that goes on where it ended.
    pub(super) fn new(arguments: LineArguments<L>) -> Self {
        let LineArguments {
            config,
            this_node,
            log,
            catalog,
            cursors,
            states,
            figures,
            node,
            again,
        } = arguments;
        let kept = cursors.of(&config.name);
        let from_now = || Some(Cursor { place: log.end()?, open: Vec::new() });
        let cursor = kept.clone().or_else(from_now);
        let place = cursor.as_ref().map(|cursor| cursor.place);
        debug!(name = config.name, ?place, is_known = kept.is_some(), "line begins");
        if let Some(place) = place {
            log.hold(&config.name, place.sequence);
        }
        let desk = Desk {
            tail: log.tail(place),
            tidings: Tidings::resumed(cursor.clone().map(|cursor| cursor.open).unwrap_or_default()),
            encoder: Encoder::new(catalog, config.clone()),
        };
        Self {
            post: Post::new(config.clone(), &this_node, figures.clone(), node, again),
            desk: Some(Box::new(desk)),
            doubtful_until: kept.as_ref().and_then(|_| log.end()),
            kept,
            kept_at: None,
            unkept: false,
            config,
            log,
            cursors,
            states,
            figures,
            cursor,
        }
    }

    /// Sends until it is told to stop, or cannot go on.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), String> {
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            Err(why) = self.send_all() => Err(why),
        };
        // What was in flight may be sent again.
        self.keep(true).await;
        ended
    }

    async fn send_all(&mut self) -> Result<std::convert::Infallible, String> {
        // A target that has never been reached still has a place from which on it gets everything.
        self.keep(true).await;
        loop {
            let most = self.post.batch();
            let read = self.at_desk(move |desk| desk.read(most)).await?;
            match read {
                Ok(read) => {
                    if read.lost {
                        self.tell_lost();
                    }
                    let idle = read.parcel.0.is_empty();
                    let samples = read.parcel.samples();
                    debug!(name = self.config.name, samples, end = ?read.end, "store read");
                    self.show_lag(&read);
                    let doubtful = self.doubtful_until.is_some();
                    self.deliver(read.parcel, doubtful).await?;
                    self.doubtful_until.take_if(|until| read.end >= *until);
                    self.move_to(read.end).await;
                    if idle {
                        self.wait().await;
                    }
                }
                Err(error) => {
                    self.figures.set_error(&error.to_string());
                    debug!(name = self.config.name, %error, "store cannot be read at present");
                    sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    /// Sends a parcel until it is done with, in as many pieces as that takes.
    ///
    /// Some receivers store nothing of a request with one sample that they refuse, so what is refused is found by
    /// halving. Where a parcel may have been sent before, a receiver that takes no sample twice refuses all that it has:
    /// such a parcel is halved down to frames, which were taken whole or not at all.
    async fn deliver(&mut self, parcel: Parcel, doubtful: bool) -> Result<(), String> {
        let mut waiting = VecDeque::from([(parcel, doubtful)]);
        let mut searches = 0;
        while let Some((parcel, mut doubtful)) = waiting.pop_front() {
            if parcel.0.is_empty() {
                continue;
            }
            let parcel = Arc::new(parcel);
            let outcome = self.send(&parcel).await?;
            let parcel = Arc::unwrap_or_clone(parcel);
            let samples = parcel.samples() as u64;
            let (said, goes_on) = match outcome {
                Outcome::Done => continue,
                Outcome::TooMuch { said, doubtful: unanswered } => {
                    doubtful |= unanswered;
                    (said, true)
                }
                Outcome::Refused { said, doubtful: unanswered } => {
                    doubtful |= unanswered;
                    searches += 1;
                    if doubtful && parcel.0.len() == 1 && says_known(&said) {
                        self.post.known(samples);
                        continue;
                    }
                    (said, searches <= if doubtful { DOUBTFUL_MAX } else { SEARCH_MAX })
                }
                Outcome::Anew { doubtful: unproven } => {
                    waiting.push_front((parcel, doubtful || unproven));
                    continue;
                }
            };
            match parcel.halves() {
                Ok((first, second)) if goes_on => {
                    waiting.push_front((second, doubtful));
                    waiting.push_front((first, doubtful));
                }
                _ => self.post.refused(samples, &said),
            }
        }
        Ok(())
    }

    /// Sends a parcel until there is an answer that says what becomes of it.
    async fn send(&mut self, parcel: &Arc<Parcel>) -> Result<Outcome, String> {
        let (protocol, parcel) = (self.post.protocol(), parcel.clone());
        let encode = move |desk: &mut Desk<_>| desk.encoder.encode(&parcel, protocol);
        let Some(body) = self.at_desk(encode).await? else { return Ok(Outcome::Done) };
        self.send_metadata().await;
        Ok(self.post.send(&body).await)
    }

    /// Tells kinds and units that are due.
    async fn send_metadata(&mut self) {
        let now = Instant::now();
        if self.post.has_moved()
            && let Some(desk) = &mut self.desk
        {
            desk.encoder.metadata_untold();
        }
        let due = self.post.wants_metadata(now).then(|| self.desk.as_mut()?.encoder.metadata(now));
        if let Some(body) = due.flatten()
            && self.post.send_metadata(body).await
            && let Some(desk) = &mut self.desk
        {
            desk.encoder.metadata_told(now);
        }
    }

    /// Everything before `end` is done with.
    async fn move_to(&mut self, end: LogPlace) {
        let open = self.desk.as_ref().map(|desk| desk.tidings.open()).unwrap_or_default();
        self.cursor = Some(Cursor { place: end, open });
        self.keep(self.kept.is_none()).await;
    }

    /// Waits until there is something to read.
    async fn wait(&mut self) {
        if timeout(LOOK_EVERY, self.log.appended()).await.is_ok() {
            sleep(GATHER).await;
        } else {
            self.keep(false).await;
        }
    }

    /// Shows what of the store the target has not taken.
    fn show_lag(&self, read: &Read) {
        let taken = self.cursor.as_ref().filter(|_| !read.parcel.0.is_empty());
        let place = taken.map_or(read.end, |cursor| cursor.place);
        self.figures.set_waiting(read.parcel.first_ms(), self.log.bytes_after(place));
    }

    /// Writes the cursor to the disk if it has moved, and if it is time.
    async fn keep(&mut self, at_once: bool) {
        let Some(cursor) =
            self.cursor.as_ref().filter(|cursor| Some(*cursor) != self.kept.as_ref())
        else {
            return;
        };
        let now = Instant::now();
        if !at_once && self.kept_at.is_some_and(|kept| now - kept < KEEP_EVERY) {
            return;
        }
        self.kept_at = Some(now);
        let (name, cursor) = (&self.config.name, cursor.clone());
        match self.cursors.keep(&self.states, name, cursor.clone()).await {
            Ok(()) => {
                self.log.hold(name, cursor.place.sequence);
                self.kept = Some(cursor);
                self.unkept = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.unkept, true) {
                    warn!(name, %error, "cursor cannot be kept; a crash will send again");
                }
            }
        }
    }

    fn tell_lost(&self) {
        self.figures.change(|view| view.lost += 1);
        let why = "the store deleted samples to make room before this target had taken them";
        self.figures.set_error(why);
        warn!(name = self.config.name, "{why}; give store.max_bytes more room");
    }

    /// Does what blocks on a thread of its own.
    async fn at_desk<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Desk<L::Tail>) -> R + Send + 'static,
    ) -> Result<R, String> {
        let mut desk = self.desk.take().ok_or("its desk is lost")?;
        let done = spawn_blocking(move || {
            let result = work(&mut desk);
            (desk, result)
        });
        let (desk, result) = done.await.map_err(|error| format!("it fell: {error}"))?;
        self.desk = Some(desk);
        Ok(result)
    }
}

/// What was read, and where it ends.
struct Read {
    parcel: Parcel,
    end: LogPlace,
    lost: bool,
}

impl<T: Tail> Desk<T> {
    fn read(&mut self, most: usize) -> Result<Read, StoreError> {
        let passage = self.tail.next(most)?;
        let (end, lost) = (passage.end, passage.lost);
        Ok(Read { parcel: self.tidings.parcel(passage), end, lost })
    }
}
