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
    table::Table,
    wall,
};

pub(super) const SERVER_COLUMNS: [&str; 9] =
    ["metric", "labels", "unit", "kind", "collector", "interval_ms", "at", "value", "gap"];

const ACTOR_COLUMNS: [&str; 9] =
    ["parent", "name", "kind", "state", "restarts", "last_error", "queue", "since_ms", "detail"];

/// The columns of `topic`.
pub(super) fn columns(topic: &Topic) -> &'static [&'static str] {
    match topic {
        Topic::Wall | Topic::WallOf(_) => &wall::COLUMNS,
        Topic::Server(_) => &SERVER_COLUMNS,
        Topic::Actors => &ACTOR_COLUMNS,
    }
}

/// Puts every row of `topic` as of `now_ms`.
pub(super) fn fill(table: &mut Table, topic: &Topic, board: &Board, tree: &Tree, now_ms: i64) {
    match topic {
        Topic::Wall => board.servers().for_each(|server| put_wall(table, server, now_ms)),
        Topic::WallOf(name) => {
            board.server(name).into_iter().for_each(|server| put_wall(table, server, now_ms));
        }
        Topic::Server(name) => {
            let slots = board.server(name).into_iter();
            for (server, (id, slot)) in
                slots.flat_map(|server| server.slots.iter().map(move |slot| (server, slot)))
            {
                table.put(Key::Series(*id), series_cells(server, slot, now_ms));
            }
        }
        Topic::Actors => put_actor(table, tree.root().view(), None),
    }
}

fn put_wall(table: &mut Table, server: &Server, now_ms: i64) {
    table.put(Key::Name(server.status.name.clone()), wall::cells(server, now_ms));
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
        Cell::number(slot.value(now_ms)),
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
