//! One sentence for each piece of news: what a subject and an SMS say.

use std::collections::HashMap;

use super::{
    cut,
    name::{COLLECTOR_STATE, SERVER_STATE, STORE_STATE, name},
    one_line, quantity, say,
};
use crate::{
    alert::notice::{News, Notice, What},
    config::{Language, Severity, Side},
};

/// Longest subject, in characters.
const SUBJECT_MAX: usize = 200;
/// News older than this carry their time in an SMS, which otherwise is read as if it were now.
const LATE_MS: i64 = 5 * 60_000;

/// `CRITICAL web-1: CPU 98.2 % above 95 %`, of the worst that is told; of others only how many there are.
pub fn subject(notice: &Notice) -> String {
    let latest = latest(&notice.news);
    let Some(worst) = latest.first() else { return String::new() };
    let more = more(latest.len() - 1, notice.language);
    let room = SUBJECT_MAX - more.chars().count();
    format!("{}{more}", cut(&headline(worst, notice, notice.made_ms), room))
}

/// A sentence for each incident, the worst first, with its time where that is some while ago.
pub fn items(notice: &Notice, now_ms: i64) -> Vec<String> {
    let told = latest(&notice.news).into_iter();
    told.map(|news| {
        let mut text = headline(news, notice, now_ms);
        if now_ms.saturating_sub(news.at_ms) > LATE_MS && news.what != What::Test {
            text.push_str(say(notice.language, ", ", "，"));
            text.push_str(&quantity::moment(news.at_ms));
        }
        text
    })
    .collect()
}

/// How many more there are, to be put behind.
pub fn more(count: usize, language: Language) -> String {
    match (count, language) {
        (0, _) => String::new(),
        (_, Language::En) => format!(" (+{count} more)"),
        (_, Language::Zh) => format!("（另有 {count} 条）"),
    }
}

/// The last that is told of each incident, the worst first: what was over when the notice was made is not told as if
/// it lasted.
pub(super) fn latest(news: &[News]) -> Vec<&News> {
    let last: HashMap<_, _> =
        news.iter().enumerate().map(|(at, news)| (news.incident, at)).collect();
    let mut latest: Vec<&News> = news
        .iter()
        .enumerate()
        .filter(|(at, news)| last.get(&news.incident) == Some(at))
        .map(|(_, news)| news)
        .collect();
    latest.sort_by_key(|news| match (news.what, news.severity) {
        (What::Fired | What::Escalated | What::Reminded, Severity::Critical) => 0,
        (What::Fired | What::Escalated | What::Reminded, Severity::Warning) => 1,
        (What::Flapping, _) => 2,
        (What::Resolved, _) => 3,
        (What::Withdrawn | What::Test, _) => 4,
    });
    latest
}

/// State, server and sentence.
pub(super) fn headline(news: &News, notice: &Notice, now_ms: i64) -> String {
    let language = notice.language;
    if news.what == What::Test {
        let contact = one_line(&notice.contact);
        return match language {
            Language::En => format!("TEST: notices to {contact} arrive"),
            Language::Zh => format!("测试：发给 {contact} 的通知可以送达"),
        };
    }
    let (state, server) = (state(news, language), one_line(&news.server));
    let colon = say(language, ": ", "：");
    format!("{state} {server}{colon}{}", sentence(news, language, now_ms))
}

/// The word that a headline begins with.
pub(super) fn state(news: &News, language: Language) -> &'static str {
    match (news.what, news.severity) {
        (What::Resolved, _) => say(language, "RESOLVED", "已恢复"),
        (What::Withdrawn, _) => say(language, "WITHDRAWN", "已撤销"),
        (What::Flapping, _) => say(language, "FLAPPING", "反复"),
        (What::Test, _) => say(language, "TEST", "测试"),
        (_, Severity::Critical) => say(language, "CRITICAL", "严重"),
        (_, Severity::Warning) => say(language, "WARNING", "警告"),
    }
}

