//! `bartizan join`: makes this machine report to a hub. It is what `bartizan server add` prints.
//!
//! # Invariants
//!
//! - The hub is asked first. Unless it knows the token, and the token is for this machine, nothing is written.
//! - Nothing that stands in the configuration is changed; what cannot be added is an error.
//! - The configuration is whole at every moment, and one that the daemon would refuse is not written.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, BufRead, ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use super::{
    Failure,
    hub::{Hub, HubError, Known},
    joined::{self, Addition, Forward, NameError},
    output::{OutputError, print},
    rejoin::{self, AgainError},
};
use crate::config::{Config, ConfigError, Sources, read_secret};

/// The user that the daemon runs as where it is a service.
const USER: &str = "bartizan";

/// Which hub, and as whom.
#[derive(Debug, Args)]
pub(super) struct JoinArguments {
    /// The hub's address: https, its name, and its port.
    hub: String,
    /// The token that the hub made for this machine; `-` reads it from the first line of stdin.
    #[arg(long)]
    token: String,
    /// What this machine is called there [else as its configuration says, else its host name].
    #[arg(long)]
    name: Option<String>,
    /// PEM file of the authority that signed the hub's certificate, where the system does not know it.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// PEM file of a certificate of this machine, where the hub asks for one.
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// PEM file of its key.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// Allows http to another machine: token and samples travel unencrypted.
    #[arg(long)]
    insecure: bool,
    /// Replaces the token of a hub that this machine has joined before. What else is given must be as it stands in the
    /// configuration.
    #[arg(long)]
    again: bool,
    /// Configuration file to add to, made if there is none [else $BARTIZAN_CONFIG, else
    /// /etc/bartizan/bartizan.toml].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Why this machine has not joined.
#[derive(Debug, thiserror::Error)]
pub(super) enum JoinError {
    /// The hub.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The name.
    #[error("failed to join")]
    Name(#[from] NameError),
    /// What stands in the configuration is in the way.
    #[error("failed to join again")]
    Again(#[from] AgainError),
    /// The token would travel in the open.
    #[error(
        "failed to join: the token would travel unencrypted to {0}; use https, or allow it by \
         --insecure"
    )]
    Unencrypted(String),
    /// Files of TLS, and no TLS.
    #[error(
        "failed to join: --ca-file, --certificate and --key have no use with {0}, which is not \
         encrypted; begin the address with https://, or leave them out"
    )]
    Useless(String),
    /// No token was given.
    #[error("failed to read the token from stdin: its first line is empty")]
    NoToken,
    /// It has joined before.
    #[error(
        "failed to join: `{}` has a [[forward]] to {url} already; to replace its token, and nothing \
         else, say --again",
        config.display()
    )]
    Joined {
        /// The configuration.
        config: PathBuf,
        /// Where it forwards to.
        url: String,
    },
    /// Another token is there.
    #[error(
        "failed to join: `{}` holds another token; remove it, or replace it by --again", .0.display()
    )]
    OtherToken(PathBuf),
    /// A file could not be read or written.
    #[error("failed to {step} `{}`", path.display())]
    File {
        /// What was to be done.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was done cannot be shown.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Asks the hub, then writes.
pub(super) fn join(arguments: JoinArguments) -> Result<ExitCode, Failure> {
    let file = Sources { config: arguments.config.clone(), ..Sources::default() }.file_or_default();
    let file = std::path::absolute(&file).map_err(failed("find", &file))?;
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(source) => return Err(failed("read", &file)(source).into()),
    };
    let config = Config::parse(&text, &file.display().to_string())?;
    let nodename = rustix::system::uname();
    let (name, is_new) =
        joined::name(arguments.name.clone(), &config, &nodename.nodename().to_string_lossy())
            .map_err(JoinError::from)?;
    let mut hub = arguments.hub()?;
    let url = hub.write_url();
    let standing = rejoin::standing(&config, &url);
    let token_file = match standing {
        Some(_) if !arguments.again => {
            return Err(JoinError::Joined { config: file, url }.into());
        }
        Some(standing) => {
            rejoin::settle(standing, &mut hub).map_err(JoinError::from)?;
            rejoin::token_file(standing, &hub).map_err(JoinError::from)?.to_owned()
        }
        None => file.with_file_name(joined::token_file_name(&hub.authority())),
    };
    rejoin::check_own(&config, &token_file, &url).map_err(JoinError::from)?;
    // What stands in the configuration was allowed there.
    if standing.is_none() && !arguments.may_send_to(&hub) {
        return Err(JoinError::Unencrypted(hub.to_string()).into());
    }
    if !hub.is_encrypted() && (hub.ca_file.is_some() || hub.identity.is_some()) {
        return Err(JoinError::Useless(hub.to_string()).into());
    }
    let token = arguments.token()?;
    let known: Known = hub.ask(&token, |step| Ok::<_, JoinError>(print(&format!("{step}\n"))?))?;
    joined::check_granted(&known.servers, &name).map_err(JoinError::from)?;
    print(&format!("token known, for {}\n", known.servers.join(", ")))?;

    let insecure = arguments.insecure && !hub.is_encrypted();
    let forward = Forward {
        url,
        token_file: token_file.clone(),
        ca_file: hub.ca_file,
        identity: hub.identity,
        insecure,
    };
    let addition =
        Addition { server: is_new.then_some(name), forward: standing.is_none().then_some(forward) };
    let folder = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(failed("make folder", folder))?;
    let was_there = token_file.exists();
    let kept = keep_token(&token_file, &token, arguments.again)?;
    if !addition.is_nothing() {
        let written = add(&file, &text, &addition);
        if written.is_err() && !was_there {
            // It would be in the way of the next attempt. If it cannot be removed, that says so.
            let _ = fs::remove_file(&token_file);
        }
        written?;
    }
    if arguments.insecure && !insecure {
        print("--insecure is not needed: what goes to this hub is encrypted\n")?;
    }
    done(&token_file, kept, &file, &addition)
}

