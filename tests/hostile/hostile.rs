//! A plugin that commits the fault named in its configuration: `{"fault": "panic", "after": 3}` panics in the third
//! round. Its twin, `hostile.c`, is the same in C.

use std::{hint::black_box, thread, time::Duration};

use bartizan_plugin::{Collector, Config, Ctx, Out, Result, Series, plugin};

/// What the plugin may be told.
#[derive(Config)]
pub struct Config {
    /// Name of the fault.
    fault: String,
    /// The round in which it is committed, counted from one.
    after: u32,
}

/// One instance.
pub struct Hostile {
    config: Config,
    rounds: u32,
    series: Series,
}

impl Collector for Hostile {
    type Config = Config;

    fn new(config: Config, context: Ctx) -> Result<Self> {
        Ok(Self { config, rounds: 0, series: context.series(M::Rounds, &[]) })
    }

    fn collect(&mut self, out: &mut Out) -> Result<()> {
        self.rounds += 1;
        if self.config.fault == "slow" {
            thread::sleep(Duration::from_millis(600));
        }
        out.gauge(self.series, f64::from(self.rounds));
        if self.rounds >= self.config.after {
            commit(&self.config.fault);
        }
        Ok(())
    }
}

fn commit(fault: &str) {
    match fault {
        "panic" => panic!("asked to panic"),
        "abort" => std::process::abort(),
        "exit0" => std::process::exit(0),
        "stack" => {
            black_box(descend(1));
        }
        "spin" => loop {
            black_box(fault);
        },
        _ => {}
    }
}

/// Every level keeps its page, so the stack ends long before the count does.
fn descend(level: u64) -> u64 {
    let page = black_box([level; 512]);
    if level == u64::MAX { 0 } else { descend(level + 1) + page[0] }
}

plugin! { Hostile, id: "test.hostile-rust", name: "hostile-rust", license: "Apache-2.0", interval: "250ms", timeout: "1s",
metrics { Rounds: gauge "hostile_rounds" "rounds" [] "Calls of collect so far"; } }
