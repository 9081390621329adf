//! Who lives where: instances, the hosts they live in, and their pauses.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use ractor::{Actor, ActorId, ActorRef};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use super::{
    catalog::{FoundPlugin, PluginCatalog},
    frames::INSTANCES_MAX,
    host::{HostActor, HostEnded, HostMessage},
    line::{DESTROY_DEADLINE, Fault, Line},
    link::Link,
    messages::{InstanceState, PluginMessage, PluginPort},
    placement::{Blame, Cause, HostKey, blame},
    process::Spawner,
    record::{Place, Record, judge},
    series_table::SeriesTable,
};
use crate::{
    manifest::validate,
    series::Catalog,
    supervision::{ActorState, Fall, History, Node},
};

/// A host that nobody is to blame for starts again at once, unless it ended less than this ago.
const CALM: Duration = Duration::from_secs(30);

/// Processes of one host that may be stuck before no other is started.
const STUCK_MAX: usize = 2;

/// What the roster works with.
pub(super) struct Context {
    pub(super) myself: ActorRef<PluginMessage>,
    pub(super) port: PluginPort,
    pub(super) catalog: Arc<Catalog>,
    pub(super) node: Node,
    pub(super) spawner: Spawner,
}

/// All instances and hosts.
pub(super) struct Roster {
    context: Context,
    /// The folders have been looked at.
    scanned: bool,
    records: BTreeMap<u64, Record>,
    hosts: HashMap<HostKey, HostSlot>,
    hosts_started: u64,
}

struct HostSlot {
    node: Node,
    running: Option<RunningHost>,
    history: History,
    last_end: Option<Instant>,
    /// Not started before this.
    due: Instant,
    starts: u64,
    stuck: usize,
}

struct RunningHost {
    number: u64,
    actor: ActorRef<HostMessage>,
    line: Arc<Line>,
    since: Instant,
}

impl Roster {
    pub(super) fn new(context: Context) -> Self {
        let (records, hosts) = (BTreeMap::new(), HashMap::new());
        Self { context, scanned: false, records, hosts, hosts_started: 0 }
    }

    pub(super) fn beat(&self) {
        self.context.node.beat();
    }

    /// New plugins: what was parked is tried again.
    pub(super) fn set_catalog(&mut self, catalog: PluginCatalog) {
        let detail = format!("{} plugins, {} refused", catalog.found.len(), catalog.refused.len());
        self.context.node.set_detail(Some(&detail));
        self.context.port.set_catalog(catalog);
        self.scanned = true;
        for record in self.records.values_mut() {
            if matches!(record.place, Place::Parked) {
                record.place = Place::Waiting(Instant::now());
            }
        }
    }

    /// Makes what is so what is wanted, as far as it is due.
    pub(super) async fn settle(&mut self) {
        let wanted = self.context.port.wanted();
        let now = Instant::now();
        let hosts = &self.hosts;
        self.records.retain(|id, record| {
            let stays = wanted.contains_key(id);
            if !stays && let Place::Seated { host, number } = record.place {
                let running = hosts.values().filter_map(|slot| slot.running.as_ref());
                running
                    .filter(|running| running.number == host)
                    .for_each(|running| running.line.close(number));
            }
            stays
        });
        for (id, shared) in wanted {
            self.records.entry(id).or_insert_with(|| Record::new(shared, now));
        }
        if self.scanned {
            let due: Vec<u64> = self
                .records
                .iter()
                .filter(|(_, record)| record.is_due(now))
                .map(|(id, _)| *id)
                .collect();
            for id in due {
                self.place(id, now).await;
            }
        }
        self.stop_idle();
    }

