//! The exact words of notices.

use super::{
    html, items, plain,
    samples::{FOUR_MINUTES_MS, TEN_MS, cpu, cpu_resolved, disk, notice, sender},
    subject,
};
use crate::{
    alert::notice::{News, Notice, Way, What},
    config::Language,
    series::Labels,
};

#[test]
fn a_subject_says_state_server_and_what() {
    let labelled = |metric: &str, label: &str, value: &str| News {
        metric: metric.into(),
        labels: Labels::new([(label, value)]),
        ..cpu()
    };
    let silent = labelled("bartizan_collector_state", "collector", "disk");
    let offline = News { metric: "bartizan_server_state".into(), ..cpu() };
    let own = News {
        rule: "queue-too_long".into(),
        unit: "jobs".into(),
        value: Some(1500.0),
        limit: None,
        ..labelled("queue_length", "queue", "mail")
    };
    let cases = [
        (cpu(), "CRITICAL web-1: CPU 98.2 % above 95 %", "严重 web-1：CPU 使用率 98.2%，高于 95%"),
        (
            disk(),
            "WARNING web-1: disk /var 84 % above 80 %",
            "警告 web-1：磁盘 /var 使用率 84%，高于 80%",
        ),
        (
            cpu_resolved(),
            "RESOLVED web-1: CPU 12 %, after 4 min",
            "已恢复 web-1：CPU 使用率 12%，历时 4 分钟",
        ),
        (
            News { what: What::Withdrawn, ..cpu_resolved() },
            "WITHDRAWN web-1: CPU no longer judged, after 4 min",
            "已撤销 web-1：CPU 使用率 不再判断，历时 4 分钟",
        ),
        (
            News { what: What::Reminded, opened_ms: TEN_MS - 14_400_000, ..cpu() },
            "CRITICAL web-1: CPU 98.2 % above 95 %, still after 4 h",
            "严重 web-1：CPU 使用率 98.2%，高于 95%，已持续 4 小时",
        ),
        (
            News { what: What::Flapping, ..cpu() },
            "FLAPPING web-1: CPU comes and goes, no more is told until it is steady",
            "反复 web-1：CPU 使用率 时好时坏，稳定之前不再通知",
        ),
        (
            News { in_absence: true, ..cpu() },
            "CRITICAL web-1: CPU 98.2 % above 95 %, while Bartizan was not running",
            "严重 web-1：CPU 使用率 98.2%，高于 95%（Bartizan 未运行期间）",
        ),
        (
            News { absence: true, ..cpu() },
            "CRITICAL web-1: no data for CPU",
            "严重 web-1：CPU 使用率 无数据",
        ),
        (
            News { absence: true, ..cpu_resolved() },
            "RESOLVED web-1: data for CPU is back, after 4 min",
            "已恢复 web-1：CPU 使用率 数据恢复，历时 4 分钟",
        ),
        (
            silent.clone(),
            "CRITICAL web-1: collector disk is silent",
            "严重 web-1：采集器 disk 无响应",
        ),
        (
            News { what: What::Resolved, ..silent },
            "RESOLVED web-1: collector disk speaks again, after less than 1 s",
            "已恢复 web-1：采集器 disk 恢复响应，历时 不到 1 秒",
        ),
        (offline, "CRITICAL web-1: server offline", "严重 web-1：服务器离线"),
        (
            News { value: None, ..labelled("network_receive_bytes_total", "interface", "eth0") },
            "CRITICAL web-1: network eth0 receive above 95 %",
            "严重 web-1：网卡 eth0 接收速率 高于 95%",
        ),
        (
            own,
            "CRITICAL web-1: queue too long mail 1500 jobs",
            "严重 web-1：queue too long mail 1500 jobs",
        ),
        (
            News { summary: Some("web is\nslow".into()), ..cpu() },
            "CRITICAL web-1: web is slow",
            "严重 web-1：web is slow",
        ),
        (
            News { what: What::Test, ..cpu() },
            "TEST: notices to ops arrive",
            "测试：发给 ops 的通知可以送达",
        ),
    ];
    for (news, english, chinese) in cases {
        let notice = mail(vec![news]);
        assert_eq!(subject(&notice), english);
        assert_eq!(subject(&chinese_of(notice)), chinese);
    }
}

#[test]
fn of_several_news_the_worst_is_told_and_the_others_counted() {
    let notice = mail(vec![disk(), cpu(), News { incident: super::IncidentId(19), ..disk() }]);
    assert_eq!(subject(&notice), "CRITICAL web-1: CPU 98.2 % above 95 % (+2 more)");
    let notice = chinese_of(notice);
    assert_eq!(subject(&notice), "严重 web-1：CPU 使用率 98.2%，高于 95%（另有 2 条）");
}

