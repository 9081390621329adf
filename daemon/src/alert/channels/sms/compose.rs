//! The text of an SMS: what matters most, in letters that survive every network, in three parts at most.

use super::{
    Size, measure,
    parts::{Alphabet, cut},
};
use crate::{
    alert::{notice::Notice, text},
    config::Language,
};

/// Most parts of one SMS; each costs as much as an SMS of its own.
const PARTS_MAX: u32 = 3;
/// Most incidents that are tried to be named in one SMS.
const ITEMS_MAX: usize = 12;

/// As many incidents as fit, the worst first, and how many more there are.
pub(super) fn compose(notice: &Notice, now_ms: i64) -> (String, Size) {
    let items = text::items(notice, now_ms);
    let between = match notice.language {
        Language::En => "; ",
        Language::Zh => "；",
    };
    let of = |shown: usize| {
        let more = text::more(items.len() - shown, notice.language);
        letters(&format!("{}{more}", items[..shown].join(between)))
    };
    let most = items.len().min(ITEMS_MAX);
    let fitting = (1..=most).rev().map(of).find(|text| measure(text).parts <= PARTS_MAX);
    let text = fitting.unwrap_or_else(|| cut(&of(most.min(1)), PARTS_MAX));
    let size = measure(&text);
    (text, size)
}

/// `text` without the letters that gateways and networks mangle. Where nothing but typography keeps it from the
/// default alphabet, which holds more than twice as much, that is made plain too.
fn letters(text: &str) -> String {
    let safe: String = text
        .chars()
        .map(|letter| match letter {
            '[' | '{' => '(',
            ']' | '}' => ')',
            '|' | '\\' => '/',
            '~' => '-',
            '^' | '`' => '\'',
            '€' => 'E',
            letter => letter,
        })
        .collect();
    let mut plain = String::with_capacity(safe.len());
    for letter in safe.chars() {
        match letter {
            '‘' | '’' => plain.push('\''),
            '“' | '”' => plain.push('"'),
            '‐' | '‑' | '–' | '—' => plain.push('-'),
            '…' => plain.push_str("..."),
            '\u{a0}' | '\u{202f}' => plain.push(' '),
            '°' => {}
            letter => plain.push(letter),
        }
    }
    if measure(&plain).alphabet == Alphabet::Gsm7 { plain } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alert::{
            IncidentId,
            notice::{News, Way},
            text::samples::{TEN_MS, cpu, disk, notice},
        },
        series::Labels,
    };

    #[test]
    fn an_sms_is_one_line_without_a_link() {
        let notice = notice(Way::Sms, "+8613711112222", vec![disk(), cpu()]);
        let (text, size) = compose(&notice, TEN_MS);
        let expected =
            "CRITICAL web-1: CPU 98.2 % above 95 %; WARNING web-1: disk /var 84 % above 80 %";
        assert_eq!(text, expected);
        assert_eq!(size, Size { alphabet: Alphabet::Gsm7, units: 79, parts: 1 });

        let chinese = Notice { language: Language::Zh, ..notice };
        let (text, size) = compose(&chinese, TEN_MS);
        let expected =
            "严重 web-1：CPU 使用率 98.2%，高于 95%；警告 web-1：磁盘 /var 使用率 84%，高于 80%";
        assert_eq!(text, expected);
        assert_eq!((size.alphabet, size.parts), (Alphabet::Ucs2, 1));
    }

    #[test]
    fn what_comes_late_says_when_it_was() {
        let notice = notice(Way::Sms, "+8613711112222", vec![cpu()]);
        let (text, _) = compose(&notice, TEN_MS + 3_600_000);
        assert_eq!(text, "CRITICAL web-1: CPU 98.2 % above 95 %, 2026-11-22 10:00:00 UTC");
    }

    #[test]
    fn of_many_the_worst_are_named_and_the_others_counted() {
        let many = |language| {
            let news = (0..100).map(|at| News { incident: IncidentId(at), ..disk() });
            Notice { language, ..notice(Way::Sms, "+8613711112222", news.collect()) }
        };
        let (text, size) = compose(&many(Language::En), TEN_MS);
        assert!(text.starts_with("WARNING web-1: disk /var 84 % above 80 %; WARNING"), "{text}");
        assert!(text.ends_with(" (+90 more)") && size.parts == 3, "{text} {size:?}");
        let (text, size) = compose(&many(Language::Zh), TEN_MS);
        assert!(text.ends_with("（另有 94 条）") && size.parts == 3, "{text} {size:?}");
    }

    #[test]
    fn a_long_text_is_cut_in_its_own_alphabet() {
        let long = |word: &str| {
            let news = News { summary: Some(word.repeat(300).into()), ..cpu() };
            compose(&notice(Way::Sms, "+8613711112222", vec![news]), TEN_MS)
        };
        let (text, size) = long("full");
        assert!(text.ends_with("full...") || text.ends_with("ful..."), "{text}");
        assert_eq!((size.alphabet, size.parts), (Alphabet::Gsm7, 3));
        let (text, size) = long("磁盘");
        assert!(text.ends_with('…'), "{text}");
        assert_eq!((size.alphabet, size.parts), (Alphabet::Ucs2, 3));
    }

    #[test]
    fn letters_that_networks_mangle_are_left_out() {
        assert_eq!(letters("[a]{b}|c~d^e`f€\\g"), "(a)(b)/c-d'e'fE/g");
        assert_eq!(letters("“85 °C” – it’s hot…"), "\"85 C\" - it's hot...");
        assert_eq!(letters("“温度” 85 °C"), "“温度” 85 °C");
    }

    #[test]
    fn labels_do_not_bring_them_back() {
        let news = News { labels: Labels::new([("mount", "/mnt/[a]|~b")]), ..disk() };
        let (text, _) = compose(&notice(Way::Sms, "+8613711112222", vec![news]), TEN_MS);
        assert_eq!(text, "WARNING web-1: disk /mnt/(a)/-b 84 % above 80 %");
    }
}
