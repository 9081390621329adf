//! Two machines on this one: network namespaces with a cable between them that can be slowed, pulled and filtered.
//!
//! ```text
//!  namespace hub  10.213.0.1 ── veth ── 10.213.0.2  namespace agent
//! ```
//!
//! Only root may make them. Each namespace has its own loopback and no way to anywhere else.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
};

use crate::peer::{need, run};

/// The hub's address.
pub const HUB: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 1);

/// The agent's address.
pub const AGENT: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 2);

/// The two, and their cable. Dropping it takes all of them away.
pub struct Cable {
    /// Name of the hub's namespace.
    pub hub: String,
    /// Name of the agent's namespace.
    pub agent: String,
}

impl Cable {
    /// Two fresh namespaces, connected.
    ///
    /// # Panics
    ///
    /// Where this is not allowed, or a program is missing; the text says which.
    pub fn lay() -> Self {
        for (program, package) in [("ip", "iproute2"), ("tc", "iproute2"), ("nft", "nftables")] {
            need(program, package);
        }
        let root = rustix::process::geteuid().is_root();
        assert!(root, "network namespaces are made by root only: run this scenario as root");
        let own = std::process::id();
        let cable = Self { hub: format!("bz-hub-{own}"), agent: format!("bz-agent-{own}") };
        for name in [&cable.hub, &cable.agent] {
            ip(&["netns", "add", name]);
            ip(&["-n", name, "link", "set", "lo", "up"]);
        }
        let (hub, agent) = (&cable.hub, &cable.agent);
        ip(&[
            "-n", hub, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns",
            agent,
        ]);
        for (name, address) in [(hub, HUB), (agent, AGENT)] {
            ip(&["-n", name, "address", "add", &format!("{address}/24"), "dev", "wire"]);
            ip(&["-n", name, "link", "set", "wire", "up"]);
        }
        cable
    }

    /// Pulls the cable at the agent's end, or puts it back.
    pub fn plugged(&self, plugged: bool) {
        ip(&["-n", &self.agent, "link", "set", "wire", if plugged { "up" } else { "down" }]);
    }

    /// So many kilobits a second from the agent to the hub, by a token bucket; without a number as fast as it goes.
    pub fn rate(&self, kilobits: Option<u32>) {
        let of_wire = |verb| ["-n", &self.agent, "qdisc", verb, "dev", "wire", "root"];
        match kilobits {
            Some(rate) => {
                let rate = format!("{rate}kbit");
                let bucket = ["tbf", "rate", &rate, "burst", "16kb", "latency", "400ms"];
                tool("tc", "iproute2", &[&of_wire("replace")[..], &bucket].concat());
            }
            None => tool("tc", "iproute2", &of_wire("del")),
        }
    }

    /// Drops, at the hub, what comes in or what goes out, without a word; or nothing any more.
    pub fn filter(&self, drops: Drops) {
        let rules = match drops {
            Drops::Nothing => "flush ruleset".to_owned(),
            Drops::Incoming => one_rule("input", "iifname"),
            Drops::Outgoing => one_rule("output", "oifname"),
        };
        tool("ip", "iproute2", &["netns", "exec", &self.hub, "nft", &rules]);
    }

    /// Where a hub listens in its namespace.
    pub fn hub_address(&self, port: u16) -> SocketAddr {
        (HUB, port).into()
    }
}

/// What a filter drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drops {
    /// Nothing.
    Nothing,
    /// Requests do not arrive.
    Incoming,
    /// Requests arrive; no answer does.
    Outgoing,
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in [&self.hub, &self.agent] {
            // With a namespace its end of the cable goes, and with that the other end.
            let _ = Command::new("ip").args(["netns", "delete", name]).status();
        }
    }
}

/// What comes from the namespace itself passes: a daemon's own loopback has nothing to do with the cable.
fn one_rule(hook: &str, interface: &str) -> String {
    format!(
        "flush ruleset; add table inet cut; add chain inet cut wires {{ type filter hook {hook} \
         priority 0; policy accept; }}; add rule inet cut wires {interface} != lo drop"
    )
}

fn ip(arguments: &[&str]) {
    tool("ip", "iproute2", arguments);
}

fn tool(program: &str, package: &str, arguments: &[&str]) {
    let mut command = Command::new(need(program, package));
    command.args(arguments);
    run(command);
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use std::process::{Child, Stdio};

    use super::*;

    /// Whether a connection from the agent to the hub comes about within a second.
    fn connects(cable: &Cable, port: u16) -> bool {
        let look = format!("exec 3<>/dev/tcp/{HUB}/{port}");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &cable.agent, "timeout", "1", "bash", "-c", &look]);
        command.stderr(Stdio::null()).status().unwrap().success()
    }

    /// Somebody who listens in the hub's namespace.
    struct Listening(Child);

    impl Drop for Listening {
        fn drop(&mut self) {
            // It ends with its namespace's scenario either way.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_cable_is_pulled_and_filtered_and_put_back() {
        let cable = Cable::lay();
        let server = "$s = IO::Socket::INET->new(LocalPort => 7000, Listen => 9);\
                      while (1) { push @open, $s->accept }";
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &cable.hub, "perl", "-MIO::Socket", "-e", server]);
        let _listening = Listening(command.spawn().unwrap());
        let began = std::time::Instant::now();
        while !connects(&cable, 7000) {
            assert!(began.elapsed() < crate::DEADLINE, "nobody listens in the other namespace");
        }
        cable.plugged(false);
        assert!(!connects(&cable, 7000), "the cable is pulled");
        cable.plugged(true);
        for drops in [Drops::Incoming, Drops::Outgoing] {
            cable.filter(drops);
            assert!(!connects(&cable, 7000), "{drops:?}");
        }
        cable.filter(Drops::Nothing);
        cable.rate(Some(64));
        assert!(connects(&cable, 7000), "slow is not gone");
        cable.rate(None);
        assert!(connects(&cable, 7000));
    }
}
