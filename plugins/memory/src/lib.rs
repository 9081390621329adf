//! Reads how much memory a machine has, how much of it is in use, and its swap.
//!
//! # Invariants
//!
//! - One file, one parser: all values of a round are of the same instant.
//! - `memory_usage_ratio` is 1 − available / total and `memory_used_bytes` is its numerator, so the two never disagree.
//!   The memory of caches is not in use: programs get it when they ask.
//! - A machine without swap has no `swap_usage_ratio`; its `swap_total_bytes` is 0.

mod meminfo;
#[cfg(test)]
mod tests;

use bartizan_plugin::{Collector, Ctx, Out, Result, Series, plugin};
use bartizan_procfs::{KernelFile, Roots};
use meminfo::Meminfo;

/// The collector of one machine's memory.
pub struct Memory {
    file: KernelFile,
    usage: Series,
    total: Series,
    used: Series,
    available: Series,
    cached: Series,
    buffers: Series,
    free: Series,
    swap_usage: Series,
    swap_total: Series,
    swap_used: Series,
}

impl Collector for Memory {
    type Config = Roots;

    fn new(roots: Roots, ctx: Ctx) -> Result<Self> {
        Ok(Self {
            file: KernelFile::new(roots.proc("meminfo")),
            usage: ctx.series(M::Usage, &[]),
            total: ctx.series(M::Total, &[]),
            used: ctx.series(M::Used, &[]),
            available: ctx.series(M::Available, &[]),
            cached: ctx.series(M::Cached, &[]),
            buffers: ctx.series(M::Buffers, &[]),
            free: ctx.series(M::Free, &[]),
            swap_usage: ctx.series(M::SwapUsage, &[]),
            swap_total: ctx.series(M::SwapTotal, &[]),
            swap_used: ctx.series(M::SwapUsed, &[]),
        })
    }

    fn collect(&mut self, out: &mut Out) -> Result<()> {
        let meminfo = Meminfo::parse(self.file.read()?)?;
        out.gauge(self.usage, meminfo.usage_ratio());
        out.gauge(self.total, meminfo.total as f64);
        out.gauge(self.used, meminfo.used() as f64);
        out.gauge(self.available, meminfo.available as f64);
        out.gauge(self.cached, meminfo.cached as f64);
        out.gauge(self.buffers, meminfo.buffers as f64);
        out.gauge(self.free, meminfo.free as f64);
        if let Some(ratio) = meminfo.swap_usage_ratio() {
            out.gauge(self.swap_usage, ratio);
        }
        out.gauge(self.swap_total, meminfo.swap_total as f64);
        out.gauge(self.swap_used, meminfo.swap_used() as f64);
        Ok(())
    }
}

plugin! { Memory,
    id: "org.bartizan.memory",
    name: "memory",
    license: "Apache-2.0",
    description: "Memory and swap: how much there is, and what holds it",
    needs { read: ["/proc"] }
    metrics {
        Usage: gauge "memory_usage_ratio" "ratio" []
            "Part of the memory that is in use: 1 - available / total";
        Total: gauge "memory_total_bytes" "bytes" [] "Usable memory";
        Used: gauge "memory_used_bytes" "bytes" [] "Memory in use: total - available";
        Available: gauge "memory_available_bytes" "bytes" []
            "Memory that programs could get without swapping";
        Cached: gauge "memory_cached_bytes" "bytes" []
            "Contents of files, and caches of the kernel that it can give back";
        Buffers: gauge "memory_buffers_bytes" "bytes" [] "Raw blocks of devices";
        Free: gauge "memory_free_bytes" "bytes" [] "Memory that holds nothing at all";
        SwapUsage: gauge "swap_usage_ratio" "ratio" [] "Part of the swap that is in use";
        SwapTotal: gauge "swap_total_bytes" "bytes" [] "Room to swap to";
        SwapUsed: gauge "swap_used_bytes" "bytes" [] "What was swapped out";
    }
}
