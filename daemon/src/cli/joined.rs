//! What a configuration file becomes by joining a hub: decisions about its text, without touching the file.
//!
//! Nothing that stands there is changed. What is added stands at the end, as tables of their own.

use std::path::PathBuf;

use crate::{
    config::{Config, stands_for},
    series::check_server_name,
};

/// What is to be added.
#[derive(Debug)]
pub(super) struct Addition {
    /// What this machine is called from now on, where its configuration does not say so yet.
    pub(super) server: Option<String>,
    /// The hub, where none stands there yet.
    pub(super) forward: Option<Forward>,
}

/// A `[[forward]]` to a hub.
#[derive(Debug)]
pub(super) struct Forward {
    /// Where samples go.
    pub(super) url: String,
    /// File of the token.
    pub(super) token_file: PathBuf,
    /// PEM file of authorities.
    pub(super) ca_file: Option<PathBuf>,
    /// PEM files of its certificate and key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
    /// Whether the traffic may go unencrypted.
    pub(super) insecure: bool,
}

/// Why this machine cannot be what it is to be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    /// Nobody may be called so.
    #[error("the name {0}; give another by --name")]
    Wrong(String),
    /// The configuration says otherwise.
    #[error(
        "the configuration watches {watched} and not `{wanted}`: add a `[[server]]` of that name \
         there, or join by a name that it watches (--name)"
    )]
    Another {
        /// Whom it watches.
        watched: String,
        /// The name that was given.
        wanted: String,
    },
    /// The token is for other servers.
    #[error(
        "the token is for {granted}, and this machine is called `{wanted}`: give the name that it \
         is for by --name, or make a token for `{wanted}` by `bartizan server add` on the hub"
    )]
    NotGranted {
        /// Whom the token is for.
        granted: String,
        /// What this machine is called.
        wanted: String,
    },
}

/// What this machine is called: as it is `asked` for, else as `config` says, else as it calls itself. The second is
/// whether its configuration has yet to say so.
pub(super) fn name(
    asked: Option<String>,
    config: &Config,
    this_machine: &str,
) -> Result<(String, bool), NameError> {
    if let Some(asked) = &asked {
        check_server_name(asked).map_err(NameError::Wrong)?;
    }
    let watched: Vec<&str> = config.servers.iter().map(|server| server.name.as_str()).collect();
    match (asked, watched.first()) {
        (Some(asked), None) => {
            let is_other = asked != this_machine;
            Ok((asked, is_other))
        }
        (Some(asked), Some(_)) if watched.contains(&&*asked) => Ok((asked, false)),
        (Some(wanted), Some(_)) => Err(NameError::Another { watched: listed(&watched), wanted }),
        (None, Some(first)) => Ok(((*first).to_owned(), false)),
        (None, None) => Ok((this_machine.to_owned(), false)),
    }
}

/// Whether a token for `granted` lets this machine write as `name`.
pub(super) fn check_granted(granted: &[String], name: &str) -> Result<(), NameError> {
    if granted.iter().any(|granted| stands_for(granted, name)) {
        return Ok(());
    }
    let granted: Vec<&str> = granted.iter().map(String::as_str).collect();
    Err(NameError::NotGranted { granted: listed(&granted), wanted: name.into() })
}

/// What the file of the token is called of the hub at `authority`, its name or address and its port: each hub has one of
/// its own.
pub(super) fn token_file_name(authority: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '-' };
    let name: String = authority.to_ascii_lowercase().chars().map(plain).collect();
    format!("hub-token-{}", name.trim_matches('-'))
}

impl Addition {
    pub(super) fn is_nothing(&self) -> bool {
        self.server.is_none() && self.forward.is_none()
    }

    /// The tables that are added, as people write them; `None` where there are none.
    pub(super) fn tables(&self) -> Option<&'static str> {
        match (&self.server, &self.forward) {
            (None, None) => None,
            (Some(_), None) => Some("[[server]]"),
            (None, Some(_)) => Some("[[forward]]"),
            (Some(_), Some(_)) => Some("[[server]] and [[forward]]"),
        }
    }
}

