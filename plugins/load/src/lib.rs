//! Reads the load of a machine, how its tasks fare, how long it has been up, and what machine it is.
//!
//! # Invariants
//!
//! - A kernel without pressure (before 4.20, or started with `psi=0`) has no pressure metrics, and that is no error. It
//!   is asked once.
//! - `host_info` is always 1: its labels are what it says. They are looked at every [`HOST_EVERY`], and a machine that
//!   was renamed is a new series.

mod host;
mod loadavg;
mod pressure;
mod stat;
#[cfg(test)]
mod tests;
mod uptime;

use std::time::{Duration, Instant};

use bartizan_plugin::{Collector, Ctx, Out, Result, Series, plugin};
use bartizan_procfs::{KernelFile, Roots};
use host::Host;
use pressure::Pressure;
use stat::Tasks;

/// Time between two looks at what machine this is: it may be renamed while it starts.
const HOST_EVERY: Duration = Duration::from_secs(60);

/// What tasks may wait for: its file, and its metrics.
const RESOURCES: [(&str, M, M); 3] = [
    ("pressure/cpu", M::CpuPressure, M::CpuWaiting),
    ("pressure/memory", M::MemoryPressure, M::MemoryWaiting),
    ("pressure/io", M::IoPressure, M::IoWaiting),
];

/// The collector of one machine's load.
pub struct Load {
    ctx: Ctx,
    roots: Roots,
    loadavg: KernelFile,
    uptime_file: KernelFile,
    stat: KernelFile,
    loads: [Series; 3],
    uptime: Series,
    running: Series,
    blocked: Series,
    created: Series,
    /// Those that this kernel has.
    resources: Vec<Resource>,
    host: Named,
}

/// One thing that tasks may wait for.
struct Resource {
    name: &'static str,
    file: KernelFile,
    metrics: [M; 2],
    /// Its ratio and its seconds, registered once it was read.
    series: Option<[Series; 2]>,
}

/// What machine this is, and the series that says so.
struct Named {
    host: Host,
    series: Series,
    at: Instant,
}

impl Collector for Load {
    type Config = Roots;

    fn new(roots: Roots, ctx: Ctx) -> Result<Self> {
        let resource = |(name, ratio, seconds)| Resource {
            name,
            file: KernelFile::new(roots.proc(name)),
            metrics: [ratio, seconds],
            series: None,
        };
        Ok(Self {
            loadavg: KernelFile::new(roots.proc("loadavg")),
            uptime_file: KernelFile::new(roots.proc("uptime")),
            stat: KernelFile::new(roots.proc("stat")),
            loads: [M::Load1, M::Load5, M::Load15].map(|metric| ctx.series(metric, &[])),
            uptime: ctx.series(M::Uptime, &[]),
            running: ctx.series(M::Running, &[]),
            blocked: ctx.series(M::Blocked, &[]),
            created: ctx.series(M::Created, &[]),
            resources: RESOURCES.into_iter().map(resource).collect(),
            host: Named::new(Host::find(&roots), &ctx),
            ctx,
            roots,
        })
    }

    fn collect(&mut self, out: &mut Out) -> Result<()> {
        for (series, load) in self.loads.iter().zip(loadavg::parse(self.loadavg.read()?)?) {
            out.gauge(*series, load);
        }
        out.gauge(self.uptime, uptime::parse(self.uptime_file.read()?)?);
        let tasks = Tasks::parse(self.stat.read()?)?;
        out.counter(self.created, tasks.created);
        for (series, count) in [(self.running, tasks.running), (self.blocked, tasks.blocked)] {
            if let Some(count) = count {
                out.gauge(series, count as f64);
            }
        }
        self.give_pressure(out)?;
        if self.host.at.elapsed() >= HOST_EVERY {
            self.host.refresh(Host::find(&self.roots), &self.ctx);
        }
        out.gauge(self.host.series, 1.0);
        Ok(())
    }
}

impl Load {
    fn give_pressure(&mut self, out: &mut Out) -> Result<()> {
        let mut at = 0;
        while let Some(resource) = self.resources.get_mut(at) {
            if resource.give(&self.ctx, out)? {
                at += 1;
            } else {
                let resource = self.resources.remove(at);
                self.ctx.debug(format_args!("this kernel has no `{}`", resource.name));
            }
        }
        Ok(())
    }
}

impl Resource {
    /// Gives what was waited for it; false where this kernel does not know.
    fn give(&mut self, ctx: &Ctx, out: &mut Out) -> Result<bool> {
        let text = match self.file.read() {
            Err(error) if error.is_absence() => return Ok(false),
            read => read?,
        };
        let pressure = Pressure::parse(self.name, text)?;
        let register = || self.metrics.map(|metric| ctx.series(metric, &[]));
        let [ratio, seconds] = *self.series.get_or_insert_with(register);
        out.gauge(ratio, pressure.ratio);
        out.counter_f64(seconds, pressure.waiting_seconds);
        Ok(true)
    }
}

impl Named {
    fn new(host: Host, ctx: &Ctx) -> Self {
        let labels = [
            ("hostname", &*host.hostname),
            ("os", &*host.os),
            ("kernel", &*host.kernel),
            ("arch", &*host.arch),
        ];
        let series = ctx.series(M::HostInfo, &labels);
        Self { host, series, at: Instant::now() }
    }

    fn refresh(&mut self, host: Host, ctx: &Ctx) {
        self.at = Instant::now();
        if host != self.host {
            ctx.series_drop(self.series);
            *self = Self::new(host, ctx);
        }
    }
}

plugin! { Load,
    id: "org.bartizan.load",
    name: "load",
    license: "Apache-2.0",
    description: "Load, tasks, pressure and uptime, and what machine it is",
    needs { read: ["/proc", "/etc", "/usr/lib"] }
    metrics {
        Load1: gauge "load1" "tasks" [] "Tasks that ran or waited, averaged over 1 minute";
        Load5: gauge "load5" "tasks" [] "Tasks that ran or waited, averaged over 5 minutes";
        Load15: gauge "load15" "tasks" [] "Tasks that ran or waited, averaged over 15 minutes";
        Uptime: gauge "uptime_seconds" "seconds" [] "Time since the machine was started";
        Running: gauge "processes_running" "tasks" []
            "Tasks that run or wait for a processor, threads and the collector included";
        Blocked: gauge "processes_blocked" "tasks" [] "Tasks that wait for a disk";
        Created: counter "processes_total" "tasks" [] "Tasks created since boot, threads included";
        CpuPressure: gauge "pressure_cpu_ratio" "ratio" []
            "Part of the last 10 seconds in which a task waited for a processor";
        MemoryPressure: gauge "pressure_memory_ratio" "ratio" []
            "Part of the last 10 seconds in which a task waited for memory";
        IoPressure: gauge "pressure_io_ratio" "ratio" []
            "Part of the last 10 seconds in which a task waited for a disk";
        CpuWaiting: counter "pressure_cpu_waiting_seconds_total" "seconds" []
            "Time in which a task waited for a processor";
        MemoryWaiting: counter "pressure_memory_waiting_seconds_total" "seconds" []
            "Time in which a task waited for memory";
        IoWaiting: counter "pressure_io_waiting_seconds_total" "seconds" []
            "Time in which a task waited for a disk";
        HostInfo: gauge "host_info" "" ["hostname", "os", "kernel", "arch"]
            "What machine this is; always 1";
    }
}
