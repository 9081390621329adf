//! What is measured, by the name that people have for it.

use super::one_line;
use crate::{alert::notice::News, config::Language};

/// The daemon's own metric of whether a collector speaks.
pub(super) const COLLECTOR_STATE: &str = "bartizan_collector_state";
/// The daemon's own metric of whether a server's samples are stored.
pub(super) const STORE_STATE: &str = "bartizan_store_state";
/// The daemon's own metric of whether a server is there.
pub(super) const SERVER_STATE: &str = "bartizan_server_state";

/// The name of what `news` is about, with the labels that tell it apart: `disk /var`. Of a metric that is not known
/// here, the rule's name in words.
pub(super) fn name(news: &News, language: Language) -> String {
    let label = |name: &str| news.labels.get(name).map(one_line).filter(|value| !value.is_empty());
    let known = match &*news.metric {
        "cpu_usage_ratio" => Some(("CPU".into(), "CPU 使用率".into())),
        "cpu_core_usage_ratio" => label("core")
            .map(|core| (format!("CPU core {core}"), format!("CPU 核心 {core} 使用率"))),
        "cpu_temperature_celsius" => label("sensor")
            .map(|sensor| (format!("temperature {sensor}"), format!("温度 {sensor}"))),
        "memory_usage_ratio" => Some(("memory".into(), "内存使用率".into())),
        "swap_usage_ratio" => Some(("swap".into(), "交换空间使用率".into())),
        "disk_usage_ratio" => {
            label("mount").map(|mount| (format!("disk {mount}"), format!("磁盘 {mount} 使用率")))
        }
        "disk_inodes_usage_ratio" => label("mount")
            .map(|mount| (format!("inodes of {mount}"), format!("磁盘 {mount} inode 使用率"))),
        "load1" | "load5" | "load15" => Some(("load".into(), "系统负载".into())),
        "pressure_cpu_ratio" => Some(("CPU pressure".into(), "CPU 压力".into())),
        "pressure_memory_ratio" => Some(("memory pressure".into(), "内存压力".into())),
        "pressure_io_ratio" => Some(("I/O pressure".into(), "I/O 压力".into())),
        COLLECTOR_STATE => label("collector")
            .map(|collector| (format!("collector {collector}"), format!("采集器 {collector}"))),
        STORE_STATE => Some(("store".into(), "存储".into())),
        SERVER_STATE => Some(("server".into(), "服务器".into())),
        metric => label("interface").and_then(|interface| network(metric, &interface)),
    };
    match (known, language) {
        (Some((english, _)), Language::En) => english,
        (Some((_, chinese)), Language::Zh) => chinese,
        (None, _) => of_rule(news),
    }
}

fn network(metric: &str, interface: &str) -> Option<(String, String)> {
    let metric = metric.strip_prefix("network_")?;
    let (english, chinese) = if metric.starts_with("receive_") {
        ("receive", "接收")
    } else if metric.starts_with("transmit_") {
        ("transmit", "发送")
    } else {
        return None;
    };
    let (english_of, chinese_of) = if metric.contains("_errors") {
        (" errors", "错误")
    } else if metric.contains("_drops") {
        (" drops", "丢包")
    } else if metric.contains("_packets") {
        (" packets", "包数")
    } else if metric.contains("_ratio") {
        (" load", "带宽使用率")
    } else {
        ("", "速率")
    };
    Some((
        format!("network {interface} {english}{english_of}"),
        format!("网卡 {interface} {chinese}{chinese_of}"),
    ))
}

/// The rule's name in words, and the values of all labels.
fn of_rule(news: &News) -> String {
    let words = news.rule.replace(['-', '_'], " ");
    let values = news.labels.iter().map(|(_, value)| value);
    one_line(&[&*words].into_iter().chain(values).collect::<Vec<_>>().join(" "))
}
