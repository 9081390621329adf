//! Plays systemd: a notify socket of its own, and the right to be told when something is stuck.
//!
//! To make an actor really stuck, without a hook in the product, the test stops single threads of the daemon the way a
//! debugger does (ptrace), while all its other threads go on. It may: it is the daemon's parent.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    collections::VecDeque,
    os::unix::net::UnixDatagram,
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use bartizan_tests::{
    DEADLINE, Daemon, Setup,
    hostile::{self, IN_C},
    process::{self, Signal},
    wait_for,
};
use nix::{
    sys::{
        ptrace,
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};

const CONFIG: &str = "[[server]]\nname = \"here\"\n";

/// What systemd would give the unit; a daemon feeds it at least twice as often.
const WATCHDOG: Duration = Duration::from_secs(4);

#[tokio::test]
async fn ready_comes_after_the_first_sample_is_stored_then_the_watchdog_is_fed() {
    let (setup, mut systemd) = setup(CONFIG);
    let mut daemon = setup.spawn();
    systemd.expect("READY=1").await;
    daemon.answers().await;
    // Stored means: asked for now, it is there.
    let mut stored = 0;
    for metric in ["memory_usage_ratio", "load1", "disk_usage_ratio", "network_receive_bytes_total"]
    {
        let series = daemon.raw("here", metric, 0).await;
        stored += series.iter().map(|series| series.points.len()).sum::<usize>();
    }
    assert!(stored > 0, "no sample was stored when READY came");
    systemd.expect("STATUS=watching 1 server").await;
    for _ in 0..3 {
        let silence = systemd.silence_before("WATCHDOG=1").await;
        assert!(silence < WATCHDOG, "fed after {silence:?}");
    }

    daemon.signal(Signal::TERM);
    systemd.expect("STOPPING=1").await;
    let (ended, _) = daemon.ended().await;
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn ready_does_not_come_while_nothing_is_stored() {
    // The one collector never comes back from its first round.
    let config = hostile::server("here", IN_C, "spin").replace("after = 3", "after = 1");
    let (setup, mut systemd) = setup(&config);
    let file = hostile::in_c(setup.folder());
    let setup = setup.plugin(&file);
    let mut daemon = setup.spawn();
    daemon.answers().await;
    wait_for("the collector's failure in the tree", DEADLINE, async || {
        let nodes = daemon.actors().await;
        nodes.iter().any(|(_, node)| node["last_error"].is_string()).then_some(())
    })
    .await;
    assert!(!systemd.seen("READY=1"), "READY came and nothing is stored");
}

#[tokio::test]
async fn the_watchdog_starves_while_the_actors_are_stuck_and_is_fed_again_after() {
    starves(|name| name.starts_with("tokio") || name.starts_with("worker")).await;
}

#[tokio::test]
async fn the_watchdog_starves_while_the_store_s_thread_is_stuck_and_is_fed_again_after() {
    starves(|name| name.starts_with("store")).await;
}

async fn starves(stuck: impl Fn(&str) -> bool) {
    let (setup, mut systemd) = setup(CONFIG);
    let mut daemon = setup.spawn();
    systemd.expect("READY=1").await;
    daemon.answers().await;
    systemd.silence_before("WATCHDOG=1").await;

    let threads = process::threads(daemon.process.pid);
    let chosen: Vec<u32> =
        threads.iter().filter(|(_, name)| stuck(name)).map(|(tid, _)| *tid).collect();
    assert!(!chosen.is_empty(), "no such thread among {threads:?}");
    let stopped = Stopped::new(&daemon, chosen);
    // It may be fed until the silence is noticed; then no more.
    systemd.silent_for(WATCHDOG * 2).await;
    drop(stopped);
    systemd.silence_before("WATCHDOG=1").await;
    assert!(daemon.runs());
}

fn setup(config: &str) -> (Setup, Systemd) {
    let setup = Setup::in_company(config);
    let socket = setup.folder().join("notify");
    let systemd = Systemd::new(&socket);
    let microseconds = WATCHDOG.as_micros().to_string();
    let setup = setup
        .environment("NOTIFY_SOCKET", socket.to_str().unwrap())
        .environment("WATCHDOG_USEC", &microseconds);
    (setup, systemd)
}

/// The other end of `NOTIFY_SOCKET`.
struct Systemd {
    socket: tokio::net::UnixDatagram,
    lines: VecDeque<String>,
}

impl Systemd {
    fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket: tokio::net::UnixDatagram::from_std(socket).unwrap(), lines: VecDeque::new() }
    }

    /// Waits for a line that begins so, and returns it. What came before it is forgotten.
    async fn expect(&mut self, begin: &str) -> String {
        let began = Instant::now();
        loop {
            while let Some(line) = self.lines.pop_front() {
                if line.starts_with(begin) {
                    return line;
                }
            }
            let left = DEADLINE.saturating_sub(began.elapsed());
            assert!(self.receive(left).await, "waited {DEADLINE:?} for {begin}");
        }
    }

    /// How long it takes until such a line comes from now on.
    async fn silence_before(&mut self, begin: &str) -> Duration {
        while self.receive(Duration::ZERO).await {}
        self.lines.clear();
        let began = Instant::now();
        self.expect(begin).await;
        began.elapsed()
    }

    /// Waits until there has been no `WATCHDOG=1` for so long.
    async fn silent_for(&mut self, silence: Duration) {
        let began = Instant::now();
        let mut fed = Instant::now();
        while let Some(left) = silence.checked_sub(fed.elapsed()) {
            self.lines.clear();
            if self.receive(left).await && self.lines.iter().any(|line| line == "WATCHDOG=1") {
                fed = Instant::now();
            }
            assert!(began.elapsed() < DEADLINE, "still fed after {:?}", began.elapsed());
        }
    }

    /// Whether such a line has come already.
    fn seen(&mut self, begin: &str) -> bool {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.try_recv(&mut buffer) {
            self.keep(&buffer[..length]);
        }
        self.lines.iter().any(|line| line.starts_with(begin))
    }

    /// Whether a message came within `limit`.
    async fn receive(&mut self, limit: Duration) -> bool {
        let mut buffer = [0; 4096];
        let Ok(length) = tokio::time::timeout(limit, self.socket.recv(&mut buffer)).await else {
            return false;
        };
        self.keep(&buffer[..length.unwrap()]);
        true
    }

    fn keep(&mut self, message: &[u8]) {
        let message = String::from_utf8_lossy(message).into_owned();
        self.lines.extend(message.lines().map(str::to_owned));
    }
}

