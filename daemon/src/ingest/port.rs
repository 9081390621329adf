//! The way in: a request's body, and what became of it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::{
    sync::OwnedMutexGuard,
    task::spawn_blocking,
    time::{Instant, timeout},
};

use super::{
    account::{Account, Tables},
    accounts::Accounts,
    fingerprint::Keys,
    identity::REMOTE_WRITE,
    intake::{Ground, Intake, Judged, Ready},
    messages::{ADMINISTRATOR, Form, Outcome, Writer},
    otlp,
    protobuf::Malformed,
    push,
    refusal::{Reason, Refusal},
    space::{Room, Space, busy},
    summary::{Summary, Totals},
    unpack, write_v1, write_v2,
};
use crate::{
    config::{Config, IngestConfig},
    enrol::TokenPort,
    fleet::FleetPort,
    series::{Catalog, now_ms},
    store::{
        StorePort,
        messages::{Batch, Kept},
    },
};

/// A body longer than this is decoded by a thread that no actor waits for.
const AT_ONCE_MAX: usize = 16 << 10;

/// How long a request waits for those of the same token.
const TURN: Duration = Duration::from_secs(30);

/// When a sender may come again that the store had to turn away.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Where writers are let in. Cheap to clone; threads: any.
#[derive(Debug, Clone)]
pub struct Ingest(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ground: Ground,
    config: Arc<ArcSwap<Config>>,
    store: StorePort,
    fleet: FleetPort,
    tokens: TokenPort,
    accounts: Mutex<Accounts>,
    bodies: Space,
    decoded: Space,
    totals: Mutex<Totals>,
}

impl Ingest {
    /// Ingest into `store`, whose series are those of `catalog`; `fleet` and `tokens` hear of what is stored.
    pub fn new(
        config: Arc<ArcSwap<Config>>,
        catalog: Arc<Catalog>,
        store: StorePort,
        fleet: FleetPort,
        tokens: TokenPort,
    ) -> Self {
        Self(Arc::new(Inner {
            ground: Ground { catalog, keys: Keys::random() },
            config,
            store,
            fleet,
            tokens,
            accounts: Mutex::new(Accounts::new(Instant::now())),
            bodies: Space::of_all(),
            decoded: Space::of_all(),
            totals: Mutex::default(),
        }))
    }

    /// Room for a body of `writer` that is about to come.
    pub fn room(&self, writer: &Writer) -> Room {
        self.0.bodies.room_within(&self.account(writer).bodies)
    }

    /// Whether `writer` may send anything at present; asked before its body is read.
    pub fn admit(&self, writer: &Writer) -> Result<(), Refusal> {
        let rate = self.0.config.load().ingest.max_samples_per_second;
        let checked = self.account(writer).facts().allowance.check(rate, Instant::now());
        checked.map_err(|pause| {
            let id = writer.id();
            let detail = format!(
                "token `{id}` writes more than {rate} samples a second \
                 (ingest.max_samples_per_second); send it again in {} s",
                pause.as_secs()
            );
            Refusal::retry(Reason::Rate, pause, detail)
        })
    }

    /// Takes in a body; ends when what is fine in it survives a power cut.
    pub async fn take(&self, writer: &Writer, form: Form, body: Bytes) -> Result<Outcome, Refusal> {
        let account = self.account(writer);
        let turn = timeout(TURN, account.turn.clone().lock_owned()).await.map_err(|_| busy())?;
        let mut room = self.0.decoded.room();
        room.grow(size_of(form, &body)).await?;
        let ready = self.decode(writer, form, body, &account, (turn, room)).await?;
        let kept = self.store(writer, &account, ready.batch, ready.changes).await?;
        let Judged { stale, signals, mut refused, mut first } = ready.judged;
        if kept.late > 0 {
            refused.count(Reason::Late, kept.late);
            first = first.or_else(|| {
                let detail = "samples are older than what their series have already";
                Some(Refusal::new(Reason::Late, detail))
            });
        }
        let outcome = Outcome { kept, stale, signals, refused, first };
        self.note(writer, &account, &outcome);
        Ok(outcome)
    }

    /// Counts a request that was refused as a whole.
    pub fn refused(&self, writer: &Writer, refusal: &Refusal) {
        let mut outcome = Outcome { first: Some(refusal.clone()), ..Outcome::default() };
        outcome.refused.count(refusal.reason, 1);
        // Whoever finds no room here is there all the same.
        if let (Reason::Busy, Some(server)) = (refusal.reason, writer.only_server()) {
            self.0.fleet.turned_away(server);
        }
        self.note(writer, &self.account(writer), &outcome);
    }

