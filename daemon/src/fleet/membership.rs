//! Who is watched, and what a change of that means: decisions without actors.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::known::Known;
use crate::{
    config::{CollectorConfig, Config, ScrapeConfig, ServerConfig},
    live::messages::Origin,
};

/// The bundled plugins, by name; a server that names no collector has one of each.
const BUNDLED: [&str; 5] = ["cpu", "disk", "load", "memory", "network"];

/// How often a server is read elsewhere, before anything has come of it.
const INTERVAL: Duration = Duration::from_secs(10);

/// A server, and how it is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    pub(super) server: ServerConfig,
    /// Time between two readings, unless a collector or an exporter has its own.
    pub(super) interval: Duration,
    pub(super) scrapes: Vec<ScrapeConfig>,
    /// Whether it is missed although nothing has ever come of it.
    pub(super) awaited: bool,
}

/// What is to be done about a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is new.
    Start,
    /// It is no longer watched.
    Stop,
    /// It is read in another way: stop it, then start it so.
    Replace,
    /// Nothing, or nothing but its limits.
    Stay,
}

impl Member {
    /// A server that nobody configured. How often it is read, what comes of it says.
    pub(super) fn of_known(name: &str, known: Known) -> Self {
        let (name, tags) = (name.into(), known.tags);
        let server = ServerConfig { name, tags, remote: true, ..ServerConfig::default() };
        Self { server, interval: INTERVAL, scrapes: Vec::new(), awaited: false }
    }

    /// The same with what is known of it besides the configuration.
    pub(super) fn with(mut self, known: Option<Known>) -> Self {
        let mut tags = known.map(|known| known.tags).unwrap_or_default();
        tags.append(&mut self.server.tags);
        self.server.tags = tags;
        self
    }

    /// How its samples come here.
    pub(super) fn origin(&self) -> Origin {
        match (self.server.collectors.is_empty(), self.scrapes.is_empty()) {
            (false, _) => Origin::Local,
            (true, false) => Origin::Scrape,
            (true, true) => Origin::Remote,
        }
    }

    /// Whether both are read in the same way: other limits are no reason to stop and start its collectors.
    fn is_read_as(&self, other: &Self) -> bool {
        let of = |member: &Self| (member.server.tags.clone(), member.interval, member.awaited);
        of(self) == of(other)
            && self.server.collectors == other.server.collectors
            && self.scrapes == other.scrapes
    }
}

/// Who is watched according to `config` on the machine called `this_machine`, by name.
pub(super) fn configured(config: &Config, this_machine: &str) -> BTreeMap<Arc<str>, Member> {
    let mut servers = config.servers.clone();
    let named = |servers: &[ServerConfig], name: &str| servers.iter().any(|s| s.name == name);
    if servers.iter().all(|server| server.remote) && !named(&servers, this_machine) {
        servers.push(ServerConfig { name: this_machine.into(), ..ServerConfig::default() });
    }
    for scrape in &config.scrapes {
        if !named(&servers, &scrape.server) {
            let name = scrape.server.clone();
            servers.push(ServerConfig { name, remote: true, ..ServerConfig::default() });
        }
    }
    let member = |mut server: ServerConfig| {
        let of = config.scrapes.iter().filter(|scrape| scrape.server == server.name);
        let scrapes: Vec<_> = of.cloned().collect();
        // What the plugins here read is this machine, which another one that is scraped is not.
        let is_elsewhere = server.remote || (!scrapes.is_empty() && server.name != this_machine);
        if server.collectors.is_empty() && !is_elsewhere {
            server.collectors = BUNDLED.map(bundled).into();
        }
        let name: Arc<str> = server.name.as_str().into();
        (name, Member { server, interval: config.collect.interval, scrapes, awaited: true })
    };
    servers.into_iter().map(member).collect()
}

