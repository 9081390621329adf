//! Starts the built program in a folder of its own, and ends what it started.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use hyper::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    DEADLINE,
    http::{self, Answer, Failure},
    peer::need,
    process::{self, Process, Signal},
    wait_for,
};

/// Several promises are about time; such a scenario has the machine to itself. Those that mostly wait share it. The turn
/// is a lock of this file, which stands beside the program: two test programs that somebody runs at once take turns too.
const MACHINE: &str = "scenarios.lock";

/// A folder, a port, a configuration: where daemons of one scenario run, one after the other.
pub struct Setup {
    folder: TempDir,
    /// Where its daemon listens.
    pub address: SocketAddr,
    environment: Vec<(String, String)>,
    /// Program and arguments that put its daemons elsewhere and then become them.
    within: Vec<String>,
    /// Whether they are asked by their control socket.
    by_control: bool,
    /// Its turn, which ends as this is closed.
    _turn: Option<File>,
}

/// A running daemon. Dropping it kills it; its plugin hosts then end by themselves.
pub struct Daemon {
    child: Child,
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    /// When it was started.
    pub started: Instant,
    log: PathBuf,
    /// By which it is asked, where it listens in a namespace of its own.
    control: Option<PathBuf>,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Setup {
    /// A fresh folder with `config` in its configuration file, and a free port. No other scenario runs until it is
    /// dropped.
    pub fn new(config: &str) -> Self {
        let turn = machine();
        turn.lock().unwrap();
        Self { _turn: Some(turn), ..Self::prepare(config) }
    }

    /// The same for a scenario that bears others of its kind beside it: it mostly waits, and what it promises of time
    /// holds on a busy machine.
    pub fn in_company(config: &str) -> Self {
        let turn = machine();
        turn.lock_shared().unwrap();
        Self { _turn: Some(turn), ..Self::prepare(config) }
    }

    /// Another one in the same scenario: `self` has the turn for both, and must outlive it.
    pub fn beside(&self, config: &str) -> Self {
        Self::prepare(config)
    }

    fn prepare(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        // The system gives a port that nobody has; it does not give the same one again for a long while.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let setup = Self {
            folder,
            address,
            environment: Vec::new(),
            within: Vec::new(),
            by_control: false,
            _turn: None,
        };
        setup.configure(config);
        setup
    }

    /// Writes the configuration file anew. A running daemon reads it at SIGHUP.
    pub fn configure(&self, config: &str) {
        fs::write(self.config(), config).unwrap();
    }

    /// Sets a variable of the daemon's environment.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Lets its daemons run in a network namespace, and listen there. They are asked by their control socket.
    pub fn inside(mut self, namespace: &str, address: SocketAddr) -> Self {
        self.within = ["ip", "netns", "exec", namespace].map(str::to_owned).into();
        (self.by_control, self.address) = (true, address);
        self
    }

    /// Asks its daemons by their control socket, because they speak TLS.
    pub fn by_control(mut self) -> Self {
        self.by_control = true;
        self
    }

    /// Lets its daemons run on a machine of another name, which only root may give.
    pub fn on_machine(mut self, name: &str) -> Self {
        let become_it = "hostname \"$0\" && exec \"$@\"";
        self.within = ["unshare", "--uts", "sh", "-c", become_it, name].map(str::to_owned).into();
        self
    }

    /// The administrator's token, once a daemon has been started.
    pub fn admin_token(&self) -> String {
        fs::read_to_string(self.state().join("admin-token")).unwrap().trim().to_owned()
    }

    /// Puts a file into the folder given as `--plugins`.
    pub fn plugin(self, file: &Path) -> Self {
        fs::copy(file, self.plugins().join(file.file_name().unwrap())).unwrap();
        self
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("bartizan.toml")
    }

