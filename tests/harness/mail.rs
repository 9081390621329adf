//! A real mail server: Exim in a folder of its own, on ports of its own, delivering to Maildirs.
//!
//! # Invariants
//!
//! - The machine's own Exim, its configuration and its spool stay untouched, and no rights are needed: this one is told
//!   to give up root's before it delivers, so that it may be given another configuration (`-C`).
//! - Without TLS it takes no mail, and without the password neither.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use tempfile::TempDir;

use crate::{
    DEADLINE,
    certificate::Certificate,
    letter::Letter,
    peer::{Peer, free_port, need},
    wait_for,
};

/// Who may send.
pub const USERNAME: &str = "bartizan";
/// With this password.
pub const PASSWORD: &str = "a secret, with = and # in it";
/// A mailbox.
pub const OPS: &str = "ops@example.test";
/// Another one.
pub const DUTY: &str = "duty@example.test";
/// Refused for good.
pub const NOBODY: &str = "nosuchuser@example.test";
/// A mailbox that is refused for now while [`Mail::greylist`] says so.
pub const GREY: &str = "grey@example.test";

/// As root it runs as nobody: root's mail is never delivered by it.
const UNPRIVILEGED: u32 = 65534;

/// The mail server. It starts down.
pub struct Mail {
    folder: TempDir,
    certificate: Certificate,
    /// Port where STARTTLS is required.
    pub starttls: u16,
    /// Port that is encrypted from the first byte.
    pub implicit: u16,
    exim: Option<Peer>,
}

impl Mail {
    /// Prepares folder, certificate and configuration; starts nothing.
    pub fn prepare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificate = Certificate::make(folder.path());
        let mail =
            Self { certificate, starttls: free_port(), implicit: free_port(), exim: None, folder };
        let path = mail.folder.path();
        fs::write(path.join("boxes"), "ops:\nduty:\ngrey:\n").unwrap();
        fs::write(path.join("exim.conf"), mail.configuration()).unwrap();
        for name in ["mail", "spool", "log"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        if rustix::process::geteuid().is_root() {
            give_away(path);
        }
        mail
    }

    /// A mail server that is up.
    pub async fn start() -> Self {
        let mut mail = Self::prepare();
        mail.up().await;
        mail
    }

    /// Starts it where it was.
    pub async fn up(&mut self) {
        let mut command = Command::new(need("exim4", "exim4-daemon-light"));
        command.arg("-C").arg(self.folder.path().join("exim.conf")).arg("-bdf");
        command.current_dir(self.folder.path());
        if rustix::process::geteuid().is_root() {
            command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
        }
        let mut exim = Peer::start("exim", command, self.folder.path());
        exim.listens(self.starttls).await;
        self.exim = Some(exim);
    }

    /// Ends it; from then on connections are refused.
    pub fn down(&mut self) {
        self.exim.take();
    }

    /// `[channel.email]` by STARTTLS, with the password in a file of `folder`.
    pub fn channel(&self, folder: &Path) -> String {
        let password = folder.join("smtp-password");
        fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        format!(
            "[channel.email]\nhost = \"localhost\"\nport = {}\nca_file = \"{}\"\nusername = \"{USERNAME}\"\n\
             password_file = \"{}\"\nfrom = \"Bartizan <bartizan@example.test>\"\n\n",
            self.starttls,
            self.certificate.authority.display(),
            password.display(),
        )
    }

    /// The authority's certificate: what `ca_file` names.
    pub fn authority(&self) -> &Path {
        &self.certificate.authority
    }

    /// From now on, whether [`GREY`] is told to come again later.
    pub fn greylist(&self, on: bool) {
        let sign = self.folder.path().join("greylisting");
        if on { fs::write(sign, "").unwrap() } else { fs::remove_file(sign).unwrap() }
    }

    /// Every mail in the box of an address, in the order in which they arrived.
    pub fn letters(&self, address: &str) -> Vec<Letter> {
        let (name, _) = address.split_once('@').unwrap();
        let folder = self.folder.path().join("mail").join(name).join("new");
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let mut letters: Vec<_> =
            entries.map(|entry| Letter::read(&entry.unwrap().path())).collect();
        letters.sort_by_key(|letter| letter.arrived_ms);
        letters
    }

    /// Waits until the box of an address holds so many mails, and returns them.
    ///
    /// # Panics
    ///
    /// When it holds more.
    pub async fn arrived(&self, address: &str, count: usize) -> Vec<Letter> {
        let what = format!("{count} mails for {address}");
        let look = async || Some(self.letters(address)).filter(|letters| letters.len() >= count);
        let letters = wait_for(&what, DEADLINE, look).await.0;
        let subjects: Vec<_> = letters.iter().map(|letter| &letter.subject).collect();
        assert_eq!(letters.len(), count, "mails for {address}: {subjects:?}");
        letters
    }

    /// What it has logged: a line for each mail it took, each it refused, and each it delivered.
    pub fn log(&self) -> String {
        let logs = ["mainlog", "rejectlog"].map(|name| self.folder.path().join("log").join(name));
        logs.map(|log| fs::read_to_string(log).unwrap_or_default()).concat()
    }

    fn configuration(&self) -> String {
        let folder = self.folder.path().display();
        let Self { starttls, implicit, certificate, .. } = self;
        let (certificate, key) = (certificate.certificate.display(), certificate.key.display());
        let (user, group) = if rustix::process::geteuid().is_root() {
            (UNPRIVILEGED, UNPRIVILEGED)
        } else {
            (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
        };
        // Exim refuses a recipient's name as part of a path, so that is looked up in `boxes`.
        format!(
            "primary_hostname = localhost
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
exim_user = {user}
exim_group = {group}
deliver_drop_privilege = true
local_interfaces = <; 127.0.0.1.{starttls} ; 127.0.0.1.{implicit}
tls_on_connect_ports = {implicit}
domainlist local_domains = example.test
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts = *
tls_certificate = {certificate}
tls_privatekey = {key}
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_mail = acl_mail
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = accept
keep_environment =
log_selector = +received_recipients
begin acl
acl_mail:
  deny message = Must issue a STARTTLS command first
       !encrypted = *
  deny message = Authentication required
       !authenticated = *
  accept
acl_rcpt:
  deny message = relay not permitted
       domains = !+local_domains
  defer message = greylisted, please come again later
       local_parts = grey
       condition = ${{if exists{{{folder}/greylisting}}}}
  deny message = no such user here
       local_parts = !lsearch;{folder}/boxes
  accept
begin routers
local:
  driver = accept
  domains = +local_domains
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {folder}/mail/${{lookup{{$local_part}}lsearch,ret=key{{{folder}/boxes}}}}
  maildir_format
  create_directory
  mode = 0644
begin retry
*  *  F,1h,5s
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{USERNAME}}}}}{{eq{{$auth3}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{{USERNAME}}}}}{{eq{{$auth2}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth1
"
        )
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        self.down();
        if std::thread::panicking() {
            eprintln!("--- the mail server's log\n{}\n---", self.log());
        }
    }
}

/// Gives a folder and all in it to whom Exim runs as.
fn give_away(path: &Path) {
    chown(path, Some(UNPRIVILEGED), Some(UNPRIVILEGED)).unwrap();
    if path.is_dir() {
        // Maildirs are read by the scenario, which need not be root's own.
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(path).unwrap() {
            give_away(&entry.unwrap().path());
        }
    }
}