    /// What all tokens have brought.
    pub fn totals(&self) -> Totals {
        *lock(&self.0.totals)
    }

    /// What each token has brought, by its name. May wait for what is being decoded.
    pub async fn summaries(&self) -> Vec<Summary> {
        let ingest = self.clone();
        let summaries = spawn_blocking(move || {
            ingest.sweep();
            let accounts = lock(&ingest.0.accounts).all();
            let mut summaries: Vec<_> =
                accounts.iter().map(|(id, account)| summary(id, account)).collect();
            let named = ingest.0.tokens.all().into_iter().map(|token| (token.id, token.name));
            let mut named: HashMap<_, _> = named.collect();
            for summary in &mut summaries {
                summary.server = named.remove(&*summary.token);
            }
            summaries.sort_by(|one, other| one.token.cmp(&other.token));
            summaries
        });
        summaries.await.unwrap_or_default()
    }

    async fn decode(
        &self,
        writer: &Writer,
        form: Form,
        body: Bytes,
        account: &Arc<Account>,
        held: (OwnedMutexGuard<()>, Room),
    ) -> Result<Ready, Refusal> {
        let config = self.0.config.load_full();
        if body.len() <= AT_ONCE_MAX
            && let Some(mut tables) = account.free_tables()
        {
            return self.read(writer, form, &body, &config.ingest, &mut tables, account);
        }
        let (ingest, writer, account) = (self.clone(), writer.clone(), account.clone());
        let ready = spawn_blocking(move || {
            // Until it is over, though nobody may wait for it any more.
            let _held = held;
            let mut tables = account.tables();
            ingest.read(&writer, form, &body, &config.ingest, &mut tables, &account)
        });
        ready.await.unwrap_or_else(|_| {
            let detail = "bartizan failed to read the body; its log says more";
            Err(Refusal::new(Reason::Malformed, detail))
        })
    }

    fn read(
        &self,
        writer: &Writer,
        form: Form,
        body: &[u8],
        limits: &IngestConfig,
        tables: &mut Tables,
        account: &Account,
    ) -> Result<Ready, Refusal> {
        let way = match form {
            Form::WriteV1 | Form::WriteV2 => REMOTE_WRITE,
            Form::Push => "push",
            Form::Otlp { .. } | Form::OtlpJson { .. } => "otlp",
        };
        let mut intake = Intake::new(tables, &self.0.ground, limits, writer, way, now_ms());
        let own = writer.only_server();
        let read = match form {
            Form::WriteV1 => {
                write_v1::decode(&unpack::snappy(body)?, &mut intake).map_err(no_write)
            }
            Form::WriteV2 => {
                write_v2::decode(&unpack::snappy(body)?, &mut intake).map_err(no_write)
            }
            Form::Push => push::decode(body, own, &mut intake),
            Form::Otlp { gzip } => otlp::decode(body, gzip, own, &mut intake),
            Form::OtlpJson { gzip } => otlp::decode_json(body, gzip, own, &mut intake),
        };
        // What cannot be read to its end costs what was read of it.
        account.facts().allowance.take(intake.cost());
        read?;
        Ok(intake.finish(&account.gaps()))
    }

    async fn store(
        &self,
        writer: &Writer,
        account: &Account,
        batch: Batch,
        changes: super::signals::Changes,
    ) -> Result<Kept, Refusal> {
        if batch.frames.is_empty() && batch.gaps.is_empty() {
            return Ok(Kept::default());
        }
        let mut arrived = batch.clone();
        let stored = self.0.store.arrive_told(batch).await.map_err(|refused| {
            // Who writes is there, whatever becomes of it here.
            arrived.frames.iter().for_each(|frame| self.0.fleet.turned_away(&frame.server));
            Refusal::retry(Reason::Store, STORE_PAUSE, format!("{refused}; send it again"))
        });
        let (kept, left_out) = stored?;
        let mut servers: Vec<Arc<str>> = Vec::new();
        {
            let mut gaps = account.gaps();
            gaps.change(changes);
            for frame in &arrived.frames {
                gaps.end(&frame.server, &frame.collector, frame.at_ms);
                if !left_out.is_empty() && servers.last().is_none_or(|last| *last != frame.server) {
                    servers.push(frame.server.clone());
                }
            }
        }
        if let Some(grant) = writer.grant()
            && kept.stored + kept.known > 0
        {
            self.0.tokens.stored(grant);
        }
        // What was here before, perhaps with another value, or is too late is neither shown nor judged: that its
        // sender is there is all that is new.
        left_out.take_from(&mut arrived.frames);
        if writer.grant().is_some_and(|grant| self.0.tokens.is_revoked(grant)) {
            // Removed meanwhile: whoever is gone does not come back by what was under way.
            return Ok(kept);
        }
        let shown: HashSet<&Arc<str>> = arrived.frames.iter().map(|frame| &frame.server).collect();
        shown.iter().for_each(|server| self.introduce(server));
        let silent = servers.iter().filter(|server| !shown.contains(server));
        silent.for_each(|server| self.0.fleet.turned_away(server));
        if !(arrived.frames.is_empty() && arrived.gaps.is_empty()) {
            self.0.fleet.arrived(arrived);
        }
        Ok(kept)
    }

