//! The body of a mail, as text and as HTML, from one list of facts.

use super::{
    Sender,
    name::{COLLECTOR_STATE, SERVER_STATE, STORE_STATE},
    one_line, quantity, say,
    sentence::{headline, side_in_chinese, state, subject, value_and_limit},
};
use crate::{
    alert::notice::{News, Notice, What},
    config::{Language, Severity},
};

/// Most news that are told one by one.
const NEWS_SHOWN: usize = 50;

/// One piece of news, taken apart.
struct Told {
    title: String,
    state: &'static str,
    colour: &'static str,
    facts: Vec<Fact>,
}

struct Fact {
    name: &'static str,
    text: String,
    link: bool,
}

/// The body as text.
pub fn plain(notice: &Notice, sender: &Sender, now_ms: i64) -> String {
    let mut text = String::new();
    for told in tell(notice, sender, now_ms) {
        text.push_str(&told.title);
        text.push_str("\n\n");
        for Fact { name, text: fact, .. } in told.facts {
            match notice.language {
                Language::En => text.push_str(&format!("  {name:<9} {fact}\n")),
                Language::Zh => text.push_str(&format!("  {name}：{fact}\n")),
            }
        }
        text.push_str("\n\n");
    }
    if let Some(left_out) = left_out(notice) {
        text.push_str(&format!("{left_out}\n\n\n"));
    }
    text.push_str(&format!("-- \n{}\n", foot(notice)));
    text
}

/// The body as HTML that needs nothing from elsewhere, and takes its colours from the reader's light or dark.
pub fn html(notice: &Notice, sender: &Sender, now_ms: i64) -> String {
    let language = say(notice.language, "en", "zh");
    let mut html = format!(
        "<!doctype html>\n<html lang=\"{language}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title></head>\n\
         <body style=\"font:16px/1.5 system-ui,sans-serif;margin:1em\">\n",
        escape(&subject(notice)),
    );
    for Told { title, state, colour, facts } in tell(notice, sender, now_ms) {
        let rest = title.strip_prefix(state).unwrap_or(&title).trim_start();
        html.push_str(&format!(
            "<h2 style=\"font-size:1.1em\"><span style=\"background:{colour};color:#fff;\
             padding:.1em .5em;border-radius:.3em\">{}</span> {}</h2>\n<table>\n",
            escape(state),
            escape(rest),
        ));
        for Fact { name, text, link } in facts {
            let text = escape(&text);
            let text = if link { format!("<a href=\"{text}\">{text}</a>") } else { text };
            html.push_str(&format!(
                "<tr><th align=\"left\" valign=\"top\" style=\"padding-right:1em;\
                 font-weight:normal;opacity:.7\">{}</th><td>{text}</td></tr>\n",
                escape(name),
            ));
        }
        html.push_str("</table>\n");
    }
    if let Some(left_out) = left_out(notice) {
        html.push_str(&format!("<p>{}</p>\n", escape(&left_out)));
    }
    let foot = escape(&foot(notice));
    html.push_str(&format!("<p style=\"font-size:.85em;opacity:.7\">{foot}</p>\n</body></html>\n"));
    html
}

fn tell<'a>(
    notice: &'a Notice,
    sender: &'a Sender,
    now_ms: i64,
) -> impl Iterator<Item = Told> + 'a {
    notice.news.iter().take(NEWS_SHOWN).map(move |news| Told {
        title: headline(news, notice, now_ms),
        state: state(news, notice.language),
        colour: colour(news),
        facts: facts(news, sender, notice.language, now_ms),
    })
}

