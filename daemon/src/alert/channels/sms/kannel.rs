//! Kannel's sendsms, as chapter "Using SMS Push" of its user's guide has it.

use reqwest::{StatusCode, header::HeaderMap};

use super::{Alphabet, Message, Question, Verdict, http::percent, private};
use crate::{
    alert::{channels::http::Answer, notice::Outcome},
    config::KannelConfig,
};

pub(super) fn question(
    config: &KannelConfig,
    message: &Message<'_>,
    password: &str,
) -> Result<Question, Verdict> {
    let coding = match message.size.alphabet {
        Alphabet::Gsm7 => "0",
        Alphabet::Ucs2 => "2",
    };
    let mut fields = vec![
        ("username", config.username.as_str()),
        ("password", password),
        ("to", message.to),
        ("charset", "UTF-8"),
        ("coding", coding),
        ("text", &message.text),
    ];
    fields.extend(config.from.as_deref().map(|from| ("from", from)));
    let fields: Vec<String> =
        fields.into_iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
    let base = config.base_url.trim_end_matches('/');
    let url = format!("{base}/cgi-bin/sendsms?{}", fields.join("&"));
    Ok(Question {
        url: private("channel.sms.base_url", &url)?,
        headers: HeaderMap::new(),
        body: None,
        brief: false,
    })
}

/// What an answer means. The statuses can be changed in Kannel's configuration, the words cannot.
pub(super) fn judge(config: &KannelConfig, answer: &Answer) -> Verdict {
    let body = answer.body.trim();
    let said = if body.is_empty() { answer.shown() } else { body.to_owned() };
    let begins = |words: &[&str]| words.iter().any(|words| body.starts_with(words));
    let mut verdict = if begins(&["0:", "3:", "Sent."]) {
        Verdict::new(Outcome::Accepted, said)
    } else if begins(&["Authorization failed"]) {
        let (user, file) = (&config.username, config.password_file.display());
        Verdict::misconfigured(format!(
            "Kannel does not know user `{user}` with the password in `{file}`: correct channel.sms.username or \
             password_file; it says: {said}"
        ))
    } else if begins(&["Sender missing"]) {
        Verdict::misconfigured(format!(
            "Kannel knows no sender: give channel.sms.from; it says: {said}"
        ))
    } else if begins(&["Temporal failure"]) {
        Verdict::new(Outcome::Temporary, said)
    } else if begins(&["Not routable"]) {
        Verdict::new(Outcome::Permanent, said)
    } else {
        other(answer, said)
    };
    verdict.retry_after = answer.retry_after;
    verdict
}

/// An answer without words that Kannel is known to say.
fn other(answer: &Answer, said: String) -> Verdict {
    match answer.status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            Verdict::new(Outcome::Temporary, said)
        }
        StatusCode::NOT_FOUND => Verdict::misconfigured(format!(
            "no sendsms there: point channel.sms.base_url to Kannel's smsbox; it says: {said}"
        )),
        status if status.is_redirection() => {
            let to = answer.redirect.as_deref().unwrap_or("elsewhere");
            Verdict::misconfigured(format!("{status} to {to}: name that in channel.sms.base_url"))
        }
        status if status.is_client_error() => Verdict::new(Outcome::Permanent, said),
        // It may have been taken before whatever it was went wrong.
        _ => Verdict::new(
            Outcome::Unknown,
            format!("an answer that Kannel is not known for: {said}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn words_count_more_than_the_status() {
        use Outcome::{Accepted, Misconfigured, Permanent, Temporary, Unknown};
        let cases = [
            (202, "0: Accepted for delivery", Accepted),
            (202, "3: Queued for later delivery\n", Accepted),
            (200, "0: Accepted for delivery", Accepted),
            (202, "Temporal failure, try again later.", Temporary),
            (503, "Temporal failure, try again later.", Temporary),
            (503, "", Temporary),
            (403, "Authorization failed for sendsms", Misconfigured),
            (200, "Authorization failed for sendsms", Misconfigured),
            (403, "Not routable. Do not try again.", Permanent),
            (400, "Missing receiver number, rejected", Permanent),
            (400, "Sender missing and no global set, rejected", Misconfigured),
            (404, "Unknown request.", Misconfigured),
            (302, "", Misconfigured),
            (202, "", Unknown),
            (200, "<html>hello</html>", Unknown),
            (500, "Internal error", Unknown),
        ];
        for (status, body, expected) in cases {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: None,
                redirect: None,
                body: body.to_owned(),
                broken: false,
            };
            let verdict = judge(&config(), &answer);
            assert_eq!(verdict.outcome, expected, "{status} {body}: {}", verdict.said);
        }
    }

    #[test]
    fn the_request_is_what_kannel_understands() {
        let ask = |text: &str, config: &KannelConfig| {
            let (to, id) = ("+8613711112222", "hub1-5".to_owned());
            let message =
                Message { to, text: text.to_owned(), size: super::super::measure(text), id };
            question(config, &message, "pass&word").map(|question| question.url.to_string())
        };
        assert_eq!(
            ask("CPU 98 %", &config()).unwrap(),
            "http://127.0.0.1:13013/cgi-bin/sendsms?username=bartizan&password=pass%26word\
             &to=%2B8613711112222&charset=UTF-8&coding=0&text=CPU%2098%20%25&from=10086"
        );
        let zh = ask("严重", &KannelConfig { from: None, ..config() }).unwrap();
        assert!(zh.ends_with("&coding=2&text=%E4%B8%A5%E9%87%8D"), "{zh}");
        let open = KannelConfig { base_url: "http://sms.example.org".into(), ..config() };
        assert_eq!(ask("a", &open).unwrap_err().outcome, Outcome::Misconfigured);
    }

    fn config() -> KannelConfig {
        KannelConfig {
            base_url: "http://127.0.0.1:13013/".into(),
            username: "bartizan".into(),
            password_file: "/etc/bartizan/kannel-password".into(),
            from: Some("10086".into()),
        }
    }
}
