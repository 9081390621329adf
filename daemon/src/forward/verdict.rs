//! What an answer to a remote write means: a decision without clocks or connections.

use std::time::{Duration, SystemTime};

use crate::config::Protocol;

/// What a receiver answered, as far as it matters.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `X-Prometheus-Remote-Write-Samples-Written`.
    pub(super) written: Option<u64>,
    /// `Retry-After`.
    pub(super) retry_after: Option<Duration>,
    /// Where a redirect points to.
    pub(super) location: Option<String>,
    /// The beginning of the body, in one line.
    pub(super) said: String,
}

/// What it means for what was sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// It is done with; some samples may have been refused for good.
    Done {
        /// So many.
        refused: u64,
        /// What was said of them.
        said: Option<String>,
    },
    /// Something in it was refused for good, and nobody says whether the rest was stored.
    Refused {
        /// Why.
        said: String,
    },
    /// It was too much at once.
    TooLarge {
        /// What was said.
        said: String,
    },
    /// The other side cannot, at present.
    Again {
        /// What was said.
        said: String,
        /// How long it wants to be left alone.
        after: Option<Duration>,
        /// Whether it is we who are too fast: no reason to turn to another hub.
        too_fast: bool,
    },
    /// Somebody has to change something, here or there.
    Held {
        /// What.
        said: String,
    },
    /// It did not prove that it understands version 2.0.
    Unproven {
        /// By what.
        said: String,
        /// Whether it may have taken what was sent all the same, and only not said so.
        taken: bool,
    },
}

/// Judges the answer to a request with `sent` samples.
pub(super) fn judge(answer: Answer, protocol: Protocol, sent: u64) -> Verdict {
    let Answer { status, written, retry_after, location, said } = answer;
    let said = match (status, said.is_empty()) {
        (status, true) => format!("status {status}"),
        (status, false) => format!("status {status}: {said}"),
    };
    match status {
        200..=299 => match (protocol, written) {
            (Protocol::V2, None) => Verdict::Unproven {
                said: "it does not say how many samples it has written".into(),
                taken: true,
            },
            // 1.0 knows no partial success.
            (Protocol::V1, None) => Verdict::Done { refused: 0, said: None },
            (_, Some(written)) => {
                let refused = sent.saturating_sub(written);
                let why = || format!("it has written {written} of {sent} samples");
                Verdict::Done { refused, said: (refused > 0).then(why) }
            }
        },
        300..=399 => {
            let to = location.map(|to| format!(" to {to}")).unwrap_or_default();
            Verdict::Held { said: format!("status {status}: a redirect{to}; name the final URL") }
        }
        400 | 409 | 422 => match written {
            Some(written) => {
                Verdict::Done { refused: sent.saturating_sub(written), said: Some(said) }
            }
            None => Verdict::Refused { said },
        },
        401 | 403 => Verdict::Held { said: format!("{said}; check the token or password") },
        413 => Verdict::TooLarge { said },
        415 if protocol == Protocol::V2 => Verdict::Unproven { said, taken: false },
        408 | 425 | 429 | 500..=599 => {
            Verdict::Again { said, after: retry_after, too_fast: status == 429 }
        }
        404 | 405 => Verdict::Held { said: format!("{said}; check the URL") },
        _ => Verdict::Held { said },
    }
}

/// Whether kinds and units that were answered so need not be told again. Whoever understands and does not want them will
/// not want them later; what somebody or time has to mend is told again.
pub(super) fn settles_metadata(status: u16) -> bool {
    matches!(status, 200..=299 | 400 | 415 | 422)
}

/// Whether a refusal says that what was sent is there already. A receiver that takes nothing twice calls it out of
/// order where something newer has come after it.
pub(super) fn says_known(said: &str) -> bool {
    let said = said.to_ascii_lowercase().replace('-', " ");
    said.contains("duplicate") || said.contains("out of order")
}

/// `Retry-After`, in seconds or as a date.
pub(super) fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?;
            Some(at.duration_since(now).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, written: Option<u64>, protocol: Protocol) -> Verdict {
        judge(Answer { status, written, ..Answer::default() }, protocol, 10)
    }

    #[test]
    fn version_2_needs_a_proof_and_version_1_none() {
        let done = |refused| Verdict::Done { refused, said: None };
        assert_eq!(of(204, None, Protocol::V1), done(0));
        assert_eq!(of(204, Some(10), Protocol::V2), done(0));
        assert!(matches!(of(204, None, Protocol::V2), Verdict::Unproven { taken: true, .. }));
        assert!(matches!(of(415, None, Protocol::V2), Verdict::Unproven { taken: false, .. }));
        assert!(matches!(of(415, None, Protocol::V1), Verdict::Held { .. }));
        assert!(matches!(
            of(200, Some(7), Protocol::V2),
            Verdict::Done { refused: 3, said: Some(_) }
        ));
    }

    #[test]
    fn a_refusal_counts_what_was_not_written_if_anybody_says() {
        assert!(matches!(of(400, Some(9), Protocol::V1), Verdict::Done { refused: 1, .. }));
        for status in [400, 409, 422] {
            assert!(matches!(of(status, None, Protocol::V1), Verdict::Refused { .. }), "{status}");
        }
    }

    #[test]
    fn what_time_mends_is_tried_again_and_what_people_mend_is_held() {
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert!(matches!(of(status, None, Protocol::V1), Verdict::Again { .. }), "{status}");
        }
        for status in [301, 308, 401, 403, 404, 405, 407, 410, 451] {
            assert!(matches!(of(status, None, Protocol::V1), Verdict::Held { .. }), "{status}");
        }
        assert!(matches!(of(413, None, Protocol::V1), Verdict::TooLarge { .. }));
    }

    #[test]
    fn kinds_and_units_are_settled_by_who_takes_or_does_not_want_them() {
        for status in [200, 204, 400, 415, 422] {
            assert!(settles_metadata(status), "{status}");
        }
        for status in [302, 401, 403, 404, 405, 408, 409, 413, 429, 503] {
            assert!(!settles_metadata(status), "{status}");
        }
    }

    #[test]
    fn only_words_say_that_something_is_there_already() {
        assert!(says_known("status 400: out of order sample"));
        assert!(says_known("status 400: Duplicate sample for timestamp"));
        assert!(says_known("status 400: err-mimir-sample-out-of-order"));
        assert!(!says_known("status 400: label name is not valid"));
        assert!(!says_known("status 422"));
    }

    #[test]
    fn the_other_side_may_say_when_in_seconds_or_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_887_151);
        let read = |text| retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Tue, 15 Nov 1994 08:13:31 GMT"), Some(60));
        assert_eq!(read("Tue, 15 Nov 1994 08:00:00 GMT"), Some(0), "it is past");
        assert_eq!(read("soon"), None);
        assert_eq!(read("-5"), None);
    }
}
