//! A server in one row: which series it is made of, and how.

use std::sync::Arc;

use crate::{config::Severity, series::Series};

use super::{
    board::{Server, Slot},
    cell::Cell,
    exporters::{Figures, Foreign},
};

/// Columns of the topics `wall` and `wall:NAME`.
pub(super) const COLUMNS: [&str; 21] = [
    "state",
    "normal",
    "last_seen_ms",
    "interval_ms",
    "up",
    "down",
    "incidents",
    "tags",
    "cpu",
    "memory",
    "disk",
    "disk_mount",
    "rx",
    "tx",
    "load",
    "cores",
    "uptime",
    "temperature",
    "level",
    "origin",
    "skew_ms",
];

/// What a series plays in its server's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Nothing.
    Other,
    Cpu,
    Memory,
    Disk,
    Receive,
    Transmit,
    Link,
    Load,
    Cores,
    Uptime,
    Temperature,
    /// Something of it, told in others' way.
    Foreign(Foreign),
}

impl Part {
    /// The part of `series`.
    pub(super) fn of(series: &Series) -> Self {
        match &*series.metric {
            "cpu_usage_ratio" => Self::Cpu,
            "memory_usage_ratio" => Self::Memory,
            "disk_usage_ratio" => Self::Disk,
            "network_receive_bytes_total" => Self::Receive,
            "network_transmit_bytes_total" => Self::Transmit,
            "network_link_up" => Self::Link,
            "load1" => Self::Load,
            "cpu_cores" => Self::Cores,
            "uptime_seconds" => Self::Uptime,
            metric if metric.ends_with("_temperature_celsius") => Self::Temperature,
            metric => Foreign::of(metric).map_or(Self::Other, Self::Foreign),
        }
    }
}

/// What a server's samples say in one row, at one instant. `None`: unknown.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Summary {
    pub(super) cpu: Option<f64>,
    pub(super) memory: Option<f64>,
    /// The fullest mount, and which one it is.
    pub(super) disk: Option<f64>,
    pub(super) disk_mount: Option<Arc<str>>,
    /// Bytes per second of the physical interfaces together.
    pub(super) receive: Option<f64>,
    pub(super) transmit: Option<f64>,
    pub(super) load: Option<f64>,
    pub(super) cores: Option<f64>,
    pub(super) uptime: Option<f64>,
    /// The hottest sensor.
    pub(super) temperature: Option<f64>,
}

impl Summary {
    /// The row of `server` at `now_ms`.
    ///
    /// Interfaces count if the kernel calls them physical; where it calls none
    /// so, as in many a virtual machine, all but the loopback do.
    pub(super) fn new(server: &Server, now_ms: i64) -> Self {
        let physical = physical_interfaces(server);
        let counts = |slot: &Slot| {
            let interface = slot.series.labels.get("interface").unwrap_or_default();
            if physical.is_empty() { interface != "lo" } else { physical.contains(&interface) }
        };
        let mut row = Self::default();
        let mut foreign = None;
        for slot in server.slots.values().filter(|slot| slot.part != Part::Other) {
            let Some(value) = server.value(slot, now_ms) else { continue };
            let whole = slot.series.labels.is_empty().then_some(value);
            match slot.part {
                Part::Cpu => row.cpu = whole.or(row.cpu),
                Part::Memory => row.memory = whole.or(row.memory),
                Part::Load => row.load = whole.or(row.load),
                Part::Cores => row.cores = whole.or(row.cores),
                Part::Uptime => row.uptime = whole.or(row.uptime),
                Part::Disk if row.disk.is_none_or(|fullest| value > fullest) => {
                    row.disk = Some(value);
                    row.disk_mount = slot.series.labels.get("mount").map(Arc::from);
                }
                Part::Receive if counts(slot) => {
                    row.receive = Some(row.receive.unwrap_or(0.0) + value);
                }
                Part::Transmit if counts(slot) => {
                    row.transmit = Some(row.transmit.unwrap_or(0.0) + value);
                }
                Part::Temperature => {
                    row.temperature = Some(row.temperature.map_or(value, |hot| hot.max(value)));
                }
                Part::Foreign(part) => {
                    let figures = foreign.get_or_insert_with(Figures::default);
                    figures.add(part, &slot.series.labels, value);
                }
                Part::Disk | Part::Receive | Part::Transmit | Part::Link | Part::Other => {}
            }
        }
        foreign.into_iter().for_each(|figures| row.fill(&figures, now_ms));
        row
    }

    /// Says by `figures` what is not said otherwise.
    fn fill(&mut self, figures: &Figures, now_ms: i64) {
        self.cpu = self.cpu.or(figures.cpu());
        self.cores = self.cores.or(figures.cores());
        self.memory = self.memory.or(figures.memory());
        if let Some((full, mount)) = figures.disk().filter(|_| self.disk.is_none()) {
            (self.disk, self.disk_mount) = (Some(full), Some(mount.clone()));
        }
        self.receive = self.receive.or(figures.receive);
        self.transmit = self.transmit.or(figures.transmit);
        self.load = self.load.or(figures.load);
        let runs_since = |boot_seconds: f64| now_ms as f64 / 1000.0 - boot_seconds;
        self.uptime = self.uptime.or(figures.boot_seconds.map(runs_since));
        self.temperature = self.temperature.or(figures.temperature);
    }
}

fn physical_interfaces(server: &Server) -> Vec<&str> {
    let links = server.slots.values().filter(|slot| slot.part == Part::Link);
    let physical = links.filter(|slot| slot.series.labels.get("physical") == Some("true"));
    physical.filter_map(|slot| slot.series.labels.get("interface")).collect()
}

/// The cells of `server` with `open` incidents, in the order of [`COLUMNS`].
pub(super) fn cells(
    server: &Server,
    (open, worst): (u32, Option<Severity>),
    now_ms: i64,
) -> [Cell; COLUMNS.len()] {
    let row = Summary::new(server, now_ms);
    let status = &server.status;
    [
        Cell::Static(server.state(now_ms).name()),
        server.normal(now_ms).map_or(Cell::Null, Cell::Bool),
        server.last_seen_ms().map_or(Cell::Null, Cell::Integer),
        Cell::Integer(status.interval_ms.into()),
        Cell::Integer(status.collectors_up.into()),
        Cell::Integer(status.collectors_down.into()),
        Cell::Integer(open.into()),
        Cell::Tags(status.tags.clone()),
        Cell::rounded(row.cpu, 4),
        Cell::rounded(row.memory, 4),
        Cell::rounded(row.disk, 4),
        Cell::text(row.disk_mount.as_ref()),
        Cell::rounded(row.receive, 0),
        Cell::rounded(row.transmit, 0),
        Cell::rounded(row.load, 2),
        Cell::number(row.cores),
        Cell::rounded(row.uptime, 0),
        Cell::rounded(row.temperature, 1),
        worst.map_or(Cell::Null, |worst| Cell::Static(worst.name())),
        Cell::Static(status.origin.name()),
        status.skew_ms.map_or(Cell::Null, Cell::Integer),
    ]
}