/// Threads that are stopped until this is dropped.
struct Stopped {
    /// Its end wakes the tracer, and its tracees with it.
    release: Option<mpsc::Sender<()>>,
    tracer: Option<thread::JoinHandle<()>>,
}

impl Stopped {
    fn new(daemon: &Daemon, threads: Vec<u32>) -> Self {
        let (release, released) = mpsc::channel::<()>();
        let (done, stopped) = mpsc::channel();
        assert!(daemon.runs());
        // The kernel wants all of a tracee's requests from the one thread that seized it.
        let tracer = thread::spawn(move || {
            let tids: Vec<Pid> =
                threads.iter().map(|tid| Pid::from_raw(tid.cast_signed())).collect();
            for &tid in &tids {
                ptrace::seize(tid, ptrace::Options::empty()).unwrap();
                ptrace::interrupt(tid).unwrap();
                waitpid(tid, Some(WaitPidFlag::__WALL)).unwrap();
            }
            done.send(()).unwrap();
            // Ends with an error when the sender is dropped: that is the sign.
            let _ = released.recv();
            for &tid in &tids {
                ptrace::detach(tid, None).unwrap();
            }
        });
        stopped.recv().unwrap();
        Self { release: Some(release), tracer: Some(tracer) }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.release.take();
        let ended = self.tracer.take().map(thread::JoinHandle::join);
        if !thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}