    /// Gives a server that has not written here before the tags that its token has, which another hub may have made.
    fn introduce(&self, server: &str) {
        if self.0.fleet.knows(server) {
            return;
        }
        let known = self.0.tokens.enrolment(server).filter(|known| known.revoked_ms.is_none());
        if let Some(known) = known.filter(|known| !known.tags.is_empty()) {
            self.0.fleet.describe(server, known.tags);
        }
    }

    fn note(&self, writer: &Writer, account: &Account, outcome: &Outcome) {
        let Outcome { kept, stale, refused, .. } = outcome;
        let complaint = outcome.complaint();
        {
            let mut totals = lock(&self.0.totals);
            totals.requests += 1;
            totals.stored += kept.stored;
            totals.known += kept.known;
            totals.stale += stale;
            totals.refused.add(refused);
        }
        let now_ms = now_ms();
        let mut facts = account.facts();
        facts.totals.requests += 1;
        facts.totals.stored += kept.stored;
        facts.totals.known += kept.known;
        facts.totals.stale += stale;
        facts.totals.refused.add(refused);
        facts.last_ms = now_ms;
        let Some((first, complaint)) = outcome.first.as_ref().zip(complaint) else { return };
        let reason = first.reason;
        let is_new = facts.logs(reason, now_ms);
        facts.last_error = Some((now_ms, reason, complaint.clone()));
        drop(facts);
        if is_new {
            // The next of the same kind are only counted.
            tracing::warn!(token = %writer.id(), reason = reason.code(), complaint, "ingest refused something");
        }
        if let Some(grant) = writer.grant() {
            self.0.tokens.refused(grant, &complaint);
        }
    }

    fn account(&self, writer: &Writer) -> Arc<Account> {
        self.sweep();
        let rate = self.0.config.load().ingest.max_samples_per_second;
        lock(&self.0.accounts).of(writer.id(), rate, Instant::now())
    }

    /// Drops accounts that nobody needs any more, if it is time.
    fn sweep(&self) {
        let now = Instant::now();
        if !lock(&self.0.accounts).is_due(now) {
            return;
        }
        let tokens = self.0.tokens.all().into_iter();
        let tokens = tokens.filter(|token| token.revoked_ms.is_none()).map(|token| token.id);
        let mut counting: HashSet<Arc<str>> = tokens.collect();
        counting.insert(ADMINISTRATOR.into());
        lock(&self.0.accounts).sweep(|id| counting.contains(id), now);
    }
}

/// What a body may need in memory while it is decoded, in bytes.
fn size_of(form: Form, body: &Bytes) -> usize {
    match form {
        Form::WriteV1 | Form::WriteV2 => {
            unpack::claimed(body).unwrap_or(0).min(unpack::DECODED_MAX)
        }
        // A tree of values is larger than its text.
        Form::Push => 8 * body.len().min(push::BODY_MAX),
        Form::Otlp { gzip } => otlp::size_of(body.len(), gzip),
        Form::OtlpJson { gzip } => 2 * otlp::size_of(body.len(), gzip),
    }
}

fn no_write(error: Malformed) -> Refusal {
    Refusal::new(Reason::Malformed, format!("the body is no such remote write request: {error}"))
}

fn summary(id: &str, account: &Account) -> Summary {
    let (totals, last_ms, last_error) = {
        let facts = account.facts();
        (facts.totals, facts.last_ms, facts.last_error.clone())
    };
    let tables = account.tables();
    Summary {
        token: id.to_owned(),
        server: None,
        totals,
        servers: tables.servers(),
        series: tables.written.len(),
        last_ms,
        last_error: last_error.map(|(at_ms, reason, words)| (at_ms, reason.code(), words)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
