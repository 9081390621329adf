//! Programs that are not ours: mail servers, SMS gateways, Prometheus. Started with a log, ended by their own handle.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{DEADLINE, wait_for};

/// A program that runs until it is ended, or this is dropped.
pub struct Peer {
    child: Child,
    name: &'static str,
    log: PathBuf,
}

impl Peer {
    /// Starts a command that stays in the foreground; what it says goes to `<name>.out` in `folder`.
    pub fn start(name: &'static str, mut command: Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.out"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}: {command:?}"));
        Self { child, name, log }
    }

    /// Waits until something listens on a port of this machine.
    pub async fn listens(&mut self, port: u16) {
        let what = format!("{} on port {port}", self.name);
        wait_for(&what, DEADLINE, async || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended with {status}: {}", self.name, self.said());
            }
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok().map(drop)
        })
        .await;
    }

    /// What it has said.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits until it has; after some seconds it is no longer asked.
    pub fn end(&mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        if self.child.try_wait().unwrap().is_none() {
            // Not waited for yet, so the number is still its own.
            let _ = kill_process(pid, Signal::TERM);
        }
        for _ in 0..100 {
            if self.child.try_wait().unwrap().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            let said = self.said();
            let lines: Vec<&str> = said.lines().collect();
            let last = &lines[lines.len().saturating_sub(15)..];
            eprintln!("--- {} said last\n{}\n---", self.name, last.join("\n"));
        }
    }
}

/// A port of this machine that nobody has.
pub fn free_port() -> u16 {
    // The system does not give the same one again for a long while.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A program by its name or path; folders of administrators are looked at too.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    // An absolute path replaces the folder it is joined to.
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A program that a scenario cannot do without.
///
/// # Panics
///
/// When it is not installed; the text names the Debian package.
pub fn need(program: &str, package: &str) -> PathBuf {
    find(program).unwrap_or_else(|| panic!("`{program}` is missing: install the package {package}"))
}

/// Runs a command to its end.
///
/// # Panics
///
/// When it fails.
pub fn run(mut command: Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{error}: {command:?}"));
    assert!(
        output.status.success(),
        "{command:?}: {} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
