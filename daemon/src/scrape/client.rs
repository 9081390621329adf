//! How a target is asked: whom it is trusted by, and who we are. Its files are read again when they change.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, RequestBuilder,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderValue},
};

use super::{page::Format, resolver::Resolver};
use crate::{
    config::{Access, Papers, ScrapeConfig, Stamp},
    trust::{self, Remade},
};

/// A connection is kept for the next reading, if that is not too far away.
const IDLE_MIN: Duration = Duration::from_secs(30);

/// The way to one target.
#[derive(Debug)]
pub(super) struct Door {
    terms: Arc<Terms>,
    opened: Remade<Vec<Stamp>, (Client, Option<HeaderValue>)>,
}

/// What is configured about it.
#[derive(Debug)]
struct Terms {
    url: String,
    interval: Duration,
    access: Access,
}

impl Door {
    pub(super) fn new(config: &ScrapeConfig) -> Self {
        let ScrapeConfig { url, access, .. } = config;
        let terms = Terms { url: url.clone(), interval: config.every(), access: access.clone() };
        Self { terms: Arc::new(terms), opened: Remade::default() }
    }

    /// The question for the page, by who we are now. Says in words what is wrong with a file.
    pub(super) async fn question(&mut self) -> Result<RequestBuilder, String> {
        let (seen, made) = (self.terms.clone(), self.terms.clone());
        let opened = self.opened.get(move || seen.access.stamps(), move || made.open());
        let (client, authorization) = opened.await?;
        let question = client
            .get(&self.terms.url)
            .header(ACCEPT, Format::ACCEPT)
            .header(ACCEPT_ENCODING, "gzip");
        Ok(match authorization {
            Some(value) => question.header(AUTHORIZATION, value),
            None => question,
        })
    }
}

impl Terms {
    fn open(&self) -> Result<(Client, Option<HeaderValue>), String> {
        let Papers { authorization, authorities, identity } = self.access.papers()?;
        let client = trust::asking(self.url.starts_with("https:"), authorities, identity)?
            .dns_resolver(Arc::new(Resolver))
            .pool_max_idle_per_host(1)
            .pool_idle_timeout((self.interval * 2).max(IDLE_MIN))
            .build()
            .map_err(|error| format!("failed to set up HTTP: {error}"))?;
        Ok((client, authorization))
    }
}