    /// The state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The folder given as `--plugins`.
    pub fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// The folder around all of these.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The program with `arguments`, in the environment of a fresh machine.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.within.split_first() {
            Some((first, others)) => {
                let mut command = Command::new(need(first, "iproute2 or util-linux"));
                command.args(others).arg(program());
                command
            }
            None => Command::new(program()),
        };
        command.args(arguments).current_dir(self.folder()).stdin(Stdio::null());
        for name in ["BARTIZAN_CONFIG", "BARTIZAN_STATE", "STATE_DIRECTORY", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command.env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID").env_remove("JOURNAL_STREAM");
        command.env("XDG_STATE_HOME", self.folder().join("xdg-state"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The program as a daemon of this scenario; `arguments` come last.
    pub fn run(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(&["run"]);
        command.arg("--config").arg(self.config()).arg("--state").arg(self.state());
        command.arg("--plugins").arg(self.plugins());
        command.args(["--listen", &self.address.to_string()]).args(arguments);
        command
    }

    /// Starts a daemon and does not wait for anything.
    pub fn spawn(&self) -> Daemon {
        let log = self.folder().join("daemon.log");
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let started = Instant::now();
        let child = self.run(&[]).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        let control = self.by_control.then(|| self.state().join("control.sock"));
        Daemon { child, process, address: self.address, started, log, control }
    }

    /// Starts a daemon and waits until it answers.
    pub async fn start(&self) -> Daemon {
        let mut daemon = self.spawn();
        daemon.answers().await;
        daemon
    }
}

impl Daemon {
    /// Waits until the API answers; returns how long that took since the start.
    pub async fn answers(&mut self) -> Duration {
        wait_for("the daemon's first answer", DEADLINE, async || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the daemon ended with {status}");
            }
            let answer = self.ask("/servers").await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
        self.started.elapsed()
    }

    /// Reads `path` below `/api/v1`.
    pub async fn ask(&self, path: &str) -> Result<Answer, Failure> {
        let path = format!("/api/v1{path}");
        match &self.control {
            Some(socket) => http::over_control(socket, Method::GET, &path, "").await,
            None => http::get(self.address, &path).await,
        }
    }

    /// Reads `path` below `/api/v1`, which must be answered with 200.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.ask(path).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// Every node of the supervision tree with its path, such as `root/fleet/srv:web-1`.
    pub async fn actors(&self) -> Vec<(String, Value)> {
        let mut nodes = Vec::new();
        let mut waiting = vec![(String::new(), self.get("/actors").await)];
        while let Some((above, node)) = waiting.pop() {
            let path = format!("{above}{}", node["name"].as_str().unwrap());
            let below = node["children"].as_array().unwrap();
            waiting.extend(below.iter().map(|child| (format!("{path}/"), child.clone())));
            nodes.push((path, node));
        }
        nodes
    }

    /// Its plugin hosts: its children.
    pub fn hosts(&self) -> Vec<Process> {
        process::children(self.process.pid)
    }

    /// Kills it as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until it has ended by itself; returns how, and how long that took.
    pub async fn ended(&mut self) -> (ExitStatus, Duration) {
        wait_for("the daemon's end", DEADLINE, async || self.child.try_wait().unwrap()).await
    }

    /// Whether it still runs as the same process.
    pub fn runs(&self) -> bool {
        self.process.runs()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already; either way nothing of ours is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(60)..];
            eprintln!("--- the daemon's log ends with\n{}\n---", last.join("\n"));
        }
    }
}

impl Finished {
    /// Whether one line of what it said names this line of the configuration file, and `word`.
    pub fn names(&self, line: usize, word: &str) -> bool {
        let place = format!("bartizan.toml:{line}");
        self.stderr.lines().chain(self.stdout.lines()).any(|text| {
            let rest = text.split_once(&place).map(|(_, rest)| rest);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
                && text.contains(word)
        })
    }

    /// Runs a command to its end, within a minute.
    pub async fn of(mut command: Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let process = Process::find(child.id());
        let output = tokio::task::spawn_blocking(move || child.wait_with_output());
        let Ok(output) = tokio::time::timeout(DEADLINE, output).await else {
            if let Some(process) = process {
                process.signal(Signal::KILL);
            }
            panic!("{command:?} did not end within {DEADLINE:?}");
        };
        let output = output.unwrap().unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The folder of the whole project.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The file whose lock is the turn on this machine; each opening is a lock of its own.
fn machine() -> File {
    File::options().create(true).append(true).open(built(MACHINE)).unwrap()
}

/// The program: `$BARTIZAN_BIN`, or what cargo built beside this test in the same profile.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("BARTIZAN_BIN") {
        return path.into();
    }
    let path = built("bartizan");
    assert!(path.exists(), "{} is not built: run `cargo build --release` first", path.display());
    path
}

/// A file that cargo built in the profile of this test.
pub(crate) fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    profile.join(name)
}
