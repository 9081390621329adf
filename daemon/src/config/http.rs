//! `[http]`

use std::net::{Ipv4Addr, SocketAddr};

/// Where the page and the API are served, and to whom.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpConfig {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// What links begin with, and one more name that requests may use as Host.
    pub public_url: Option<String>,
    /// Allows a non-loopback address without TLS.
    pub insecure: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 9797).into(), public_url: None, insecure: false }
    }
}