/// What happened: `CPU 98.2 % above 95 %`.
fn sentence(news: &News, language: Language, now_ms: i64) -> String {
    let name = name(news, language);
    let lasted = || {
        let span = quantity::span(news.at_ms.saturating_sub(news.opened_ms), language);
        match language {
            Language::En => format!(", after {span}"),
            Language::Zh => format!("，历时 {span}"),
        }
    };
    let mut text = match news.what {
        What::Fired | What::Escalated => breach(news, &name, language),
        What::Reminded => {
            let span = quantity::span(now_ms.saturating_sub(news.opened_ms), language);
            let breach = breach(news, &name, language);
            match language {
                Language::En => format!("{breach}, still after {span}"),
                Language::Zh => format!("{breach}，已持续 {span}"),
            }
        }
        What::Flapping => match language {
            Language::En => format!("{name} comes and goes, no more is told until it is steady"),
            Language::Zh => format!("{name} 时好时坏，稳定之前不再通知"),
        },
        What::Resolved => format!("{}{}", fine(news, &name, language), lasted()),
        What::Withdrawn => {
            format!("{name}{}{}", say(language, " no longer judged", " 不再判断"), lasted())
        }
        What::Test => say(language, "nothing happened", "没有任何异常").to_owned(),
    };
    if news.in_absence {
        text.push_str(say(language, ", while Bartizan was not running", "（Bartizan 未运行期间）"));
    }
    text
}

/// What is wrong. The rule's own words for it come first.
fn breach(news: &News, name: &str, language: Language) -> String {
    if news.absence {
        return match language {
            Language::En => format!("no data for {name}"),
            Language::Zh => format!("{name} 无数据"),
        };
    }
    if let Some(summary) = news.summary.as_deref().map(one_line).filter(|text| !text.is_empty()) {
        return summary;
    }
    match &*news.metric {
        COLLECTOR_STATE => return format!("{name}{}", say(language, " is silent", " 无响应")),
        STORE_STATE => return format!("{name}{}", say(language, " takes no samples", "无法写入")),
        SERVER_STATE => return format!("{name}{}", say(language, " offline", "离线")),
        _ => {}
    }
    let (value, limit) = value_and_limit(news, language);
    let limit = limit.map(|(side, limit)| match language {
        Language::En => format!("{} {limit}", side.name()),
        Language::Zh => format!("{} {limit}", side_in_chinese(side)),
    });
    match (value, limit, language) {
        (Some(value), Some(limit), Language::En) => format!("{name} {value} {limit}"),
        (Some(value), Some(limit), Language::Zh) => format!("{name} {value}，{limit}"),
        (Some(known), None, _) | (None, Some(known), _) => format!("{name} {known}"),
        (None, None, _) => format!("{name}{}", say(language, " beyond its limit", " 超出阈值")),
    }
}

/// What is right again.
fn fine(news: &News, name: &str, language: Language) -> String {
    if news.absence {
        return match language {
            Language::En => format!("data for {name} is back"),
            Language::Zh => format!("{name} 数据恢复"),
        };
    }
    match (&*news.metric, value_and_limit(news, language).0) {
        (COLLECTOR_STATE, _) => format!("{name}{}", say(language, " speaks again", " 恢复响应")),
        (STORE_STATE, _) => format!("{name}{}", say(language, " takes samples again", "恢复写入")),
        (SERVER_STATE, _) => format!("{name}{}", say(language, " online again", "恢复在线")),
        (_, Some(value)) => format!("{name} {value}"),
        (_, None) => format!("{name}{}", say(language, " fine again", " 恢复正常")),
    }
}

/// Value and limit as they are shown; what is no number is not shown.
pub(super) fn value_and_limit(
    news: &News,
    language: Language,
) -> (Option<String>, Option<(Side, String)>) {
    let (metric, unit) = (&*news.metric, &*news.unit);
    let value = news.value.filter(|value| value.is_finite() && !news.absence);
    let limit = news.limit.filter(|(_, limit)| limit.is_finite() && !news.absence);
    match (value, limit) {
        (Some(value), Some((side, limit))) => {
            let (value, limit) = quantity::pair((value, limit), metric, unit, language);
            (Some(value), Some((side, limit)))
        }
        (value, limit) => (
            value.map(|value| quantity::value(value, metric, unit, language)),
            limit.map(|(side, limit)| (side, quantity::value(limit, metric, unit, language))),
        ),
    }
}

pub(super) fn side_in_chinese(side: Side) -> &'static str {
    match side {
        Side::Above => "高于",
        Side::Below => "低于",
    }
}