/// What turns one server from `before` into `after`.
pub(super) fn change(before: Option<&Member>, after: Option<&Member>) -> Change {
    match (before, after) {
        (None, Some(_)) => Change::Start,
        (Some(_), None) => Change::Stop,
        (Some(before), Some(after)) if !before.is_read_as(after) => Change::Replace,
        (Some(_), Some(_)) | (None, None) => Change::Stay,
    }
}

fn bundled(name: &str) -> CollectorConfig {
    CollectorConfig {
        name: name.into(),
        plugin: format!("org.bartizan.{name}"),
        interval: None,
        config: serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn member(tags: &[(&str, &str)]) -> Member {
        let tags = tags.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Member::of_known("web-1", Known { tags, first_ms: 0 })
    }

    /// Names of the collectors by plugins, and of exporters, of each server.
    fn read(config: &Config) -> BTreeMap<String, (Vec<String>, usize, Origin)> {
        let members = configured(config, "tower").into_iter();
        members
            .map(|(name, member)| {
                let names = member.server.collectors.iter().map(|c| c.name.clone()).collect();
                (name.to_string(), (names, member.scrapes.len(), member.origin()))
            })
            .collect()
    }

    #[test]
    fn an_empty_configuration_watches_this_machine_with_every_bundled_collector() {
        let members = configured(&Config::default(), "tower");
        let (name, member) = members.first_key_value().unwrap();
        assert_eq!((members.len(), &**name, member.interval), (1, "tower", SECOND));
        let bundled = (BUNDLED.map(str::to_owned).to_vec(), 0, Origin::Local);
        assert_eq!(read(&Config::default())["tower"], bundled);
    }

    #[test]
    fn plugins_read_this_machine_and_no_other_that_writes_or_is_scraped() {
        let text = "[[server]]\nname = 'db-1'\n[[server]]\nname = 'db-2'\nremote = true\n";
        let mut config = Config::parse(text, "b.toml").unwrap();
        let scrape = |server: &str| ScrapeConfig { server: server.into(), ..Default::default() };
        config.scrapes = ["db-1", "db-3", "tower"].map(scrape).into();
        let (bundled, none) = (BUNDLED.map(str::to_owned).to_vec(), Vec::new);
        let expected = [
            ("db-1".to_owned(), (none(), 1, Origin::Scrape)),
            ("db-2".to_owned(), (none(), 0, Origin::Remote)),
            ("db-3".to_owned(), (none(), 1, Origin::Scrape)),
        ];
        let mut without = expected.to_vec();
        without.push(("tower".to_owned(), (none(), 1, Origin::Scrape)));
        assert_eq!(read(&config), without.into_iter().collect(), "db-1 is no remote one");

        config.servers.remove(0);
        let mut with = expected.to_vec();
        with.push(("tower".to_owned(), (bundled, 1, Origin::Local)));
        assert_eq!(read(&config), with.into_iter().collect());
    }

    #[test]
    fn only_what_is_read_in_another_way_is_started_anew() {
        let (one, other) = (member(&[("env", "prod")]), member(&[("env", "dev")]));
        assert_eq!(change(None, Some(&one)), Change::Start);
        assert_eq!(change(Some(&one), None), Change::Stop);
        assert_eq!(change(Some(&one), Some(&other)), Change::Replace);
        let mut limited = one.clone();
        limited.server.thresholds.insert("load1".into(), Default::default());
        assert_eq!(change(Some(&one), Some(&limited)), Change::Stay);
    }

    #[test]
    fn tags_of_the_configuration_stand_over_those_of_a_token() {
        let known = |env: &str| {
            let tags = [("env", env), ("site", "a")].map(|(k, v)| (k.to_owned(), v.to_owned()));
            Some(Known { tags: tags.into(), first_ms: 0 })
        };
        let with = member(&[("env", "prod")]).with(known("dev"));
        assert_eq!(with.server.tags, member(&[("env", "prod"), ("site", "a")]).server.tags);
    }
}