/// `text` with the addition behind it.
pub(super) fn with(text: &str, addition: &Addition) -> String {
    let mut lines = Vec::new();
    if let Some(name) = &addition.server {
        lines.push(format!("\n[[server]]\nname = {}", quoted(name)));
    }
    if let Some(forward) = &addition.forward {
        lines.push(format!(
            "\n# A hub that this machine reports to.\n[[forward]]\nurl = {}",
            quoted(&forward.url)
        ));
        let mut file = |key: &str, path: &PathBuf| {
            lines.push(format!("{key} = {}", quoted(&path.to_string_lossy())));
        };
        file("token_file", &forward.token_file);
        if let Some(path) = &forward.ca_file {
            file("ca_file", path);
        }
        if let Some((certificate, key)) = &forward.identity {
            file("certificate", certificate);
            file("key", key);
        }
        if forward.insecure {
            lines.push("insecure = true".into());
        }
    }
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let added = lines.join("\n");
    let added = if text.is_empty() { added.trim_start() } else { &added };
    format!("{text}{end}{added}\n")
}

fn listed(names: &[&str]) -> String {
    const SHOWN_MAX: usize = 5;
    let shown: Vec<_> = names.iter().take(SHOWN_MAX).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > SHOWN_MAX { " and others" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// `text` as a string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn a_machine_is_called_as_it_is_asked_for_unless_its_configuration_objects() {
        let config = |text: &str| Config::parse(text, "b.toml").unwrap();
        let nobody = config("");
        let two = config("[[server]]\nname = 'a'\n[[server]]\nname = 'b'");
        let asked = |name: &str| Some(name.to_owned());
        assert_eq!(name(None, &nobody, "tower"), Ok(("tower".into(), false)));
        assert_eq!(name(asked("web"), &nobody, "tower"), Ok(("web".into(), true)));
        assert_eq!(name(asked("tower"), &nobody, "tower"), Ok(("tower".into(), false)));
        assert_eq!(name(None, &two, "tower"), Ok(("a".into(), false)));
        assert_eq!(name(asked("b"), &two, "tower"), Ok(("b".into(), false)));
        let error = name(asked("web"), &two, "tower").unwrap_err().to_string();
        assert!(error.contains("watches `a`, `b` and not `web`"), "{error}");
        let error = name(asked("web-*"), &nobody, "tower").unwrap_err().to_string();
        assert!(error.starts_with("the name is `web-*`, must have 1 to 128 bytes"), "{error}");
    }

    #[test]
    fn a_token_is_held_against_the_name() {
        let granted = ["web-*".to_owned(), "db".to_owned()];
        assert_eq!(check_granted(&granted, "web-1"), Ok(()));
        assert_eq!(check_granted(&granted, "db"), Ok(()));
        let error = check_granted(&granted, "tower").unwrap_err().to_string();
        assert!(
            error.contains("is for `web-*`, `db`, and this machine is called `tower`"),
            "{error}"
        );
    }

    #[test]
    fn each_hub_has_a_token_file_of_its_own() {
        for (authority, name) in [
            ("hub.example.org:443", "hub-token-hub.example.org-443"),
            ("Hub:9797", "hub-token-hub-9797"),
            ("[::1]:9797", "hub-token-1--9797"),
            ("10.0.0.1:80", "hub-token-10.0.0.1-80"),
        ] {
            assert_eq!(token_file_name(authority), name);
        }
    }

    #[test]
    fn what_stands_in_the_file_stays_and_what_is_added_is_toml() {
        let forward = Forward {
            url: "https://hub/api/v1/write".into(),
            token_file: "/etc/it's \"here\"/token".into(),
            ca_file: Some("/ca.pem".into()),
            identity: Some(("/c.pem".into(), "/k.pem".into())),
            insecure: true,
        };
        let addition = Addition { server: Some("web-1".into()), forward: Some(forward) };
        for before in ["", "[log]\nlevel = 'info'", "# nothing\n"] {
            let after = with(before, &addition);
            assert!(after.starts_with(before), "{after}");
            let parsed: toml::Table = after.parse().unwrap();
            assert_eq!(parsed["server"][0]["name"].as_str(), Some("web-1"));
            let forward = &parsed["forward"][0];
            assert_eq!(forward["url"].as_str(), Some("https://hub/api/v1/write"));
            assert_eq!(forward["token_file"].as_str(), Some("/etc/it's \"here\"/token"));
            assert_eq!(forward["key"].as_str(), Some("/k.pem"));
            assert_eq!(forward["insecure"].as_bool(), Some(true));
        }
    }
}
