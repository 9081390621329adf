//! Reads how busy the processors of a machine are, and how warm and how fast.
//!
//! # Invariants
//!
//! - `cpu_usage_ratio` is 1 − (idle + iowait) / all, between two readings. The first reading is taken when the instance
//!   is made, so that the first round one interval later has a ratio.
//! - The parts of `cpu_mode_ratio` add up to 1; the time of virtual machines is in `guest` and nowhere else.
//! - A processor that goes offline takes its series with it, and has the same labels when it comes back.
//! - Frequencies and temperatures are read every [`SLOW`] at most, and given in each round: they cost more than all the
//!   rest, and change more slowly.
//! - sysinfo is asked for temperatures only, and only of this machine, because it has no root to be given.

mod sensors;
mod shares;
mod stat;
#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use bartizan_plugin::{Collector, Ctx, Out, Result, Series, plugin};
use bartizan_procfs::{KernelFile, Roots, Roster, read_value};
use sensors::Sensors;
use shares::{MODES, Shares};
use stat::{Stat, Times};

/// Least time between two readings of frequencies and temperatures.
const SLOW: Duration = Duration::from_secs(5);

/// The collector of one machine's processors.
pub struct Cpu {
    ctx: Ctx,
    roots: Roots,
    file: KernelFile,
    stat: Stat,
    before: Option<Times>,
    cores: Roster<Core>,
    sensors: Sensors,
    slow_at: Option<Instant>,
    usage: Series,
    modes: [Series; MODES.len()],
    count: Series,
    context_switches: Series,
}

/// A processor that is online.
struct Core {
    number: u32,
    before: Times,
    usage: Series,
    frequency_path: PathBuf,
    /// Registered once the frequency is known: that of many virtual machines never is.
    frequency: Option<Series>,
    hertz: Option<f64>,
}

impl Collector for Cpu {
    type Config = Roots;

    fn new(roots: Roots, ctx: Ctx) -> Result<Self> {
        let mut cpu = Self {
            file: KernelFile::new(roots.proc("stat")),
            stat: Stat::default(),
            before: None,
            cores: Roster::default(),
            sensors: if roots.are_own() { Sensors::find(&ctx) } else { Sensors::none() },
            slow_at: None,
            usage: ctx.series(M::Usage, &[]),
            modes: MODES.map(|mode| ctx.series(M::Mode, &[("mode", mode)])),
            count: ctx.series(M::Cores, &[]),
            context_switches: ctx.series(M::ContextSwitches, &[]),
            ctx,
            roots,
        };
        // What the first ratio is measured from. If it fails, the first round fails too, and says why.
        if cpu.read().is_ok() {
            cpu.before = Some(cpu.stat.all);
            for (number, times) in &cpu.stat.cores {
                cpu.cores.meet(&number.to_ne_bytes(), || {
                    Core::new(*number, *times, &cpu.roots, &cpu.ctx)
                });
            }
            cpu.cores.part(drop);
        }
        Ok(cpu)
    }

    fn collect(&mut self, out: &mut Out) -> Result<()> {
        self.read()?;
        self.give_all(out);
        self.give_cores(out);
        if self.slow_at.is_none_or(|at| at.elapsed() >= SLOW) {
            self.slow_at = Some(Instant::now());
            self.sensors.refresh();
            for core in self.cores.items_mut() {
                core.read_frequency(&self.ctx);
            }
        }
        for (series, celsius) in self.sensors.celsius() {
            out.gauge(series, celsius);
        }
        for core in self.cores.items_mut() {
            if let (Some(series), Some(hertz)) = (core.frequency, core.hertz) {
                out.gauge(series, hertz);
            }
        }
        Ok(())
    }
}

impl Cpu {
    fn read(&mut self) -> Result<()> {
        Ok(self.stat.parse(self.file.read()?)?)
    }

    fn give_all(&mut self, out: &mut Out) {
        out.gauge(self.count, self.stat.cores.len() as f64);
        out.counter(self.context_switches, self.stat.context_switches);
        let before = self.before.get_or_insert(self.stat.all);
        if let Some(shares) = Shares::between(before, &self.stat.all) {
            *before = self.stat.all;
            out.gauge(self.usage, shares.usage);
            for (series, share) in self.modes.iter().zip(shares.modes) {
                out.gauge(*series, share);
            }
        }
    }

    fn give_cores(&mut self, out: &mut Out) {
        let Self { ctx, roots, stat, cores, .. } = self;
        for (number, times) in &stat.cores {
            let core = cores.meet(&number.to_ne_bytes(), || Core::new(*number, *times, roots, ctx));
            if let Some(shares) = Shares::between(&core.before, times) {
                core.before = *times;
                out.gauge(core.usage, shares.usage);
            }
        }
        cores.part(|core| {
            ctx.series_drop(core.usage);
            if let Some(series) = core.frequency {
                ctx.series_drop(series);
            }
        });
    }
}

impl Core {
    fn new(number: u32, times: Times, roots: &Roots, ctx: &Ctx) -> Self {
        let path = format!("devices/system/cpu/cpu{number}/cpufreq/scaling_cur_freq");
        Self {
            before: times,
            usage: ctx.series(M::CoreUsage, &[("core", &number.to_string())]),
            number,
            frequency_path: roots.sys(&path),
            frequency: None,
            hertz: None,
        }
    }

    fn read_frequency(&mut self, ctx: &Ctx) {
        let kilohertz: Option<u32> =
            read_value(&self.frequency_path).and_then(|text| text.parse().ok());
        self.hertz = kilohertz.map(|kilohertz| f64::from(kilohertz) * 1000.0);
        if self.hertz.is_some() && self.frequency.is_none() {
            let core = self.number.to_string();
            self.frequency = Some(ctx.series(M::Frequency, &[("core", &core)]));
        }
    }
}

plugin! { Cpu,
    id: "org.bartizan.cpu",
    name: "cpu",
    license: "Apache-2.0",
    description: "Processors: how busy, in which mode, how warm and how fast",
    needs { read: ["/proc", "/sys"] }
    metrics {
        Usage: gauge "cpu_usage_ratio" "ratio" []
            "Part of the processors' time that was used: 1 - (idle + iowait) / all";
        Mode: gauge "cpu_mode_ratio" "ratio" ["mode"]
            "Part of the processors' time that was spent in each mode; all modes together are 1";
        CoreUsage: gauge "cpu_core_usage_ratio" "ratio" ["core"]
            "Part of one processor's time that was used: 1 - (idle + iowait) / all";
        Cores: gauge "cpu_cores" "processors" [] "Processors that are online";
        Frequency: gauge "cpu_frequency_hertz" "hertz" ["core"]
            "Clock rate of one processor, at most 5 seconds old";
        Temperature: gauge "cpu_temperature_celsius" "celsius" ["sensor"]
            "What one sensor of the processors measures, at most 5 seconds old";
        ContextSwitches: counter "cpu_context_switches_total" "switches" []
            "Switches from one task to another";
    }
}