#[test]
fn what_is_over_by_now_is_not_told_as_if_it_lasted() {
    let notice = mail(vec![cpu(), disk(), cpu_resolved()]);
    assert_eq!(subject(&notice), "WARNING web-1: disk /var 84 % above 80 % (+1 more)");
    assert_eq!(
        items(&notice, TEN_MS + 360_000),
        [
            "WARNING web-1: disk /var 84 % above 80 %, 2026-11-22 10:00:00 UTC",
            "RESOLVED web-1: CPU 12 %, after 4 min",
        ]
    );
}

#[test]
fn a_letter_answers_what_a_person_asks_next() {
    assert_eq!(
        plain(&mail(vec![disk(), cpu_resolved()]), &sender(), TEN_MS + FOUR_MINUTES_MS),
        "WARNING web-1: disk /var 84 % above 80 %

  What      began
  Server    web-1
  Rule      disk
  Metric    disk_usage_ratio{device=\"vda1\",mount=\"/var\"}
  Value     84 %
  Limit     above 80 %
  Since     2026-11-22 10:00:00 UTC (4 min ago)
  Runbook   https://wiki.example.org/disk?a=1&b=2
  Details   https://watch.example.org/a/18


RESOLVED web-1: CPU 12 %, after 4 min

  What      is over
  Server    web-1
  Rule      cpu
  Metric    cpu_usage_ratio
  Value     12 %
  Limit     above 95 %
  Lasted    4 min, from 2026-11-22 10:00:00 UTC to 2026-11-22 10:04:00 UTC
  Details   https://watch.example.org/a/17


-- 
Bartizan, notice 5 to ops, 2026-11-22 10:00:00 UTC
"
    );
}

#[test]
fn a_letter_in_chinese() {
    let news = News { what: What::Escalated, in_absence: true, ..cpu() };
    let sender = super::Sender { public_url: None, ..sender() };
    assert_eq!(
        plain(&chinese_of(mail(vec![news])), &sender, TEN_MS + FOUR_MINUTES_MS),
        "严重 web-1：CPU 使用率 98.2%，高于 95%（Bartizan 未运行期间）

  情况：升级为严重，2026-11-22 10:00:00 UTC（4 分钟前）
  服务器：web-1
  规则：cpu
  指标：cpu_usage_ratio
  当前值：98.2%
  阈值：高于 95%
  开始于：2026-11-22 10:00:00 UTC（4 分钟前）
  备注：发生于 Bartizan 未运行期间


-- 
Bartizan，通知 5，发给 ops，2026-11-22 10:00:00 UTC
"
    );
}

#[test]
fn html_says_the_same_and_needs_nothing_from_elsewhere() {
    let html = html(&mail(vec![disk()]), &sender(), TEN_MS);
    for part in [
        "<html lang=\"en\">",
        "content=\"light dark\"",
        ">WARNING</span> web-1: disk /var 84 % above 80 %</h2>",
        "Since</th><td>2026-11-22 10:00:00 UTC (just now)</td>",
        "<a href=\"https://wiki.example.org/disk?a=1&amp;b=2\">",
        "<a href=\"https://watch.example.org/a/18\">https://watch.example.org/a/18</a>",
    ] {
        assert!(html.contains(part), "{part} is missing in {html}");
    }
    for part in ["<img", "<script", "<link", "url(", "src="] {
        assert!(!html.contains(part), "{part} in {html}");
    }
}

#[test]
fn names_from_elsewhere_are_not_taken_for_html_and_break_no_line() {
    let news = News {
        server: "web\r\nBcc: x@example.org\u{202e}".into(),
        runbook: Some("javascript:alert('x')".into()),
        labels: Labels::new([("mount", "/<img src=x>")]),
        ..disk()
    };
    let notice = mail(vec![news]);
    assert_eq!(
        subject(&notice),
        "WARNING web Bcc: x@example.org: disk /<img src=x> 84 % above 80 %"
    );
    let html = html(&notice, &sender(), TEN_MS);
    assert!(!html.contains("<img"), "{html}");
    assert!(html.contains("<td>javascript:alert(&#39;x&#39;)</td>"), "no link: {html}");
}

#[test]
fn a_letter_and_a_subject_have_an_end() {
    let many = (0..1000).map(|at| News {
        incident: super::IncidentId(at),
        summary: Some("long ".repeat(200).into()),
        ..cpu()
    });
    let notice = mail(many.collect());
    assert_eq!(subject(&notice).chars().count(), 200);
    assert!(subject(&notice).ends_with("… (+999 more)"), "{}", subject(&notice));
    let text = plain(&notice, &sender(), TEN_MS);
    assert!(text.contains("and 950 more, not shown here"));
    assert_eq!(text.matches("CRITICAL").count(), 50);
}

fn mail(news: Vec<News>) -> Notice {
    notice(Way::Email, "ops@example.org", news)
}

fn chinese_of(notice: Notice) -> Notice {
    Notice { language: Language::Zh, ..notice }
}
