//! What people want to know of a certificate: whose it is, and until when it holds.
//!
//! Reads just these fields of the DER that RFC 5280 describes (`TBSCertificate`: validity, subject, and the
//! extension subjectAltName), and judges nothing: who trusts a certificate asks rustls. What is not understood is
//! left out.

use rustls::pki_types::CertificateDer;

/// Whose a certificate is, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateFacts {
    /// Its common name, else the first of its alternative names; empty where it has neither.
    pub name: String,
    /// The hosts that it is for, in lower case; `*` may stand for the first part of a name.
    pub hosts: Vec<String>,
    /// When it ends, in milliseconds since 1970.
    pub ends_ms: Option<i64>,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version and the extensions stand behind numbers of their own.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// Alternative names: mail address, host name and URI.
const NAMES: [u8; 3] = [0x81, HOST, 0x86];
const HOST: u8 = 0x82;

/// 2.5.4.3 and 2.5.29.17.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const ALTERNATIVE_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

/// Longer names are cut.
const NAME_MAX: usize = 253;
/// More names are not read.
const COUNT_MAX: usize = 1000;

impl CertificateFacts {
    /// What `certificate` says of itself.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        read(certificate).unwrap_or_default()
    }

    /// Whether it is for `host`, which is in lower case.
    pub fn is_for(&self, host: &str) -> bool {
        let rest = host.split_once('.').map(|(_, rest)| rest);
        self.hosts.iter().any(|name| {
            name == host || rest.is_some_and(|rest| name.strip_prefix("*.") == Some(rest))
        })
    }
}

fn read(certificate: &[u8]) -> Option<CertificateFacts> {
    let mut whole = Fields(Fields(certificate).next_is(SEQUENCE)?);
    let mut fields = Fields(whole.next_is(SEQUENCE)?).peekable();
    fields.next_if(|(tag, _)| *tag == VERSION);
    // Serial number, algorithm and issuer.
    let (_, validity) = fields.nth(3)?;
    let (_, subject) = fields.next()?;
    let extensions = fields.find(|(tag, _)| *tag == EXTENSIONS).map(|(_, extensions)| extensions);
    let alternative = extensions.and_then(alternative_names).unwrap_or_default();
    let name = common_name(subject).or_else(|| Some(alternative.first()?.1.clone()));
    let hosts = alternative.into_iter().filter(|(tag, _)| *tag == HOST);
    let hosts = hosts.map(|(_, host)| host.to_ascii_lowercase()).collect();
    let name = name.unwrap_or_default();
    Some(CertificateFacts { name, hosts, ends_ms: Fields(validity).nth(1).and_then(time_ms) })
}

fn common_name(subject: &[u8]) -> Option<String> {
    Fields(subject).filter(|(tag, _)| *tag == SET).find_map(|(_, set)| {
        let mut pair = Fields(Fields(set).next_is(SEQUENCE)?);
        let is_it = pair.next_is(OID)? == COMMON_NAME;
        is_it.then(|| pair.next()).flatten().map(|(_, name)| shown(name))
    })
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<(u8, String)>> {
    Fields(Fields(extensions).next_is(SEQUENCE)?).find_map(|(_, extension)| {
        let mut fields = Fields(extension);
        if fields.next_is(OID)? != ALTERNATIVE_NAME {
            return None;
        }
        let (_, value) = fields.find(|(tag, _)| *tag == OCTETS)?;
        let names = Fields(Fields(value).next_is(SEQUENCE)?).take(COUNT_MAX);
        let names = names.filter(|(tag, _)| NAMES.contains(tag));
        Some(names.map(|(tag, name)| (tag, shown(name))).collect())
    })
}

/// A name as it may stand in a log: without control characters, and not endless.
fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    name.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect()
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`, as RFC 5280 demands them.
fn time_ms((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = year.parse::<i64>().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    let seconds = (part(4)? * 60 + part(6)?) * 60 + part(8)?;
    Some((days_since_1970(year, month, day) * 86_400 + seconds) * 1000)
}

/// Days from 1970-01-01 in the Gregorian calendar, counted in years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The fields of DER, one after the other: tag and content.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The content of the next field, if it has this tag.
    fn next_is(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if digits.len() > 4 {
                return None;
            }
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use rustls::pki_types::pem::PemObject;

    use super::*;

    /// `openssl x509 -noout -subject -enddate -in cases/valid/ca.pem` says the same.
    #[test]
    fn a_certificate_says_whose_it_is_and_until_when() {
        let pem = include_bytes!("cases/valid/ca.pem");
        let certificate = CertificateDer::from_pem_slice(pem).unwrap();
        let facts = CertificateFacts::of(&certificate);
        assert_eq!(
            (facts.name.as_str(), facts.ends_ms),
            ("Bartizan test authority", Some(4_949_222_788_000))
        );
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(time_ms((UTC_TIME, b"700101000000Z")), Some(0));
        assert_eq!(time_ms((UTC_TIME, b"491231235959Z")), Some(2_524_607_999_000));
        assert_eq!(time_ms((GENERALIZED_TIME, b"20240229120000Z")), Some(1_709_208_000_000));
        for wrong in [&b"700101000000"[..], b"7001010000Z", b"", "é70101000000Z".as_bytes()] {
            assert_eq!(time_ms((UTC_TIME, wrong)), None);
        }
    }

    proptest::proptest! {
        /// A client may send any bytes as its certificate.
        #[test]
        fn no_bytes_bring_it_down(bytes in proptest::collection::vec(0_u8..0x90, 0..200)) {
            let _ = CertificateFacts::of(&bytes.into());
        }

        #[test]
        fn nor_does_a_certificate_that_is_changed(at in 0_usize..400, byte: u8) {
            let pem = include_bytes!("cases/valid/ca.pem");
            let mut bytes = CertificateDer::from_pem_slice(pem).unwrap().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = CertificateFacts::of(&bytes.into());
        }
    }
}
