//! A plugin whose values are written into a file while it runs, so that a test turns a dial and knows what is read.
//!
//! The file holds a line for each dial, its name and its number: `main 0.5`. A dial that is gone from the file is a
//! series that has ended. A file that cannot be read is a failed reading.

use std::{collections::BTreeMap, path::PathBuf};

use bartizan_plugin::{Collector, Config, Ctx, Out, Result, Series, plugin};

/// What the plugin is told.
#[derive(Config)]
pub struct Config {
    /// The file.
    path: PathBuf,
}

/// One instance.
pub struct Dials {
    config: Config,
    context: Ctx,
    series: BTreeMap<String, Series>,
}

impl Collector for Dials {
    type Config = Config;

    fn new(config: Config, context: Ctx) -> Result<Self> {
        Ok(Self { config, context, series: BTreeMap::new() })
    }

    fn collect(&mut self, out: &mut Out) -> Result<()> {
        let text = std::fs::read_to_string(&self.config.path)?;
        let mut gone = std::mem::take(&mut self.series);
        for (name, number) in text.lines().filter_map(|line| line.split_once(' ')) {
            let value = number.parse()?;
            let known = gone.remove(name);
            let register = || self.context.series(M::Dial, &[("dial", name)]);
            let series = known.unwrap_or_else(register);
            out.gauge(series, value);
            self.series.insert(name.to_owned(), series);
        }
        for series in gone.into_values() {
            self.context.series_drop(series);
        }
        Ok(())
    }
}

plugin! { Dials, id: "test.dial", name: "dial", license: "Apache-2.0", interval: "100ms", timeout: "5s",
metrics { Dial: gauge "dial_value" "turns" ["dial"] "What is written for this dial"; } }
