//! `[http]`

use std::net::{Ipv4Addr, SocketAddr};

use toml::de::DeValue;

use super::{TlsConfig, address::web_uri, section::Section, value};

/// Where the page and the API are served, and to whom.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// What links begin with, and one more name that requests may use as Host.
    pub public_url: Option<String>,
    /// Allows a non-loopback address without TLS.
    pub insecure: bool,
    /// How the traffic is encrypted; not at all unless given.
    pub tls: Option<TlsConfig>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 9797).into(),
            public_url: None,
            insecure: false,
            tls: None,
        }
    }
}

impl HttpConfig {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let config = Self {
            listen: section.value("listen", address).unwrap_or(default.listen),
            public_url: section.value("public_url", url),
            insecure: section.value("insecure", value::switch).unwrap_or(default.insecure),
            tls: section.optional("tls", TlsConfig::read),
        };
        if let Some(reason) = config.exposure() {
            section.refuse("listen", reason);
        }
        config
    }

    /// What addresses of it begin with.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Why this address must not be served: whoever can reach it could read the
    /// traffic, the administrator's token with it. `None` if it may be.
    pub(super) fn exposure(&self) -> Option<String> {
        let loopback = self.listen.ip().to_canonical().is_loopback();
        let free = loopback || self.insecure || self.tls.is_some();
        let ip = self.listen.ip();
        (!free).then(|| {
            format!(
                "{ip} is no loopback address, and traffic is not encrypted; name a certificate \
                 and its key by `http.tls`, put a TLS proxy before a loopback address, or set \
                 `http.insecure = true`"
            )
        })
    }
}

fn address(value: &DeValue<'_>) -> Result<SocketAddr, String> {
    let text = value::text(value)?;
    text.parse().map_err(|_| {
        format!("is `{text}`, must be an address and a port such as \"127.0.0.1:9797\" or \"[::1]:9797\"")
    })
}

fn url(value: &DeValue<'_>) -> Result<String, String> {
    let text = value::text(value)?;
    let whole = web_uri(text).is_some_and(|uri| uri.query().is_none());
    if whole {
        return Ok(text.into());
    }
    Err(format!("is `{text}`, must be a URL such as \"https://bartizan.example.org\""))
}