impl JoinArguments {
    fn token(&self) -> Result<String, JoinError> {
        if self.token != "-" {
            return Ok(self.token.trim().into());
        }
        let line = io::stdin().lock().lines().next().and_then(Result::ok).unwrap_or_default();
        match line.trim() {
            "" => Err(JoinError::NoToken),
            token => Ok(token.into()),
        }
    }

    fn hub(&self) -> Result<Hub, JoinError> {
        let mut hub = Hub::at(&self.hub)?;
        let whole = |path: &PathBuf| std::path::absolute(path).map_err(failed("find", path));
        hub.ca_file = self.ca_file.as_ref().map(whole).transpose()?;
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            hub.identity = Some((whole(certificate)?, whole(key)?));
        }
        Ok(hub)
    }

    /// Whether a token may travel to `hub` as it would.
    fn may_send_to(&self, hub: &Hub) -> bool {
        hub.is_encrypted() || self.insecure || is_this_machine(hub.host())
    }
}

/// Whether what is sent to `host` stays on this machine.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// What became of the token's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// There was none.
    Written,
    /// It held another one.
    Replaced,
    /// It held this one.
    AsItWas,
}

/// Keeps the token for the daemon's user alone.
fn keep_token(path: &Path, token: &str, again: bool) -> Result<Kept, JoinError> {
    let kept = match read_secret(path) {
        Ok(known) if known == token => return Ok(Kept::AsItWas),
        Err(error) if error.kind() == ErrorKind::NotFound => Kept::Written,
        _ if again => Kept::Replaced,
        _ => return Err(JoinError::OtherToken(path.into())),
    };
    write(path, &format!("{token}\n"), 0o600, service_user())?;
    Ok(kept)
}

/// Adds to the configuration, if the daemon would take what it becomes.
fn add(file: &Path, before: &str, addition: &Addition) -> Result<(), Failure> {
    let after = joined::with(before, addition);
    Config::parse(&after, &file.display().to_string()).map_err(|error: ConfigError| error)?;
    let mode = fs::metadata(file).map_or(0o644, |known| known.permissions().mode() & 0o7777);
    let owner = fs::metadata(file).ok().map(|known| owner(&known));
    Ok(write(file, &after, mode, owner)?)
}

/// Says what was written, what was not, and what is to be done now.
fn done(
    token_file: &Path,
    kept: Kept,
    config: &Path,
    addition: &Addition,
) -> Result<ExitCode, Failure> {
    let (token_file, config) = (token_file.display(), config.display());
    let mut text = match kept {
        Kept::Written => format!("wrote {token_file}\n"),
        Kept::Replaced => format!("replaced the token in {token_file}\n"),
        Kept::AsItWas => format!("{token_file} holds this token already\n"),
    };
    text += &match addition.tables() {
        Some(tables) => format!("added {tables} to {config}\n"),
        None => format!("changed nothing in {config}, where the [[forward]] stands already\n"),
    };
    text += "now start it: systemctl restart bartizan\n";
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a file beside its place first, so that it is there whole or not at all.
fn write(path: &Path, text: &str, mode: u32, owner: Option<(u32, u32)>) -> Result<(), JoinError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let write = || {
        let options =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).clone();
        let mut file = options.open(&beside)?;
        if let Some((user, group)) = owner {
            chown(&beside, Some(user), Some(group))?;
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(failed("write", path))
}

fn owner(metadata: &fs::Metadata) -> (u32, u32) {
    use std::os::unix::fs::MetadataExt;
    (metadata.uid(), metadata.gid())
}

/// The daemon's user and group where we may give files away and there is one.
fn service_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    // passwd(5): name, password, user, group.
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let user = users
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(USER)).then_some(fields));
    let mut numbers = user?.skip(1).map_while(|field| field.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

fn failed(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JoinError + use<> {
    let path = path.to_owned();
    move |source| JoinError::File { step, path, source }
}
