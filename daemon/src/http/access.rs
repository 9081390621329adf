//! Who may do what. Pure decisions: nothing here waits, reads a file or answers.
//!
//! - A request is known by a name of ours (Host), or it is refused: a page of
//!   somebody else whose name was turned to our address would else read along.
//! - A change, and the stream, comes from a page of ours (Origin), or from no page.
//! - Reading is free on a loopback address; anything else needs a right.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use warp::http::{HeaderMap, Method, StatusCode, Uri, header, request::Parts};

use super::{Tls, Token, reply::Problem};

/// Name of the cookie that a signed-in browser has.
pub(super) const COOKIE: &str = "bartizan_session";

/// Longest address of a request, in bytes.
const URI_MAX: usize = 8 * 1024;

/// Longest head of a request, in bytes of its headers.
const HEADERS_MAX: usize = 32 * 1024;

/// Longest body, in bytes.
const BODY_MAX: u64 = 8 * 1024 * 1024;

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// By TCP, at this address of ours.
    Tcp(SocketAddr),
    /// By the control socket, from root or our own user.
    Control,
}

/// Who may do anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// Has the token, the session made of it, or the control socket.
    Administrator,
    /// Has nothing, and needs nothing: reads at a loopback address.
    Reader,
    /// Has nothing of what is needed here.
    Missing,
}

/// What this daemon is called by.
#[derive(Debug, Clone)]
pub struct Names {
    listen: SocketAddr,
    machine: String,
    public: Option<Origin>,
    /// What the addresses of it begin with that people are given, if somebody said so.
    base: Option<String>,
    /// Whose certificate says what else it is called, where it speaks TLS by itself.
    tls: Option<Arc<Tls>>,
}

/// Scheme, host and port: what browsers call an origin. Lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

/// Judges requests.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) names: Names,
    pub(super) token: Token,
}

impl Names {
    /// Names of a daemon that listens at `listen`, on a machine called `machine`,
    /// and is known to people by `public_url`.
    pub fn new(listen: SocketAddr, machine: &str, public_url: Option<&str>) -> Self {
        let public = public_url.and_then(Origin::parse);
        let base = public_url.map(|url| url.trim_end_matches('/').to_owned());
        let machine = machine.to_ascii_lowercase();
        Self { listen, machine, public, base, tls: None }
    }

    /// The same of a daemon that speaks TLS by itself.
    pub fn with_tls(self, tls: Arc<Tls>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    fn default_port(&self) -> u16 {
        if self.tls.is_some() { 443 } else { 80 }
    }

    /// What addresses begin with by which other machines reach us, such as `https://hub:9797`.
    pub fn url(&self) -> String {
        if let Some(base) = &self.base {
            return base.clone();
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match self.listen {
            every if every.ip().is_unspecified() => {
                let certified = self.tls.as_ref().and_then(|tls| tls.host());
                let host = certified.as_ref().unwrap_or(&self.machine);
                format!("{scheme}://{host}:{}", every.port())
            }
            one => format!("{scheme}://{one}"),
        }
    }

    /// Why other machines may not reach us by [`url`](Self::url), and what helps.
    pub(super) fn url_problem(&self) -> Option<&'static str> {
        if self.base.is_none() && self.listen.ip().to_canonical().is_loopback() {
            return Some(
                "this hub listens on a loopback address, which no other machine reaches: set \
                 http.listen and http.tls, or http.public_url if a proxy stands before it",
            );
        }
        (!self.is_https()).then_some(
            "traffic to this hub is not encrypted, and the token travels with it: set http.tls",
        )
    }

    /// Whether `host`, a Host header, is one of ours at `local`, the address that
    /// the connection came in at.
    fn is_ours(&self, host: &str, local: SocketAddr) -> bool {
        let Some((name, port)) = split_authority(host) else { return false };
        if let Some(public) = &self.public
            && public.host == name
            && port.is_none_or(|port| port == public.port)
        {
            return true;
        }
        if port.unwrap_or(self.default_port()) != self.listen.port() {
            return false;
        }
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match address {
            Ok(address) => {
                let addresses = [self.listen.ip(), local.ip()];
                address.is_loopback() || addresses.iter().any(|ours| ours.to_canonical() == address)
            }
            Err(_) => {
                let short = self.machine.split('.').next().unwrap_or_default();
                name == "localhost"
                    || (!name.is_empty() && [short, &self.machine].contains(&&*name))
                    || self.tls.as_ref().is_some_and(|tls| tls.is_for(&name))
            }
        }
    }

    /// Whether a page of `origin` is a page of ours, for a request to `host`.
    fn is_our_page(&self, origin: &str, host: &str) -> bool {
        let Some(origin) = Origin::parse(origin) else { return false };
        if Some(&origin) == self.public.as_ref() {
            return true;
        }
        // Behind a proxy that speaks TLS the page is https and we are not.
        let same = split_authority(host).map(|(name, port)| {
            name == origin.host && port.unwrap_or(origin.default_port()) == origin.port
        });
        same.unwrap_or(false)
    }

    /// Whether browsers reach us by nothing but https.
    fn is_https(&self) -> bool {
        self.tls.is_some() || self.public.as_ref().is_some_and(|public| public.scheme == "https")
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let uri = text.parse::<Uri>().ok()?;
        let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?;
        let (host, port) = split_authority(uri.authority()?.as_str())?;
        let default = if scheme == "https" { 443 } else { 80 };
        Some(Self { scheme: scheme.to_owned(), host, port: port.unwrap_or(default) })
    }

    fn default_port(&self) -> u16 {
        if self.scheme == "https" { 443 } else { 80 }
    }
}

/// Name, in lower case, and port of `name`, `name:1`, `[::1]` or `[::1]:1`.
fn split_authority(text: &str) -> Option<(String, Option<u16>)> {
    if text.contains(['@', '/', '?', '#', ' ']) {
        return None;
    }
    let name_ends = text.find(']').map_or(0, |bracket| bracket + 1);
    let (name, port) = match text.get(name_ends..)?.find(':') {
        None => (text, None),
        Some(colon) => {
            let (name, port) = text.split_at(name_ends + colon);
            (name, Some(port.get(1..)?.parse().ok()?))
        }
    };
    Some((name.trim_end_matches('.').to_ascii_lowercase(), port))
}

impl Access {
    /// Judges a request by its head: how it may be answered, or why not at all.
    pub(super) fn judge(&self, head: &Parts, peer: Peer) -> Result<Right, Problem> {
        check_size(head)?;
        let (right, by_cookie) = self.right(head, peer);
        let Peer::Tcp(local) = peer else { return Ok(right) };
        let host = host(head)?;
        if !self.names.is_ours(host, local) {
            let detail = format!(
                "this daemon is not called `{host}`; use the address that it listens on, or name \
                 the other one by http.public_url"
            );
            return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", detail));
        }
        let changes = !is_reading(&head.method);
        if changes || head.headers.contains_key(header::UPGRADE) {
            let foreign = || {
                let detail = "this comes from a page of another origin; open the page of this \
                              daemon, or name its address by http.public_url";
                Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail)
            };
            match one(&head.headers, &header::ORIGIN).ok_or_else(foreign)? {
                Some(origin) if !self.names.is_our_page(origin, host) => return Err(foreign()),
                // Browsers name the origin of every change; without one, a cookie proves nothing.
                None if changes && by_cookie => return Err(foreign()),
                _ => {}
            }
        }
        Ok(right)
    }

