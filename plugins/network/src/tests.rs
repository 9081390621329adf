//! Runs the collector on captured machines and on this one.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{fs, path::Path};

use bartizan_plugin::testing::{Host, Round, Value};

use super::Network;

const HEADINGS: &str = "Inter-| Receive | Transmit\n face |bytes packets|bytes\n";

#[test]
fn a_captured_machine_is_read_as_it_was() {
    let mut host = captured("router");
    let round = host.collect().unwrap();
    let of = |metric, interface| round.value(metric, &[("interface", interface)]);

    let exact = round.samples.iter().find(|sample| {
        sample.metric == "network_receive_bytes_total" && sample.labels[0].1 == "enp3s0f1"
    });
    assert_eq!(exact.unwrap().value, Value::Counter(u64::MAX), "no digit is lost");
    assert_eq!(of("network_transmit_bytes_total", "bond0"), Some(2000.0));
    assert_eq!(of("network_receive_packets_total", "enp3s0f1"), Some(17.0));
    assert_eq!(of("network_transmit_packets_total", "enp3s0f1"), Some(19.0));
    assert_eq!(of("network_receive_errors_total", "enp3s0f1"), Some(3.0));
    assert_eq!(of("network_transmit_errors_total", "enp3s0f1"), Some(7.0));
    assert_eq!(of("network_receive_drops_total", "enp3s0f1"), Some(5.0));
    assert_eq!(of("network_transmit_drops_total", "enp3s0f1"), Some(11.0));
    assert_eq!(of("network_link_speed_bytes", "enp3s0f1"), Some(1.25e9));
    assert_eq!(of("network_link_speed_bytes", "lo"), None);
    assert_eq!(up(&round, "enp3s0f1", "true"), Some(1.0));
    assert_eq!(up(&round, "lo", "false"), Some(1.0));
    assert_eq!(up(&round, "docker0", "false"), Some(0.0));
    assert_eq!(host.destroy(), [], "nothing to complain of");
}

#[test]
fn a_virtual_card_has_no_speed() {
    let round = captured("vm").collect().unwrap();
    assert_eq!(round.value("network_link_speed_bytes", &[("interface", "eth0")]), None);
    assert_eq!(up(&round, "eth0", "true"), Some(1.0));
    assert_eq!(up(&round, "ifb0", "false"), Some(0.0));
}

#[test]
fn an_interface_that_vanishes_takes_its_series_and_gets_them_back() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("proc/net")).unwrap();
    let write = |interfaces: &[(&str, u32)]| {
        let line = |(name, bytes): &(&str, u32)| {
            format!("{name}: {bytes} 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0\n")
        };
        let lines: String = interfaces.iter().map(line).collect();
        fs::write(folder.path().join("proc/net/dev"), format!("{HEADINGS}{lines}")).unwrap();
    };
    let received =
        |round: &Round, name| round.value("network_receive_bytes_total", &[("interface", name)]);

    write(&[("lo", 1), ("tun0", 2)]);
    let mut host = host(folder.path());
    assert_eq!(received(&host.collect().unwrap(), "tun0"), Some(2.0));
    write(&[("lo", 3)]);
    let round = host.collect().unwrap();
    assert_eq!((received(&round, "lo"), received(&round, "tun0")), (Some(3.0), None));
    write(&[("tun0", 4), ("lo", 5)]);
    let round = host.collect().unwrap();
    assert_eq!((received(&round, "lo"), received(&round, "tun0")), (Some(5.0), Some(4.0)));
}

#[test]
fn a_broken_file_fails_the_round_and_names_the_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("proc/net")).unwrap();
    fs::write(folder.path().join("proc/net/dev"), format!("{HEADINGS}lo: 1 2 3\n")).unwrap();
    let error = host(folder.path()).collect().unwrap_err();
    assert_eq!(error.text(), "failed to parse `net/dev` line 3: ends before column 5 (drop)");
}

#[test]
fn this_machine_agrees_with_its_statistics() {
    let mut host = Host::new::<Network>("{}").unwrap();
    let statistic = |interface: &str, name: &str| -> f64 {
        let path = format!("/sys/class/net/{interface}/statistics/{name}");
        fs::read_to_string(path).unwrap().trim().parse().unwrap()
    };
    let pairs = [
        ("network_receive_bytes_total", "rx_bytes"),
        ("network_transmit_bytes_total", "tx_bytes"),
        ("network_receive_packets_total", "rx_packets"),
        ("network_transmit_packets_total", "tx_packets"),
        ("network_receive_errors_total", "rx_errors"),
        ("network_transmit_errors_total", "tx_errors"),
    ];
    for (metric, name) in pairs {
        let before = statistic("lo", name);
        let ours = host.collect().unwrap().value(metric, &[("interface", "lo")]).unwrap();
        let after = statistic("lo", name);
        assert!(before <= ours && ours <= after, "{metric}: {before} <= {ours} <= {after}");
    }
}

fn up(round: &Round, interface: &str, physical: &str) -> Option<f64> {
    round.value("network_link_up", &[("interface", interface), ("physical", physical)])
}

fn captured(machine: &str) -> Host {
    host(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(machine))
}

fn host(root: &Path) -> Host {
    let root = root.display();
    let config = format!(r#"{{"procfs":"{root}/proc","sysfs":"{root}/sys","rootfs":"{root}"}}"#);
    Host::new::<Network>(&config).unwrap()
}
