//! Whom a channel trusts besides the system's authorities.

use std::{error::Error, path::PathBuf};

use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

use super::{Verdict, file};
use crate::{config::certificates_in, trust};

/// The authorities that a channel trusts: the system's, and those of a file.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    /// What the configuration calls the file.
    pub(super) key: &'static str,
    /// PEM file of authorities besides the system's.
    pub(super) ca_file: Option<PathBuf>,
}

impl Trust {
    /// The authorities of the file, as it is now; none where there is no file.
    pub(super) async fn own(
        &self,
        until: Instant,
    ) -> Result<Vec<CertificateDer<'static>>, Verdict> {
        let Some(path) = &self.ca_file else { return Ok(Vec::new()) };
        let pem = file::whole(self.key, path, until).await?;
        certificates_in(&pem).map_err(|error| {
            let (key, shown) = (self.key, path.display());
            Verdict::misconfigured(format!("failed to read {key} `{shown}`: {error}"))
        })
    }

    /// What `error` says of the other side's TLS, and how it is put right; `None` where it says nothing of it.
    pub(super) fn fault(&self, error: &(dyn Error + 'static), host: &str) -> Option<String> {
        trust::fault(self.key, error, host)
    }
}
