//! A certificate authority that lives as long as a scenario, and a certificate for this machine's own names.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::peer::{need, run};

/// The files, all in PEM.
pub struct Certificate {
    /// The authority's certificate: what `ca_file` names.
    pub authority: PathBuf,
    /// The server's certificate, for `localhost` and 127.0.0.1.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    authority_key: PathBuf,
}

impl Certificate {
    /// Makes both in `folder`. No system trusts them.
    pub fn make(folder: &Path) -> Self {
        let file = |name: &str| folder.join(name);
        let (authority, authority_key) = (file("authority.pem"), file("authority.key"));
        let (certificate, key) = (file("server.pem"), file("server.key"));
        let mut command = request(&authority_key, &authority, "/CN=Scenario authority");
        command.args(["-addext", "keyUsage=critical,keyCertSign"]);
        run(command);
        let mut command = request(&key, &certificate, "/CN=localhost");
        command.arg("-CA").arg(&authority).arg("-CAkey").arg(&authority_key);
        command.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        run(command);
        Self { authority, certificate, key, authority_key }
    }

    /// Makes a certificate for a client in `folder`, signed by the same authority; returns it and its key.
    pub fn client(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = (folder.join("client.pem"), folder.join("client.key"));
        let mut command = request(&key, &certificate, "/CN=client");
        command.arg("-CA").arg(&self.authority).arg("-CAkey").arg(&self.authority_key);
        command.args(["-addext", "extendedKeyUsage=clientAuth"]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        run(command);
        (certificate, key)
    }
}

fn request(key: &Path, certificate: &Path, subject: &str) -> Command {
    let mut command = Command::new(need("openssl", "openssl"));
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    command.args(["-nodes", "-days", "2", "-subj", subject]);
    command.arg("-keyout").arg(key).arg("-out").arg(certificate);
    command
}
