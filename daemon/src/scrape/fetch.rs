//! One page over HTTP, with a limit on its size, whether it is packed or not.

use std::io::{self, Write};

use flate2::write::GzDecoder;
use reqwest::{
    RequestBuilder, Response, Url,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, LOCATION},
};

use super::page::Format;
use crate::trust;

/// A page, whole.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) format: Format,
    pub(super) bytes: Vec<u8>,
}

/// Asks, and reads the answer of at most `bytes_max` bytes, unpacked. Says in words why there is no page.
///
/// `bytes_guess` is how large the page may well be.
pub(super) async fn page(
    question: RequestBuilder,
    bytes_guess: usize,
    bytes_max: u64,
) -> Result<Page, String> {
    let mut answer = question.send().await.map_err(lost)?;
    judge(&answer)?;
    let format = Format::of(header(&answer, &CONTENT_TYPE));
    let room = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let bytes = Bounded { bytes: Vec::with_capacity(bytes_guess.min(room)), room };
    let mut body = match header(&answer, &CONTENT_ENCODING) {
        "" | "identity" => Body::Plain(bytes),
        "gzip" | "x-gzip" => Body::Packed(Box::new(GzDecoder::new(bytes))),
        other => {
            let other = other.escape_debug();
            return Err(format!("page is packed with `{other}`, which was not asked for"));
        }
    };
    while let Some(chunk) = answer.chunk().await.map_err(cut_off)? {
        body.take(&chunk).map_err(|error| refused(&error, bytes_max))?;
    }
    let bytes = body.end().map_err(|error| refused(&error, bytes_max))?;
    Ok(Page { format, bytes })
}

fn judge(answer: &Response) -> Result<(), String> {
    let status = answer.status();
    if status == reqwest::StatusCode::OK {
        return Ok(());
    }
    let fix = match (status.as_u16(), header(answer, &LOCATION)) {
        (401 | 403, _) => ": give `token_file`, or `username` and `password_file`".to_owned(),
        (_, to) if status.is_redirection() && !to.is_empty() => {
            format!(" and points to {}: name that in `url`", to.escape_debug())
        }
        _ => String::new(),
    };
    Err(format!("target answered {status}{fix}"))
}

fn header<'a>(answer: &'a Response, name: &HeaderName) -> &'a str {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A body on its way from the network.
enum Body {
    Plain(Bounded),
    Packed(Box<GzDecoder<Bounded>>),
}

/// Takes no more than there is room for.
struct Bounded {
    bytes: Vec<u8>,
    room: usize,
}

impl Body {
    fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(bytes) => bytes.write_all(chunk),
            Self::Packed(packed) => packed.write_all(chunk),
        }
    }

    fn end(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(bounded) => Ok(bounded.bytes),
            Self::Packed(packed) => packed.finish().map(|bounded| bounded.bytes),
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        if chunk.len() > self.room - self.bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn refused(error: &io::Error, bytes_max: u64) -> String {
    match error.kind() {
        io::ErrorKind::FileTooLarge => format!("page is over {}", size(bytes_max)),
        io::ErrorKind::UnexpectedEof => "page is cut off".into(),
        _ => format!("page cannot be unpacked: {error}"),
    }
}

/// `16 MiB`, where it is a round one.
fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} bytes"),
    }
}

fn cut_off(error: reqwest::Error) -> String {
    format!("page is cut off: {}", trust::cause(&error))
}

fn lost(error: reqwest::Error) -> String {
    let host = error.url().and_then(Url::host_str).unwrap_or("target");
    if let Some(fault) = trust::fault("`ca_file`", &error, host) {
        return fault;
    }
    if trust::wants_identity(&error) {
        let fix = "give `certificate` and `key` that it trusts";
        return format!("target wants a certificate of ours: {fix}");
    }
    let why = trust::cause(&error);
    if error.is_connect() {
        return format!("target is not reached: {why}");
    }
    format!("target does not answer: {why}")
}
