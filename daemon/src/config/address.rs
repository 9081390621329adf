//! Where people and gateways are reached: mail addresses, phone numbers, URLs.
//!
//! Stricter than their standards, which allow what hardly anybody has and many
//! servers refuse: whatever passes here can be used as it is.

use std::net::IpAddr;

use hyper::Uri;
use toml::de::DeValue;

use super::value;

/// A mail address such as `ops@example.org`.
pub(super) fn email(value: &DeValue<'_>) -> Result<String, String> {
    let text = value::text(value)?;
    if is_email(text) {
        return Ok(text.into());
    }
    Err(format!("is `{}`, must be an address such as \"ops@example.org\"", text.escape_debug()))
}

/// A mail address, with a name before it or without.
pub(super) fn mailbox(value: &DeValue<'_>) -> Result<String, String> {
    let text = value::text(value)?;
    let fine = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => is_email(address) && is_display_name(name.trim()),
        None => is_email(text),
    };
    if fine {
        return Ok(text.into());
    }
    Err(format!(
        "is `{}`, must be an address such as \"bartizan@example.org\" or \"Bartizan \
         <bartizan@example.org>\"; a name with other signs than letters and digits needs double quotes",
        text.escape_debug()
    ))
}

fn is_email(text: &str) -> bool {
    const LOCAL_MAX: usize = 64;
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |atom: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        !atom.is_empty() && atom.chars().all(fits)
    };
    // One label is enough: `root@localhost` is somebody.
    local.len() <= LOCAL_MAX && local.split('.').all(atom) && is_host_name(domain)
}

/// Whether a name may stand before a mail address, as it is or in double quotes.
fn is_display_name(name: &str) -> bool {
    if let Some(quoted) = name.strip_prefix('"') {
        let inside = quoted.strip_suffix('"');
        return inside.is_some_and(|inside| {
            !inside.contains(['"', '\\']) && !inside.contains(char::is_control)
        });
    }
    let fits = |c: char| c.is_alphanumeric() || " -_.+&'/!".contains(c);
    !name.starts_with('.') && name.chars().all(fits)
}

/// A phone number in the one form that every gateway understands (E.164).
pub(super) fn phone(value: &DeValue<'_>) -> Result<String, String> {
    let text = value::text(value)?;
    if is_phone(text) {
        return Ok(text.into());
    }
    // As people write them in letters and on cards.
    let bare: String = text.chars().filter(|c| !" -./()".contains(*c)).collect();
    let whole = bare.strip_prefix("00").map_or(bare.clone(), |rest| format!("+{rest}"));
    let meant = if is_phone(&whole) {
        format!("; did you mean `{whole}`?")
    } else {
        "; begin with `+` and the country's number".into()
    };
    Err(format!("is `{}`, must be a number such as \"+8613711112222\"{meant}", text.escape_debug()))
}

fn is_phone(text: &str) -> bool {
    const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
    text.strip_prefix('+').is_some_and(|digits| {
        DIGITS.contains(&digits.len())
            && !digits.starts_with('0')
            && digits.chars().all(|c| c.is_ascii_digit())
    })
}

/// The name or the address of a machine.
pub(super) fn host(value: &DeValue<'_>) -> Result<String, String> {
    let text = value::text(value)?;
    if is_host_name(text) || text.parse::<IpAddr>().is_ok() {
        return Ok(text.into());
    }
    let port = if text.contains(':') { "; the port has a key of its own" } else { "" };
    Err(format!(
        "is `{}`, must be a name such as \"smtp.example.org\", or an address{port}",
        text.escape_debug()
    ))
}

fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Whether what is sent to `host` stays on this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// A URL that people follow.
pub(super) fn link(value: &DeValue<'_>) -> Result<String, String> {
    let text = value::text(value)?;
    match web_uri(text) {
        Some(_) => Ok(text.into()),
        None => Err(format!(
            "is `{}`, must be a URL such as \"https://wiki.example.org/disk-full\"",
            text.escape_debug()
        )),
    }
}

/// A URL that the daemon sends to. It may hold what nobody else should know, so
/// no reason repeats it.
pub(super) fn target(value: &DeValue<'_>) -> Result<String, String> {
    let text = value::text(value)?;
    check_target(text)?;
    Ok(text.into())
}

/// Why nothing must be sent to this URL of a hub, which with `insecure` may be one without TLS.
pub(super) fn check_hub(text: &str, insecure: bool) -> Result<(), String> {
    let encrypted = text.replacen("http://", "https://", 1);
    check_target(if insecure { &encrypted } else { text }).map_err(|reason| {
        let plain = reason.contains("unencrypted");
        if plain { format!("{reason}; or set `insecure = true`") } else { reason }
    })
}

