//! The rows of each topic: what a table is filled with.

use std::sync::Arc;

use crate::{
    series::Kind,
    supervision::{ActorState, NodeView, Tree},
};

use super::{
    Topic,
    board::{Board, Server, Slot},
    cell::{Cell, Key},
    messages::AlertRow,
    table::Table,
    wall,
};

const SERVER_COLUMNS: [&str; 9] =
    ["metric", "labels", "unit", "kind", "collector", "interval_ms", "at", "value", "gap"];

const ACTOR_COLUMNS: [&str; 9] =
    ["parent", "name", "kind", "state", "restarts", "last_error", "queue", "since_ms", "detail"];

const ALERT_COLUMNS: [&str; 24] = [
    "server",
    "rule",
    "metric",
    "labels",
    "unit",
    "level",
    "worst",
    "state",
    "unknown",
    "flapping",
    "opened_ms",
    "closed_ms",
    "due_ms",
    "value",
    "side",
    "limit",
    "summary",
    "acked_by",
    "acked_ms",
    "in_absence",
    "absence",
    "email",
    "sms",
    "webhook",
];

/// The columns of `topic`.
pub(super) fn columns(topic: &Topic) -> &'static [&'static str] {
    match topic {
        Topic::Wall | Topic::WallOf(_) => &wall::COLUMNS,
        Topic::Server(_) => &SERVER_COLUMNS,
        Topic::Actors => &ACTOR_COLUMNS,
        Topic::Alerts => &ALERT_COLUMNS,
    }
}

/// Puts every row of `topic` as of `now_ms`.
pub(super) fn fill(table: &mut Table, topic: &Topic, board: &Board, tree: &Tree, now_ms: i64) {
    match topic {
        Topic::Wall => board.servers().for_each(|server| put_wall(table, board, server, now_ms)),
        Topic::WallOf(name) => {
            let server = board.server(name).into_iter();
            server.for_each(|server| put_wall(table, board, server, now_ms));
        }
        Topic::Server(name) => {
            let slots = board.server(name).into_iter();
            for (server, (id, slot)) in
                slots.flat_map(|server| server.slots.iter().map(move |slot| (server, slot)))
            {
                table.put(Key::Series(id), series_cells(server, slot, now_ms));
            }
        }
        Topic::Actors => put_actor(table, tree.root().view(), None),
        Topic::Alerts => board.alerts().for_each(|alert| {
            let value = board.value_of(alert, now_ms);
            table.put(Key::Name(alert.id.clone()), alert_cells(alert, value));
        }),
    }
}

fn put_wall(table: &mut Table, board: &Board, server: &Server, now_ms: i64) {
    let name = &server.status.name;
    table.put(Key::Name(name.clone()), wall::cells(server, board.open(name), now_ms));
}

fn alert_cells(alert: &AlertRow, value: Option<f64>) -> [Cell; ALERT_COLUMNS.len()] {
    let integer = |value: Option<i64>| value.map_or(Cell::Null, Cell::Integer);
    let fixed = |text: Option<&'static str>| text.map_or(Cell::Null, Cell::Static);
    let (acked_by, acked_ms) = match &alert.acknowledged {
        Some((by, at_ms)) => (Cell::Text(by.clone()), Cell::Integer(*at_ms)),
        None => (Cell::Null, Cell::Null),
    };
    let [email, sms, webhook] = alert.progress.map(fixed);
    [
        Cell::Text(alert.server.clone()),
        Cell::Text(alert.rule.clone()),
        Cell::Text(alert.metric.clone()),
        Cell::Labels(alert.labels.clone()),
        Cell::Text(alert.unit.clone()),
        Cell::Static(alert.level.name()),
        Cell::Static(alert.worst.name()),
        Cell::Static(alert.state),
        Cell::text(alert.unknown.as_ref()),
        Cell::Bool(alert.flapping),
        Cell::Integer(alert.opened_ms),
        integer(alert.closed_ms),
        integer(alert.due_ms),
        Cell::number(value),
        fixed(alert.limit.map(|(side, _)| side.name())),
        Cell::number(alert.limit.map(|(_, at)| at)),
        Cell::text(alert.summary.as_ref()),
        acked_by,
        acked_ms,
        Cell::Bool(alert.in_absence),
        Cell::Bool(alert.absence),
        email,
        sms,
        webhook,
    ]
}

fn series_cells(server: &Server, slot: &Slot, now_ms: i64) -> [Cell; SERVER_COLUMNS.len()] {
    let series = &slot.series;
    let (unit, kind) = match series.kind {
        Kind::Gauge => (Cell::Text(series.unit.clone()), "gauge"),
        Kind::Counter => (Cell::PerSecond(series.unit.clone()), "counter"),
    };
    [
        Cell::Text(series.metric.clone()),
        Cell::Labels(series.labels.clone()),
        unit,
        Cell::Static(kind),
        Cell::Text(series.collector.clone()),
        Cell::Integer(series.interval_ms.into()),
        Cell::Integer(slot.at_ms),
        Cell::number(server.value(slot, now_ms)),
        server.gap(slot, now_ms).map_or(Cell::Null, |reason| Cell::Text(reason.into())),
    ]
}

fn put_actor(table: &mut Table, node: NodeView, parent: Option<&Arc<str>>) {
    let path =
        parent.map_or_else(|| node.name.clone(), |parent| format!("{parent}/{}", node.name).into());
    let cells: [Cell; ACTOR_COLUMNS.len()] = [
        Cell::text(parent),
        Cell::Text(node.name),
        Cell::Static(node.kind),
        Cell::Static(state_name(node.state)),
        Cell::Integer(i64::try_from(node.restarts).unwrap_or(i64::MAX)),
        Cell::text(node.last_error.as_ref()),
        node.queue.map_or(Cell::Null, Cell::Integer),
        Cell::Integer(node.since_ms),
        Cell::text(node.detail.as_ref()),
    ];
    table.put(Key::Name(path.clone()), cells);
    for child in node.children {
        put_actor(table, child, Some(&path));
    }
}

fn state_name(state: ActorState) -> &'static str {
    match state {
        ActorState::Starting => "starting",
        ActorState::Up => "up",
        ActorState::Backoff => "backoff",
        ActorState::Quarantined => "quarantined",
        ActorState::Parked => "parked",
        ActorState::Down => "down",
        ActorState::Stopped => "stopped",
    }
}
