//! Reads what each network interface has received and sent, and what state its link is in.
//!
//! # Invariants
//!
//! - Every interface is there, `lo` and virtual ones included. Whoever adds interfaces up takes those whose
//!   `network_link_up` says `physical="true"`: what goes through a bond, a bridge or a tunnel goes through one of them.
//! - Counters are given as the kernel has them, exactly.
//! - An interface that vanishes takes its series with it, and has the same labels when it comes back.
//! - What the kernel does not know is absent: the speed of a virtual card is no zero.

mod link;
mod net_dev;
mod saturation;
#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use bartizan_plugin::{Collector, Ctx, Out, Result, Series, plugin};
use bartizan_procfs::{KernelFile, Roots, Roster};
use link::Link;
use net_dev::{Direction, Traffic};
use saturation::Saturation;

/// The collector of one machine's network interfaces.
pub struct Network {
    ctx: Ctx,
    file: KernelFile,
    links: PathBuf,
    interfaces: Roster<Interface>,
}

/// An interface that is there.
struct Interface {
    receive: Way,
    transmit: Way,
    link: Link,
    up: Series,
    /// Registered once the speed is known: that of most virtual interfaces never is.
    speed: Option<Series>,
    saturation: Saturation,
    /// Registered with the first value, which needs the speed.
    saturated: Option<Series>,
    name: String,
}

/// The series of one [`Direction`].
struct Way {
    bytes: Series,
    packets: Series,
    errors: Series,
    drops: Series,
}

impl Collector for Network {
    type Config = Roots;

    fn new(roots: Roots, ctx: Ctx) -> Result<Self> {
        Ok(Self {
            file: KernelFile::new(roots.proc("net/dev")),
            links: roots.sys("class/net"),
            interfaces: Roster::default(),
            ctx,
        })
    }

    fn collect(&mut self, out: &mut Out) -> Result<()> {
        let Self { ctx, file, links, interfaces } = self;
        let now = Instant::now();
        net_dev::parse(file.read()?, |name, traffic| {
            interfaces.meet(name, || Interface::new(name, links, ctx)).give(traffic, now, ctx, out);
        })?;
        interfaces.part(|interface| interface.end(ctx));
        Ok(())
    }
}

impl Interface {
    fn new(name: &[u8], links: &Path, ctx: &Ctx) -> Self {
        let name = String::from_utf8_lossy(name).into_owned();
        let link = Link::new(links.join(&name));
        let physical = if link.is_physical() { "true" } else { "false" };
        let counter = |metric| ctx.series(metric, &[("interface", &name)]);
        Self {
            receive: Way {
                bytes: counter(M::ReceiveBytes),
                packets: counter(M::ReceivePackets),
                errors: counter(M::ReceiveErrors),
                drops: counter(M::ReceiveDrops),
            },
            transmit: Way {
                bytes: counter(M::TransmitBytes),
                packets: counter(M::TransmitPackets),
                errors: counter(M::TransmitErrors),
                drops: counter(M::TransmitDrops),
            },
            up: ctx.series(M::LinkUp, &[("interface", &name), ("physical", physical)]),
            speed: None,
            saturation: Saturation::default(),
            saturated: None,
            link,
            name,
        }
    }

    fn give(&mut self, traffic: Traffic, now: Instant, ctx: &Ctx, out: &mut Out) {
        self.receive.give(traffic.receive, out);
        self.transmit.give(traffic.transmit, out);
        self.link.refresh(now);
        if let Some(up) = self.link.up() {
            out.gauge(self.up, f64::from(u8::from(up)));
        }
        if let Some(speed) = self.link.bytes_per_second() {
            let register = || ctx.series(M::LinkSpeed, &[("interface", &self.name)]);
            out.gauge(*self.speed.get_or_insert_with(register), speed);
        }
        let speed = self.link.bytes_per_second();
        if let Some(saturation) = self.saturation.next(&traffic, speed, now) {
            let register = || ctx.series(M::Saturation, &[("interface", &self.name)]);
            out.gauge(*self.saturated.get_or_insert_with(register), saturation);
        }
    }

    fn end(self, ctx: &Ctx) {
        self.receive.end(ctx);
        self.transmit.end(ctx);
        ctx.series_drop(self.up);
        for series in [self.speed, self.saturated].into_iter().flatten() {
            ctx.series_drop(series);
        }
    }
}

impl Way {
    fn give(&self, direction: Direction, out: &mut Out) {
        out.counter(self.bytes, direction.bytes);
        out.counter(self.packets, direction.packets);
        out.counter(self.errors, direction.errors);
        out.counter(self.drops, direction.drops);
    }

    fn end(&self, ctx: &Ctx) {
        for series in [self.bytes, self.packets, self.errors, self.drops] {
            ctx.series_drop(series);
        }
    }
}

plugin! { Network,
    id: "org.bartizan.network",
    name: "network",
    license: "Apache-2.0",
    description: "Network interfaces: what they receive and send, and the state of their links",
    needs { read: ["/proc", "/sys"] }
    metrics {
        ReceiveBytes: counter "network_receive_bytes_total" "bytes" ["interface"] "Bytes received";
        TransmitBytes: counter "network_transmit_bytes_total" "bytes" ["interface"] "Bytes sent";
        ReceivePackets: counter "network_receive_packets_total" "packets" ["interface"] "Packets received";
        TransmitPackets: counter "network_transmit_packets_total" "packets" ["interface"] "Packets sent";
        ReceiveErrors: counter "network_receive_errors_total" "packets" ["interface"]
            "Packets received with errors";
        TransmitErrors: counter "network_transmit_errors_total" "packets" ["interface"]
            "Packets that could not be sent because of errors";
        ReceiveDrops: counter "network_receive_drops_total" "packets" ["interface"]
            "Packets received and dropped";
        TransmitDrops: counter "network_transmit_drops_total" "packets" ["interface"]
            "Packets dropped instead of being sent";
        LinkSpeed: gauge "network_link_speed_bytes" "bytes/s" ["interface"]
            "What the link can carry in a second, where the kernel knows it";
        Saturation: gauge "network_saturation_ratio" "ratio" ["interface"]
            "Share of what the link can carry that the busier direction uses, where the kernel knows the speed";
        LinkUp: gauge "network_link_up" "" ["interface", "physical"]
            "1 while packets can go, else 0; physical says whether a device stands behind the interface";
    }
}