/// Why nothing must be sent to this URL.
pub(super) fn check_target(text: &str) -> Result<(), String> {
    let Some(uri) = web_uri(text) else {
        return Err("must be a URL such as \"https://gateway.example.org/send\"".into());
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("must not have a user before its host".into());
    }
    let host = uri.host().unwrap_or_default();
    if uri.scheme_str() == Some("http") && !is_loopback(host) {
        return Err(format!(
            "would send unencrypted to {host}; must be https, or http to a loopback address"
        ));
    }
    Ok(())
}

/// The URL of something in the web.
pub(super) fn web_uri(text: &str) -> Option<Uri> {
    let uri = text.parse::<Uri>().ok()?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    (is_web && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<T>(read: fn(&DeValue<'_>) -> Result<T, String>, text: &str) -> String {
        read(&DeValue::String(text.into())).err().unwrap_or_default()
    }

    #[test]
    fn mail_addresses_are_told_from_other_words() {
        for fine in ["ops@example.org", "a.b+c@x-y.example", "root@localhost", "o'hara@x.org"] {
            assert_eq!(said(email, fine), "", "{fine}");
        }
        for wrong in [
            "",
            "ops",
            "@example.org",
            "ops@",
            "a@b@c.org",
            "a b@c.org",
            ".a@c.org",
            "a@c..org",
            "a@-c.org",
            "a@c.org\r\nBcc: x@y.org",
            "Ops <ops@example.org>",
            "ops@example.org,lead@example.org",
        ] {
            assert!(said(email, wrong).starts_with("is `"), "{wrong}");
        }
    }

    #[test]
    fn a_sender_may_have_a_name() {
        for fine in [
            "b@example.org",
            "<b@example.org>",
            "Bartizan <b@example.org>",
            "监控 Nr. 1 <b@example.org>",
            "\"Bartizan (prod), EU\" <b@example.org>",
        ] {
            assert_eq!(said(mailbox, fine), "", "{fine}");
        }
        for wrong in [
            "Bartizan",
            "Bartizan b@example.org",
            "Bartizan (prod) <b@example.org>",
            "a, b <b@example.org>",
            "\"a\"b\" <b@example.org>",
            "a\nb <b@example.org>",
            "<b@example.org",
        ] {
            assert!(said(mailbox, wrong).starts_with("is `"), "{wrong}");
        }
    }

    #[test]
    fn phone_numbers_are_international_and_bare() {
        assert_eq!(said(phone, "+8613711112222"), "");
        assert!(said(phone, "+86 137-1111-2222").ends_with("did you mean `+8613711112222`?"));
        assert!(said(phone, "0049 30 1234567").ends_with("did you mean `+49301234567`?"));
        assert!(said(phone, "13711112222").ends_with("begin with `+` and the country's number"));
        for wrong in ["", "+", "+0123456789", "+12345", "+1234567890123456", "+86137x1112222"] {
            assert!(said(phone, wrong).starts_with("is `"), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_sent_unencrypted_to_another_machine() {
        for fine in [
            "https://chat.example.org/hook?key=1",
            "http://127.0.0.1:13013",
            "http://[::1]/",
            "http://localhost/hook",
        ] {
            assert_eq!(said(target, fine), "", "{fine}");
        }
        assert!(said(target, "http://10.0.0.1/hook").contains("unencrypted to 10.0.0.1"));
        for wrong in ["chat.example.org", "ftp://x.org/", "https://", "https://a:b@x.org/", ""] {
            assert!(said(target, wrong).starts_with("must "), "{wrong}");
        }
        assert!(!said(target, "http://x.org/SECRET").contains("SECRET"));
        assert_eq!(said(link, "http://wiki/disk"), "", "a link is only followed by people");
        assert!(said(link, "javascript:alert(1)").contains("must be a URL"));
    }

    #[test]
    fn hosts_are_names_or_addresses() {
        for fine in ["smtp.example.org", "localhost", "127.0.0.1", "::1"] {
            assert_eq!(said(host, fine), "", "{fine}");
        }
        assert!(said(host, "smtp.example.org:587").ends_with("the port has a key of its own"));
        assert!(said(host, "smtp://x").contains("must be a name"));
        assert!(
            is_loopback("[::1]") && is_loopback("127.9.9.9") && is_loopback("::ffff:127.0.0.1")
        );
        assert!(!is_loopback("10.0.0.1") && !is_loopback("localhost.example.org"));
    }
}