    /// When the next pause is over.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let waiting = self.records.values().filter_map(|record| match record.place {
            Place::Waiting(due) => Some(due),
            Place::Seated { .. } | Place::Parked => None,
        });
        waiting.min()
    }

    /// An instance cannot go on.
    pub(super) fn faulted(&mut self, id: u64, host: u64, fault: Fault) {
        let Some(record) = self.records.get_mut(&id) else { return };
        if !matches!(record.place, Place::Seated { host: at, .. } if at == host) {
            return;
        }
        match fault {
            Fault::Parked(_) | Fault::Absent(_) => record.park(fault.state()),
            Fault::Later(reason) => record.wait(reason),
            Fault::Fell(reason) => {
                record.fell(reason);
            }
        }
    }

    /// A host is gone: the blamed pause, the others resume.
    pub(super) fn host_ended(&mut self, ended: HostEnded) {
        let HostEnded { host, cause, reason, running, tenants, stuck } = ended;
        let Some((key, slot)) = self
            .hosts
            .iter_mut()
            .find(|(_, slot)| slot.running.as_ref().is_some_and(|running| running.number == host))
        else {
            return;
        };
        let ran = slot.running.take().map_or(Duration::ZERO, |running| {
            running.actor.stop(None);
            running.since.elapsed()
        });
        if cause == Cause::Stopped {
            slot.node.set_state(ActorState::Stopped);
            return;
        }
        slot.node.set_error(&reason);
        slot.node.set_state(ActorState::Backoff);
        if let Some(mut process) = stuck {
            slot.stuck += 1;
            let (name, myself) = (Arc::from(slot.node.name()), self.context.myself.clone());
            tokio::spawn(async move {
                process.exited().await;
                // It fails only if the actor has ended.
                let _ = myself.cast(PluginMessage::Unstuck(name));
            });
        }
        let in_call: Vec<u64> = running.iter().map(|(id, _)| *id).collect();
        let blame = blame(&cause, &in_call, &tenants);
        let named = blame.ids().iter().filter_map(|id| Some(self.records.get(id)?.shared.name()));
        let blamed: Vec<String> = named.collect();
        let blamed = (!blamed.is_empty()).then(|| blamed.join(", "));
        error!(host = slot.node.name(), %reason, blamed, "plugin host ended");
        let now = Instant::now();
        let resume = if blame == Blame::Nobody { slot.fell(now, ran) } else { now };
        slot.due = resume;
        let (is_bundled, is_shared) = (matches!(key, HostKey::Bundled { .. }), tenants.len() > 1);
        // Those on their way out of it live elsewhere by now, or nowhere.
        let mut lived: HashMap<u64, &mut Record> = HashMap::new();
        for (id, record) in &mut self.records {
            if matches!(record.place, Place::Seated { host: at, .. } if at == host) {
                record.place = Place::Waiting(resume);
                lived.insert(*id, record);
            }
        }
        match blame {
            Blame::Nobody => {}
            Blame::One(id) => {
                let Some(record) = lived.remove(&id) else { return };
                let reason = match (&cause, running.iter().find(|(running, _)| *running == id)) {
                    (Cause::Exit(_), Some((_, call))) => format!("{reason} in {call}").into(),
                    _ => reason,
                };
                if record.fell(reason) && !is_shared {
                    slot.node.set_state(ActorState::Quarantined);
                }
                // A file's own plugin gets a second chance among its own.
                record.isolated |= is_shared && (is_bundled || record.falls > 1);
            }
            Blame::Several(ids) => ids.iter().for_each(|id| {
                if let Some(record) = lived.get_mut(id) {
                    record.isolated = true;
                }
            }),
        }
    }

    /// A host's actor ended without a word.
    pub(super) fn actor_ended(&mut self, actor: ActorId, why: &str) {
        let running = self.hosts.values().filter_map(|slot| slot.running.as_ref());
        let Some(running) = { running }.find(|running| running.actor.get_id() == actor) else {
            return;
        };
        let reason: Arc<str> = format!("plugin host's actor fell: {why}").into();
        let lived = running.line.hang_up(&reason);
        let tenants = lived.values().map(|tenant| tenant.shared.id).collect();
        let (host, cause) = (running.number, Cause::Start(why.to_owned()));
        let running = Vec::new();
        self.host_ended(HostEnded { host, cause, reason, running, tenants, stuck: None });
    }

    /// A process of this host that was stuck is gone.
    pub(super) fn unstuck(&mut self, host: &str) {
        for slot in self.hosts.values_mut().filter(|slot| slot.node.name() == host) {
            slot.stuck = slot.stuck.saturating_sub(1);
            info!(host, "a process that was stuck is gone");
        }
    }

    /// Stops all hosts at once.
    pub(super) async fn stop(&mut self) {
        let limit = Some(2 * DESTROY_DEADLINE);
        let mut stops: JoinSet<()> = self
            .hosts
            .drain()
            .filter_map(|(_, slot)| slot.running)
            .map(|running| async move {
                // What does not stop dies with its actor.
                let _ = running.actor.stop_and_wait(None, limit).await;
            })
            .collect();
        while stops.join_next().await.is_some() {}
    }

    async fn place(&mut self, id: u64, now: Instant) {
        let found = self.context.port.catalog();
        let Some(record) = self.records.get_mut(&id) else { return };
        let spec = &record.shared.spec;
        let Some(plugin) = found.find(&spec.plugin) else {
            let reason = format!("no plugin `{}` was found", spec.plugin);
            return record.park(InstanceState::Parked { reason: reason.into() });
        };
        let config = match validate(&plugin.manifest.config_schema, &spec.config) {
            Ok(config) => serde_json::Value::Object(config).to_string(),
            Err(problems) => {
                let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                let reason = format!("configuration is refused: {}", problems.join("; "));
                return record.park(InstanceState::Parked { reason: reason.into() });
            }
        };
        let (catalog, manifest) = (self.context.catalog.clone(), plugin.manifest.clone());
        let (shared, spec) = (record.shared.clone(), spec.clone());
        let table = SeriesTable::new(catalog, manifest, &spec);
        let key = self.key_of(id, plugin);
        let outcome = match self.host(&key, now).await {
            Ok(running) => running
                .line
                .open(shared, plugin, config, table)
                .map(|number| Place::Seated { host: running.number, number })
                .map_err(|reason| (now + Duration::from_secs(1), reason)),
            Err(later) => Err(later),
        };
        let Some(record) = self.records.get_mut(&id) else { return };
        record.key = Some(key);
        match outcome {
            Ok(place) => {
                record.place = place;
                record.since = now;
            }
            Err((due, reason)) => {
                record.place = Place::Waiting(due);
                record.shared.set_state(InstanceState::Down { reason });
            }
        }
    }

    /// Which host an instance belongs in.
    fn key_of(&self, id: u64, plugin: &FoundPlugin) -> HostKey {
        let file = plugin.label();
        if self.records.get(&id).is_some_and(|record| record.isolated) {
            return HostKey::Own { file, id };
        }
        let key = |shard| match plugin.bundled {
            true => HostKey::Bundled { shard },
            false => HostKey::File { file: file.clone(), shard },
        };
        let others = |key: &HostKey| {
            let others = self.records.iter().filter(|(other, _)| **other != id);
            others.filter(|(_, record)| record.key.as_ref() == Some(key)).count()
        };
        let mut shard = 0;
        while others(&key(shard)) >= INSTANCES_MAX {
            shard += 1;
        }
        key(shard)
    }

    /// The host with this key, started if it is due; else when it is, and why not now.
    async fn host(
        &mut self,
        key: &HostKey,
        now: Instant,
    ) -> Result<&RunningHost, (Instant, Arc<str>)> {
        let slot = self.hosts.entry(key.clone()).or_insert_with(|| HostSlot {
            node: self.context.node.child(&key.name(), "host"),
            running: None,
            history: History::default(),
            last_end: None,
            due: now,
            starts: 0,
            stuck: 0,
        });
        if slot.running.is_none() {
            if slot.due > now {
                return Err((slot.due, "plugin host waits for its next start".into()));
            }
            if slot.stuck >= STUCK_MAX {
                let again = now + Duration::from_secs(60);
                return Err((again, "plugin host is stuck (D), and so is its replacement".into()));
            }
            self.hosts_started += 1;
            let number = self.hosts_started;
            let line = Line::new(number);
            slot.node.set_state(ActorState::Starting);
            if slot.starts > 0 {
                slot.node.count_restart();
            }
            slot.starts += 1;
            let context = &self.context;
            let link = Link {
                line: line.clone(),
                spawner: context.spawner.clone(),
                node: slot.node.clone(),
                parent: context.myself.clone(),
            };
            let parent = context.myself.get_cell();
            let spawned = Actor::spawn_linked(None, HostActor, link, parent).await;
            let (actor, _) = spawned.map_err(|error| {
                warn!(host = slot.node.name(), %error, "failed to start a host's actor");
                (now + Duration::from_secs(5), Arc::from("plugin host could not be started"))
            })?;
            slot.running = Some(RunningHost { number, actor, line, since: now });
        }
        slot.running.as_ref().ok_or((now, "plugin host could not be started".into()))
    }

    /// Stops hosts that nobody lives in, or waits for.
    fn stop_idle(&mut self) {
        let records = &self.records;
        self.hosts.retain(|key, slot| {
            let is_used = records.values().any(|record| {
                record.key.as_ref() == Some(key) && !matches!(record.place, Place::Parked)
            });
            if !is_used && let Some(running) = slot.running.take() {
                running.actor.stop(None);
            }
            is_used || slot.stuck > 0
        });
    }
}

impl HostSlot {
    /// It ended, and nobody is to blame: when it may start again.
    fn fell(&mut self, now: Instant, ran: Duration) -> Instant {
        let before = self.last_end.replace(now);
        if before.is_none_or(|before| now - before > CALM) {
            return now;
        }
        match judge(&mut self.history, ran) {
            Fall::After(pause) | Fall::Quarantine(pause) => now + pause,
            Fall::GiveUp => now,
        }
    }
}