    /// The right of a request, and whether a cookie gave it.
    fn right(&self, head: &Parts, peer: Peer) -> (Right, bool) {
        let Peer::Tcp(_) = peer else { return (Right::Administrator, false) };
        if let Some(token) = bearer(&head.headers) {
            let right = if self.token.is(token) { Right::Administrator } else { Right::Missing };
            return (right, false);
        }
        let cookies = head.headers.get_all(header::COOKIE).iter();
        let mut cookies =
            cookies.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
        let session = |cookie: &str| {
            let value = cookie.trim().split_once('=').filter(|(name, _)| *name == COOKIE);
            value.is_some_and(|(_, value)| self.token.is_session(value))
        };
        if cookies.any(session) {
            (Right::Administrator, true)
        } else if self.names.listen.ip().is_loopback() && is_reading(&head.method) {
            (Right::Reader, false)
        } else {
            (Right::Missing, false)
        }
    }

    /// The cookie that signs in whoever gives `token`; `None` for a wrong one.
    pub(super) fn sign_in(&self, token: &str) -> Option<String> {
        const MONTH_S: u32 = 30 * 24 * 60 * 60;
        self.token.is(token).then(|| {
            let session = self.token.session();
            let secure = if self.names.is_https() { "; Secure" } else { "" };
            format!(
                "{COOKIE}={session}; Path=/; Max-Age={MONTH_S}; HttpOnly; SameSite=Strict{secure}"
            )
        })
    }
}

/// The token that a request brings as its authorization.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = one(headers, &header::AUTHORIZATION).flatten()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The same, or the password of basic authentication, which some programs know alone.
pub(super) fn bearer_or_password(headers: &HeaderMap) -> Option<String> {
    if let Some(token) = bearer(headers) {
        return Some(token.to_owned());
    }
    let (scheme, pair) = one(headers, &header::AUTHORIZATION).flatten()?.split_once(' ')?;
    let pair =
        STANDARD.decode(pair.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (_, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some(password.to_owned())
}

/// Whether a request of this method changes nothing.
pub(super) fn is_reading(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

fn check_size(head: &Parts) -> Result<(), Problem> {
    if head.uri.to_string().len() > URI_MAX {
        let detail = format!("the address has more than {URI_MAX} bytes");
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "address_too_long", detail));
    }
    let headers = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    if headers.sum::<usize>() > HEADERS_MAX {
        let detail = format!("the headers have more than {HEADERS_MAX} bytes");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Problem::new(status, "headers_too_large", detail));
    }
    if head.headers.contains_key(header::TRANSFER_ENCODING) {
        let detail = "send the body in one piece, with its content-length";
        return Err(Problem::new(StatusCode::LENGTH_REQUIRED, "length_required", detail));
    }
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > BODY_MAX)
    {
        let detail = format!("the body has more than {BODY_MAX} bytes; send it in parts");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail));
    }
    Ok(())
}

/// The one Host that a request names.
fn host(head: &Parts) -> Result<&str, Problem> {
    let bad = || Problem::bad_request("the request must have one Host header");
    let host = one(&head.headers, &header::HOST).flatten().ok_or_else(bad)?;
    match head.uri.authority() {
        Some(authority) if authority.as_str() != host => Err(bad()),
        _ => Ok(host),
    }
}

/// The value of a header that may be there once: `None` where it is there twice,
/// or is no text.
fn one<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Some(None) };
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok().map(Some)
}