/// What a person asks next: what, where, how much, since when, what to do.
fn facts(news: &News, sender: &Sender, language: Language, now_ms: i64) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |english, chinese, text: String| {
        facts.push(Fact { name: say(language, english, chinese), text, link: false });
    };
    add("What", "情况", what(news, language, now_ms));
    if news.what == What::Test {
        return facts;
    }
    add("Server", "服务器", one_line(&news.server));
    add("Rule", "规则", one_line(&news.rule));
    add("Metric", "指标", one_line(&format!("{}{}", news.metric, news.labels)));
    if ![COLLECTOR_STATE, SERVER_STATE, STORE_STATE].contains(&&*news.metric) {
        let (value, limit) = value_and_limit(news, language);
        if let Some(value) = value {
            add("Value", "当前值", value);
        }
        if let Some((side, limit)) = limit {
            let side = say(language, side.name(), side_in_chinese(side));
            add("Limit", "阈值", format!("{side} {limit}"));
        }
    }
    let (from, to) = (quantity::moment(news.opened_ms), quantity::moment(news.at_ms));
    if matches!(news.what, What::Resolved | What::Withdrawn) {
        let span = quantity::span(news.at_ms.saturating_sub(news.opened_ms), language);
        add(
            "Lasted",
            "持续",
            match language {
                Language::En => format!("{span}, from {from} to {to}"),
                Language::Zh => format!("{span}，自 {from} 至 {to}"),
            },
        );
    } else {
        let ago = quantity::ago(news.opened_ms, now_ms, language);
        add("Since", "开始于", in_brackets(&from, &ago, language));
    }
    if news.in_absence {
        let note = "happened while Bartizan was not running";
        add("Note", "备注", say(language, note, "发生于 Bartizan 未运行期间").to_owned());
    }
    if let Some(runbook) = &news.runbook {
        let (text, name) = (one_line(runbook), say(language, "Runbook", "处理手册"));
        let link = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
        facts.push(Fact { name, text, link });
    }
    if let Some(text) = sender.link(news.incident) {
        facts.push(Fact { name: say(language, "Details", "详情"), text, link: true });
    }
    facts
}

fn what(news: &News, language: Language, now_ms: i64) -> String {
    let what = match news.what {
        What::Fired => say(language, "began", "开始"),
        What::Escalated => say(language, "became critical", "升级为严重"),
        What::Reminded => say(language, "still lasts", "仍在持续"),
        What::Flapping => say(
            language,
            "comes and goes; no more is told until it has been steady for a while",
            "时好时坏；稳定一段时间之前不再通知",
        ),
        What::Resolved => say(language, "is over", "已恢复"),
        What::Withdrawn => say(
            language,
            "nobody judges it any more: its rule, collector or server is gone",
            "不再判断：规则、采集器或服务器已移除",
        ),
        What::Test => say(
            language,
            "nothing happened; somebody tests this way",
            "没有任何异常；有人在测试此渠道",
        ),
    };
    // The others happened when it began, or say themselves when.
    match news.what {
        What::Escalated | What::Flapping => {
            let ago = quantity::ago(news.at_ms, now_ms, language);
            let comma = say(language, ", ", "，");
            let at = in_brackets(&quantity::moment(news.at_ms), &ago, language);
            format!("{what}{comma}{at}")
        }
        _ => what.to_owned(),
    }
}

fn in_brackets(text: &str, added: &str, language: Language) -> String {
    match language {
        Language::En => format!("{text} ({added})"),
        Language::Zh => format!("{text}（{added}）"),
    }
}

fn left_out(notice: &Notice) -> Option<String> {
    let count = notice.news.len().checked_sub(NEWS_SHOWN).filter(|count| *count > 0)?;
    Some(match notice.language {
        Language::En => format!("and {count} more, not shown here"),
        Language::Zh => format!("另有 {count} 条，此处未列出"),
    })
}

fn foot(notice: &Notice) -> String {
    let (id, contact) = (notice.id.0, one_line(&notice.contact));
    let made = quantity::moment(notice.made_ms);
    match notice.language {
        Language::En => format!("Bartizan, notice {id} to {contact}, {made}"),
        Language::Zh => format!("Bartizan，通知 {id}，发给 {contact}，{made}"),
    }
}

/// White is readable on each of them, and each on white and on black.
fn colour(news: &News) -> &'static str {
    match (news.what, news.severity) {
        (What::Resolved, _) => "#2e7d32",
        (What::Withdrawn | What::Test, _) => "#5f6368",
        (_, Severity::Critical) => "#c62828",
        (_, Severity::Warning) => "#a65300",
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
