//! Processes and threads as `/proc` shows them, and signals to them.

use std::fs;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// A process that was seen: its number, and when it started, which tells it from the number's next owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    parent: u32,
    started: u64,
}

impl Process {
    /// The process `pid`, if there is one that has not ended. A zombie has.
    pub fn find(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything, so count from the last one.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let (state, parent, started) = (fields.first()?, fields.get(1)?, fields.get(19)?);
        if matches!(*state, "Z" | "X") {
            return None;
        }
        Some(Self { pid, parent: parent.parse().ok()?, started: started.parse().ok()? })
    }

    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        Self::find(self.pid).is_some_and(|now| now.started == self.started)
    }

    /// Sends it a signal, if it still runs.
    pub fn signal(&self, signal: Signal) {
        if self.runs() {
            // It may end between the look and the signal; then there is nobody to tell.
            let _ = kill_process(Pid::from_raw(self.pid.cast_signed()).unwrap(), signal);
        }
    }

    /// CPU time it has used, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let fields: Vec<&str> =
            stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
        let ticks: u64 =
            [11, 12].iter().filter_map(|&at| fields.get(at)?.parse::<u64>().ok()).sum();
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64
    }

    /// Memory that it holds now, in bytes, what it shares counted whole.
    pub fn resident_bytes(&self) -> u64 {
        status_bytes(self.pid, "VmRSS")
    }

    /// The most that it has held at once.
    pub fn peak_bytes(&self) -> u64 {
        status_bytes(self.pid, "VmHWM")
    }

    /// What it has had written to the disk since its start, in bytes, as far as that has been handed over.
    pub fn written_bytes(&self) -> u64 {
        let io = fs::read_to_string(format!("/proc/{}/io", self.pid)).unwrap_or_default();
        let line = io.lines().find_map(|line| line.strip_prefix("write_bytes:"));
        line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    }

    /// Its share of memory, in bytes: private pages whole, shared ones divided by their users.
    pub fn pss_bytes(&self) -> u64 {
        let rollup =
            fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).unwrap_or_default();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or("0");
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) * 1024
    }
}

/// A size that `/proc/<pid>/status` gives, in bytes; 0 where it does not.
fn status_bytes(pid: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

/// Everybody whose parent is `pid`.
pub fn children(pid: u32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::find).filter(|process| process.parent == pid).collect()
}

/// The threads of `pid`: number and name.
pub fn threads(pid: u32) -> Vec<(u32, String)> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let tids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let named = tids.filter_map(|tid| {
        let name = fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm")).ok()?;
        Some((tid, name.trim_end().to_owned()))
    });
    named.collect()
}
