//! A gateway that the configuration describes: what is asked, and what its answers mean.

use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};

use super::{Message, Question, Verdict, http::percent, private};
use crate::{
    alert::{channels::http::Answer, notice::Outcome},
    config::{BodyType, HttpGatewayConfig},
};

/// How a value is written where it stands.
#[derive(Debug, Clone, Copy)]
enum Escape {
    /// In a URL or a form.
    Percent,
    /// Within a JSON string.
    Json,
    /// In a header.
    Nothing,
}

pub(super) fn question(
    config: &HttpGatewayConfig,
    message: &Message<'_>,
    secret: &str,
) -> Result<Question, Verdict> {
    let from = config.from.as_deref().unwrap_or_default();
    let values = [
        ("{to}", message.to),
        ("{text}", &message.text),
        ("{id}", &message.id),
        ("{from}", from),
        ("{secret}", secret),
    ];
    let url = private("channel.sms.url", &fill(&config.url, &values, Escape::Percent))?;
    let mut headers = HeaderMap::new();
    let body = config.body.as_ref().map(|body| {
        let (kind, escape) = match config.body_type {
            BodyType::Form => ("application/x-www-form-urlencoded", Escape::Percent),
            BodyType::Json => ("application/json", Escape::Json),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        fill(body, &values, escape).into_bytes()
    });
    for (name, value) in &config.headers {
        let wrong =
            || Verdict::misconfigured(format!("channel.sms.headers.{name} is no header line"));
        let known: HeaderName = name.parse().map_err(|_| wrong())?;
        let filled = fill(value, &values, Escape::Nothing);
        let mut value = HeaderValue::from_bytes(filled.as_bytes()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(known, value);
    }
    Ok(Question { url, headers, body, brief: false })
}

/// What an answer means: the words of the configuration first, then the status.
pub(super) fn judge(config: &HttpGatewayConfig, answer: &Answer) -> Verdict {
    let holds = |words: &[String]| words.iter().any(|words| answer.body.contains(words.as_str()));
    let (said, status) = (answer.shown(), answer.status);
    let mut verdict = if holds(&config.refused) {
        Verdict::new(Outcome::Permanent, said)
    } else if holds(&config.accepted) {
        Verdict::new(Outcome::Accepted, said)
    } else if answer.broken {
        Verdict::new(Outcome::Unknown, format!("the answer broke off: {said}"))
    } else {
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Verdict::new(Outcome::Temporary, said)
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Verdict::misconfigured(format!(
                "the gateway does not let us in: correct channel.sms.secret_file, url or headers; it says: {said}"
            )),
            _ if status.is_redirection() => {
                let to = answer.redirect.as_deref().unwrap_or("elsewhere");
                Verdict::misconfigured(format!(
                    "{status} to {to}: name the final URL in channel.sms.url"
                ))
            }
            _ if status.is_client_error() => Verdict::new(Outcome::Permanent, said),
            // It may have been taken, in words that the configuration does not know.
            _ => Verdict::new(
                Outcome::Unknown,
                format!("neither channel.sms.accepted nor refused is in the answer: {said}"),
            ),
        }
    };
    verdict.retry_after = answer.retry_after;
    verdict
}

/// `template` with the values in place of their names. What a value holds is never taken for a name.
fn fill(template: &str, values: &[(&str, &str)], escape: Escape) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        match values.iter().find(|(name, _)| from.starts_with(name)) {
            Some((name, value)) => {
                filled.push_str(&escaped(value, escape));
                rest = &from[name.len()..];
            }
            None => {
                filled.push('{');
                rest = &from[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn escaped(value: &str, escape: Escape) -> String {
    match escape {
        Escape::Percent => percent(value),
        Escape::Json => {
            let quoted = serde_json::Value::from(value).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
        Escape::Nothing => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn values_are_escaped_for_where_they_stand() {
        let config = HttpGatewayConfig {
            url: "https://sms.example.org/{from}?to={to}&t={text}&x={y}".into(),
            headers: [("Authorization".to_owned(), "Bearer {secret}".to_owned())].into(),
            body: Some(r#"{"to":"{to}","text":"{text}","ref":"{id}"}"#.into()),
            body_type: BodyType::Json,
            ..config()
        };
        let question = question(&config, &message(r#"say "{secret}" & \ go"#), "s3cret").unwrap();
        assert_eq!(
            question.url.as_str(),
            "https://sms.example.org/Bartizan%20%26?to=%2B8613711112222\
             &t=say%20%22%7Bsecret%7D%22%20%26%20%5C%20go&x={y}"
        );
        assert_eq!(question.headers["authorization"], "Bearer s3cret");
        assert_eq!(question.headers["content-type"], "application/json");
        assert_eq!(
            String::from_utf8(question.body.unwrap()).unwrap(),
            r#"{"to":"+8613711112222","text":"say \"{secret}\" & \\ go","ref":"hub1-5"}"#
        );
    }

    #[test]
    fn a_form_is_the_default_and_without_a_body_it_is_a_get() {
        let form = HttpGatewayConfig { body: Some("to={to}&text={text}".into()), ..config() };
        let asked = question(&form, &message("a b"), "").unwrap();
        assert_eq!(asked.body.unwrap(), b"to=%2B8613711112222&text=a%20b");
        assert_eq!(asked.headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(question(&config(), &message("a"), "").unwrap().body, None);
    }

    #[test]
    fn what_cannot_be_asked_is_misconfigured() {
        let open = HttpGatewayConfig { url: "http://sms.example.org".into(), ..config() };
        let header = [("bad name".to_owned(), "x".to_owned())];
        let header = HttpGatewayConfig { headers: header.into(), ..config() };
        for config in [open, header] {
            let verdict = question(&config, &message("a"), "").unwrap_err();
            assert_eq!(verdict.outcome, Outcome::Misconfigured, "{}", verdict.said);
        }
    }

    #[test]
    fn the_configured_words_count_more_than_the_status() {
        use Outcome::{Accepted, Misconfigured, Permanent, Temporary, Unknown};
        let cases = [
            (200, "{\"status\":\"ok\"}", Accepted),
            (500, "{\"status\":\"ok\"}", Accepted),
            (200, "{\"error\":\"invalid number\"}", Permanent),
            (503, "{\"error\":\"invalid number\"}", Permanent),
            (200, "{\"status\":\"queued?\"}", Unknown),
            (500, "", Unknown),
            (502, "bad gateway", Unknown),
            (503, "", Temporary),
            (429, "slow down", Temporary),
            (401, "", Misconfigured),
            (403, "", Misconfigured),
            (301, "", Misconfigured),
            (400, "no", Permanent),
            (404, "", Permanent),
        ];
        for (status, body, expected) in cases {
            let verdict = judge(&config(), &answer(status, body));
            assert_eq!(verdict.outcome, expected, "{status} {body}: {}", verdict.said);
        }
        let broken = Answer { broken: true, ..answer(400, "{\"sta") };
        assert_eq!(judge(&config(), &broken).outcome, Unknown);
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            redirect: None,
            body: body.to_owned(),
            broken: false,
        }
    }

    fn message(text: &str) -> Message<'_> {
        let size = super::super::measure(text);
        Message { to: "+8613711112222", text: text.to_owned(), size, id: "hub1-5".into() }
    }

    fn config() -> HttpGatewayConfig {
        HttpGatewayConfig {
            url: "https://sms.example.org/send?to={to}".into(),
            headers: Default::default(),
            body: None,
            body_type: BodyType::Form,
            from: Some("Bartizan &".into()),
            secret_file: None,
            ca_file: None,
            accepted: vec!["\"status\":\"ok\"".into()],
            refused: vec!["invalid number".into()],
        }
    }
}
