//! Addresses as they may be shown: enough to recognise them, too little to use them.

use reqwest::Url;

use crate::alert::notice::Way;

/// Digits of a phone number that are shown at its end, and hidden before them.
const TAIL: usize = 4;

/// `address` as it may be shown: phone numbers masked (`+86137****2222`), of a URL only scheme and host, since its
/// path is often the key to a chat.
pub fn shown(way: Way, address: &str) -> String {
    match way {
        Way::Email => address.to_owned(),
        Way::Sms => masked(address),
        Way::Webhook => {
            Url::parse(address).map_or_else(|_| "no URL".to_owned(), |url| origin(&url))
        }
    }
}

/// Scheme, host and port of a URL.
pub(super) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

pub(super) fn masked(number: &str) -> String {
    let digits: Vec<char> = number.chars().collect();
    let (head, tail) = match digits.len() {
        ..=4 => (0, 0),
        5..=9 => (2, 2),
        length => (length - 2 * TAIL, TAIL),
    };
    let start: String = digits.iter().take(head).collect();
    let end: String = digits.iter().skip(digits.len() - tail).collect();
    format!("{start}****{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_but_cannot_be_used() {
        let cases = [
            (Way::Email, "ops@example.org", "ops@example.org"),
            (Way::Sms, "+8613711112222", "+86137****2222"),
            (Way::Sms, "10086", "10****86"),
            (Way::Sms, "911", "****"),
            (
                Way::Webhook,
                "https://user:key@chat.example.org:8443/hook?key=1",
                "https://chat.example.org:8443",
            ),
            (Way::Webhook, "chat", "no URL"),
        ];
        for (way, address, expected) in cases {
            assert_eq!(shown(way, address), expected);
        }
    }
}
