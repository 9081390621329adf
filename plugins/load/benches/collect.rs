//! Prints what a round of this collector costs, in processor time of all its threads: once a second, as in earnest
//! (cold caches), and one after the other. All five bundled collectors together should stay below 300 µs a second.

#![expect(clippy::unwrap_used, reason = "a failed measurement should stop")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::{thread, time::Duration};

use bartizan_load::Load;
use bartizan_plugin::testing::Host;
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let mut host = Host::new::<Load>("{}").unwrap();
    let samples = host.collect().unwrap().samples.len();
    for (pace, rounds, pause) in [("once a second", 10, 1000), ("one after the other", 2000, 0)] {
        let mut spent_us = 0.0;
        for _ in 0..rounds {
            thread::sleep(Duration::from_millis(pause));
            let before = processor_us();
            host.collect().unwrap();
            spent_us += processor_us() - before;
        }
        println!("load, {samples} samples, {pace}: {:.1} µs a round", spent_us / f64::from(rounds));
    }
}

fn processor_us() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
