//! The shapes of answers: here and in [`super::history_view`] alone http says how something looks in JSON.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use serde::Serialize;

use crate::{
    config::Severity,
    live::{
        ServerView as LiveServer,
        messages::{Origin, ServerState},
    },
    series::{Kind, Labels, PRESUMED_INTERVAL_MS, Series, SeriesId},
    supervision::{ActorState, NodeView},
};

use super::messages::{Plugin, PluginList, RefusedPlugin};

#[derive(Serialize)]
pub(super) struct ErrorView<'a> {
    pub(super) error: &'static str,
    pub(super) detail: &'a str,
}

#[derive(Serialize)]
pub(super) struct HealthView {
    pub(super) status: &'static str,
}

#[derive(Serialize)]
pub(super) struct ReadyView {
    pub(super) ready: bool,
    pub(super) services: BTreeMap<Arc<str>, ActorState>,
}

#[derive(Serialize)]
pub(super) struct ServersView<'a> {
    servers: Vec<ServerView<'a>>,
}

#[derive(Serialize)]
struct ServerView<'a> {
    name: &'a str,
    tags: &'a BTreeMap<String, String>,
    state: ServerState,
    normal: Option<bool>,
    reason: Option<&'a str>,
    origin: Origin,
    last_seen_ms: Option<i64>,
    skew_ms: Option<i64>,
    interval_ms: Option<u32>,
    collectors: CollectorsView,
    incidents: u32,
    level: Option<Severity>,
    series: usize,
    latest: &'a BTreeMap<Arc<str>, Option<f64>>,
}

#[derive(Serialize)]
struct CollectorsView {
    up: u32,
    down: u32,
}

impl<'a> ServersView<'a> {
    pub(super) fn new(servers: &'a [LiveServer]) -> Self {
        let servers = servers.iter().map(|server| ServerView {
            name: &server.name,
            tags: &server.tags,
            state: server.state,
            normal: server.normal,
            origin: server.origin,
            reason: server.reason.as_deref(),
            last_seen_ms: server.last_seen_ms,
            skew_ms: server.skew_ms,
            // What is only presumed is nobody's business.
            interval_ms: Some(server.interval_ms).filter(|ms| *ms != PRESUMED_INTERVAL_MS),
            collectors: CollectorsView { up: server.collectors_up, down: server.collectors_down },
            incidents: server.incidents,
            level: server.level,
            series: server.series,
            latest: &server.latest,
        });
        Self { servers: servers.collect() }
    }
}

/// Servers that somebody has asked for by the names given here, as far as they were seen.
#[derive(Serialize)]
pub(super) struct SeenView<'a> {
    pub(super) servers: Vec<SightingView<'a>>,
}

/// For how long nothing has come of a server, by its own clock as far as that is known.
#[derive(Serialize)]
pub(super) struct SightingView<'a> {
    pub(super) name: &'a str,
    pub(super) silent_ms: i64,
}

/// Servers that have some value of a tag: how many, and how many in which state.
#[derive(Debug, Default, PartialEq, Serialize)]
struct TagView {
    servers: u32,
    #[serde(flatten)]
    states: BTreeMap<&'static str, u32>,
}

#[derive(Serialize)]
pub(super) struct TagsView<'a> {
    tags: BTreeMap<&'a str, BTreeMap<&'a str, TagView>>,
}

impl<'a> TagsView<'a> {
    pub(super) fn new(servers: &'a [(Arc<BTreeMap<String, String>>, ServerState)]) -> Self {
        let mut tags = BTreeMap::<_, BTreeMap<_, TagView>>::new();
        for (of_server, state) in servers {
            for (name, value) in &**of_server {
                let view = tags.entry(&**name).or_default().entry(&**value).or_default();
                if view.servers == 0 {
                    view.states = ServerState::ALL.map(|state| (state.name(), 0)).into();
                }
                view.servers += 1;
                *view.states.entry(state.name()).or_default() += 1;
            }
        }
        Self { tags }
    }
}

#[derive(Serialize)]
pub(super) struct SeriesListView<'a> {
    series: Vec<SeriesView<'a>>,
}

#[derive(Serialize)]
struct SeriesView<'a> {
    id: String,
    metric: &'a str,
    labels: &'a Labels,
    unit: &'a str,
    kind: Kind,
    collector: &'a str,
    interval_ms: u32,
}

impl<'a> SeriesListView<'a> {
    pub(super) fn new(series: &'a [(SeriesId, Arc<Series>)]) -> Self {
        let series = series.iter().map(|(id, series)| SeriesView {
            // As in the stream, where it names a row.
            id: id.0.to_string(),
            metric: &series.metric,
            labels: &series.labels,
            unit: &series.unit,
            kind: series.kind,
            collector: &series.collector,
            interval_ms: series.interval_ms,
        });
        Self { series: series.collect() }
    }
}

#[derive(Serialize)]
pub(super) struct ActorView {
    name: Arc<str>,
    kind: &'static str,
    state: ActorState,
    since_ms: i64,
    restarts: u64,
    last_error: Option<Arc<str>>,
    detail: Option<Arc<str>>,
    queue: Option<i64>,
    children: Vec<ActorView>,
}

impl From<NodeView> for ActorView {
    fn from(node: NodeView) -> Self {
        Self {
            name: node.name,
            kind: node.kind,
            state: node.state,
            since_ms: node.since_ms,
            restarts: node.restarts,
            last_error: node.last_error,
            detail: node.detail,
            queue: node.queue,
            children: node.children.into_iter().map(Self::from).collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct PluginsView<'a> {
    plugins: Vec<PluginView<'a>>,
    refused: Vec<RefusedView<'a>>,
}

#[derive(Serialize)]
struct PluginView<'a> {
    id: &'a str,
    name: &'a str,
    version: &'a str,
    description: &'a str,
    abi: &'a str,
    path: String,
    sha256: &'a str,
    bundled: bool,
    instances: usize,
    host_pid: Option<i32>,
}

#[derive(Serialize)]
struct RefusedView<'a> {
    path: String,
    reason: &'a str,
}

impl<'a> PluginsView<'a> {
    pub(super) fn new(list: &'a PluginList) -> Self {
        Self {
            plugins: list.plugins.iter().map(PluginView::new).collect(),
            refused: list.refused.iter().map(RefusedView::new).collect(),
        }
    }
}

impl<'a> PluginView<'a> {
    fn new(plugin: &'a Plugin) -> Self {
        Self {
            id: &plugin.id,
            name: &plugin.name,
            version: &plugin.version,
            description: &plugin.description,
            abi: &plugin.abi,
            path: readable(&plugin.path),
            sha256: &plugin.sha256,
            bundled: plugin.bundled,
            instances: plugin.instances,
            host_pid: plugin.host_pid,
        }
    }
}

impl<'a> RefusedView<'a> {
    fn new(refused: &'a RefusedPlugin) -> Self {
        Self { path: readable(&refused.path), reason: &refused.reason }
    }
}

/// JSON cannot say a path that is not UTF-8: what is not becomes `�`.
fn readable(path: &Path) -> String {
    path.display().to_string()
}

/// The first frame of a stream.
#[derive(Serialize)]
pub(super) struct HelloView<'a> {
    pub(super) t: &'static str,
    pub(super) v: u32,
    pub(super) epoch: &'a str,
    pub(super) now: i64,
    pub(super) interval: u32,
    pub(super) version: &'a str,
}
