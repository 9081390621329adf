//! Who is monitored, and what a new configuration changes of it: decisions without actors.

use std::time::Duration;

use crate::config::{CollectorConfig, Config, ServerConfig};

/// The bundled plugins, by name; a server that names no collector has one of each.
const BUNDLED: [&str; 5] = ["cpu", "disk", "load", "memory", "network"];

/// A server, and how often it is read unless a collector says otherwise.
pub(super) type Member = (ServerConfig, Duration);

/// What is to be done about a server.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// It is new.
    Start(Member),
    /// It is no longer monitored.
    Stop(String),
    /// It is configured in another way: stop it, then start it so.
    Replace(Member),
}

/// Who is monitored according to `config` on the machine called `this_machine`.
pub(super) fn members(config: &Config, this_machine: &str) -> Vec<Member> {
    let mut servers = config.servers.clone();
    if servers.is_empty() {
        servers.push(ServerConfig { name: this_machine.into(), ..ServerConfig::default() });
    }
    for server in &mut servers {
        if server.collectors.is_empty() {
            server.collectors = BUNDLED.map(bundled).into();
        }
    }
    servers.into_iter().map(|server| (server, config.collect.interval)).collect()
}

/// What turns the fleet `before` into the fleet `after`.
pub(super) fn changes(before: &[Member], after: &[Member]) -> Vec<Change> {
    let find = |members: &[Member], name: &str| {
        members.iter().find(|(server, _)| server.name == name).cloned()
    };
    let gone = before.iter().filter(|(server, _)| find(after, &server.name).is_none());
    let stops = gone.map(|(server, _)| Change::Stop(server.name.clone()));
    let others = after.iter().filter_map(|member| match find(before, &member.0.name) {
        None => Some(Change::Start(member.clone())),
        Some(known) if !is_read_alike(&known, member) => Some(Change::Replace(member.clone())),
        Some(_) => None,
    });
    stops.chain(others).collect()
}

/// Whether both are read in the same way: other limits are no reason to stop and start its collectors.
fn is_read_alike((one, one_interval): &Member, (other, other_interval): &Member) -> bool {
    (&one.tags, &one.collectors, one_interval) == (&other.tags, &other.collectors, other_interval)
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
    use super::*;

    #[test]
    fn an_empty_configuration_watches_this_machine_with_every_bundled_collector() {
        let members = members(&Config::default(), "tower");
        assert_eq!(members.len(), 1);
        let (server, interval) = &members[0];
        assert_eq!(server.name, "tower");
        assert_eq!(*interval, Duration::from_secs(1));
        let names: Vec<_> = server.collectors.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, BUNDLED);
    }

    #[test]
    fn a_reload_touches_only_what_changed() {
        let second = Duration::from_secs(1);
        let member = |name: &str, role: &str| {
            let tags = [("role".to_owned(), role.to_owned())].into();
            (ServerConfig { name: name.into(), tags, ..ServerConfig::default() }, second)
        };
        let before = [member("same", "db"), member("changed", "db"), member("gone", "db")];
        let after = [member("same", "db"), member("changed", "web"), member("new", "db")];

        let expected = [
            Change::Stop("gone".into()),
            Change::Replace(member("changed", "web")),
            Change::Start(member("new", "db")),
        ];
        assert_eq!(changes(&before, &after), expected);
    }
}
