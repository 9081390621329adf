//! A machine joins a hub as its people would do it: one line made there, one line run here, over TLS.

#![expect(clippy::unwrap_used, reason = "a failed test should stop")]

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use bartizan_tests::{
    Certificate, DEADLINE, Daemon, Finished, Setup, enrolment, process::Signal, wait_for,
};
use serde_json::{Value, json};

#[tokio::test]
async fn one_line_of_the_hub_makes_a_machine_report_to_it() {
    let scene = Scene::new();
    let mut hub = scene.hub().await;
    let added = scene.run(&["server", "add", "web-1", "--tag", "env=prod"]).await;
    assert_eq!((added.code, added.stdout.lines().count()), (Some(0), 1), "{added:?}");
    let line: Vec<&str> = added.stdout.split_whitespace().collect();
    let url = format!("https://localhost:{}", scene.setup.address.port());
    assert_eq!((line[0], line[1], line[2]), ("bartizan", "join", url.as_str()));
    assert_eq!(scene.steps("web-1"), ["created"]);

    let before = "# ours\n[log]\nlevel = \"debug\"\n";
    fs::write(scene.agent_config(), before).unwrap();
    let joined = scene.join(&line[2..]).await;
    assert_eq!(joined.code, Some(0), "{joined:?}");
    for step in ["connected to https://localhost", "token known, for web-1", "systemctl restart"] {
        assert!(joined.stdout.contains(step), "{step} is not in {}", joined.stdout);
    }
    assert_eq!(scene.steps("web-1"), ["created", "connected", "token_known"]);
    let after = fs::read_to_string(scene.agent_config()).unwrap();
    assert!(after.starts_with(before) && after.contains("name = \"web-1\""), "{after}");
    let token = scene.token_file();
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&token).unwrap().trim(), line[4]);
    let config = scene.agent_config();
    let checked = scene.setup.command(&["check", "--config", config.to_str().unwrap()]);
    let checked = Finished::of(checked).await;
    assert_eq!(checked.code, Some(0), "what was written is what the daemon takes: {checked:?}");

    // The token is known after a restart of the hub, and listed without its secret.
    hub.signal(Signal::TERM);
    hub.ended().await;
    let _hub = scene.hub().await;
    assert_eq!(scene.steps("web-1"), ["created", "connected", "token_known"]);
    let listed = scene.run(&["server", "list", "--json"]).await;
    assert!(!listed.stdout.contains(&line[4][12..]), "{listed:?}");
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let servers = listed["servers"].as_array().unwrap();
    let web_1 = servers.iter().find(|server| server["name"] == "web-1").unwrap();
    assert_eq!(web_1["token"], json!(&line[4][3..11]), "{web_1}");

    let _agent = scene.agent();
    wait_for("the machine's first sample", DEADLINE, async || {
        (scene.steps("web-1").len() == 4).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_cannot_join_says_why_and_writes_nothing() {
    let scene = Scene::new();
    let _hub = scene.hub().await;
    let token = scene.add("web-1").await;
    let port = scene.setup.address.port();
    let (url, plain) = (format!("https://localhost:{port}"), format!("http://localhost:{port}"));
    let other = format!("{}{}", &token[..75], if token.ends_with('0') { '1' } else { '0' });
    let unknown = format!("bz_00000000_{}", "0".repeat(64));
    let slip = format!("{url}/api/v1/wrte");
    for (arguments, says) in [
        (vec![&*url, "--token", &other, "--name", "web-1"], "copy the whole line"),
        (vec![&*url, "--token", &unknown, "--name", "web-1"], "knows no such token"),
        (vec![&*url, "--token", "secret", "--name", "web-1"], "begin with `bz_`"),
        (vec![&*url, "--token", &token, "--name", "db-1"], "the token is for `web-1`"),
        (vec![&*url, "--token", &token, "--name", "web-*"], "the name is `web-*`, must have"),
        (vec![&*plain, "--token", &token, "--name", "web-1"], "have no use with http://localhost"),
        (vec![&*slip, "--token", &token, "--name", "web-1"], "as `bartizan server add` printed it"),
        (
            vec!["https://nowhere.invalid", "--token", &token],
            "find the address of `nowhere.invalid`",
        ),
        (vec!["https://localhost:1", "--token", &token], "does the hub run"),
        (vec!["localhost", "--token", &token], "must be such as https://"),
        (vec!["http://hub.example.org", "--token", &token], "would travel unencrypted"),
    ] {
        let refused = scene.join(&arguments).await;
        assert_eq!((refused.code, refused.stderr.contains(says)), (Some(1), true), "{refused:?}");
        let (told, words) = (&refused.stderr, says);
        assert_eq!(
            (told.matches("failed to").count(), told.matches(words).count()),
            (1, 1),
            "{told}"
        );
    }
    for (hub, says) in [(&url, "by --ca-file"), (&plain, "begin the address with https://")] {
        let mut bare = scene.setup.command(&["join", hub, "--token", &token, "--name", "web-1"]);
        bare.arg("--config").arg(scene.agent_config());
        let refused = Finished::of(bare).await;
        assert!(refused.code == Some(1) && refused.stderr.contains(says), "{refused:?}");
    }
    fs::write(scene.agent_config(), "[[server]]\nname = \"db-1\"\n").unwrap();
    let refused = scene.join(&[&url, "--token", &token, "--name", "web-1"]).await;
    assert!(refused.stderr.contains("watches `db-1` and not `web-1`"), "{refused:?}");
    assert!(!scene.token_file().exists());
    let kept = fs::read_to_string(scene.agent_config()).unwrap();
    assert_eq!(kept, "[[server]]\nname = \"db-1\"\n");
}

#[tokio::test]
async fn a_server_is_given_a_new_token_renamed_and_removed() {
    let scene = Scene::new();
    let _hub = scene.hub().await;
    let first = scene.add("a").await;
    let url = format!("https://localhost:{}", scene.setup.address.port());
    let join = |token: String, more: &'static [&'static str]| {
        let (scene, url) = (&scene, &url);
        async move { scene.join(&[&[url, "--token", &token, "--name", "a"], more].concat()).await }
    };
    assert_eq!(join(first.clone(), &[]).await.code, Some(0));
    let twice = scene.run(&["server", "add", "a"]).await;
    assert!(twice.code == Some(1) && twice.stderr.contains("--again"), "{twice:?}");
    let again = scene.run(&["server", "add", "a", "--again", "--json"]).await;
    let second = serde_json::from_str::<Value>(&again.stdout).unwrap()["token"].clone();
    let second = second.as_str().unwrap().to_owned();
    let refused = join(first, &["--again"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("was revoked"), "{refused:?}");
    let refused = join(second.clone(), &[]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("already"), "{refused:?}");
    let again = join(second.clone(), &["--again"]).await;
    assert_eq!(again.code, Some(0));
    for told in ["replaced the token in", "changed nothing in"] {
        assert!(again.stdout.contains(told), "{again:?}");
    }
    let kept = fs::read_to_string(scene.token_file()).unwrap();
    assert_eq!(kept.trim(), second);
    let config = fs::read_to_string(scene.agent_config()).unwrap();
    assert_eq!(config.matches("[[forward]]").count(), 1, "{config}");

    let renamed = scene.run(&["server", "rename", "a", "b"]).await;
    assert_eq!(renamed.code, Some(0), "{renamed:?}");
    let list = scene.run(&["server", "list"]).await.stdout;
    assert!(list.lines().any(|line| line.starts_with("b ")), "{list}");
    assert!(!list.lines().any(|line| line.starts_with("a ")), "{list}");
    assert_eq!(join(second.clone(), &["--again"]).await.code, Some(0), "by its former name");
    assert_eq!(scene.run(&["server", "remove", "b"]).await.code, Some(0));
    let gone = scene.run(&["server", "remove", "b"]).await;
    assert!(gone.code == Some(1) && gone.stderr.contains("server list"), "{gone:?}");
    let refused = join(second, &["--again"]).await;
    assert!(refused.stderr.contains("was revoked"), "{refused:?}");
}

#[tokio::test]
async fn each_hub_has_a_token_of_its_own_and_again_replaces_that_and_nothing_else() {
    let scene = Scene::new();
    let _hub = scene.hub().await;
    let other = scene.setup.beside("");
    let _other_hub = other.start().await;
    let port = scene.setup.address.port();
    let (url, other_url) =
        (format!("https://localhost:{port}"), format!("http://{}", other.address));
    let config = || fs::read_to_string(scene.agent_config()).unwrap();
    let token = |path: &Path| fs::read_to_string(path).unwrap().trim().to_owned();

    // A hub that was joined when all had one file.
    let former = scene.folder().join("hub-token");
    fs::write(&former, "former").unwrap();
    let authority = scene.certificate.authority.display();
    let standing = format!(
        "[[server]]\nname = 'a'\n[[forward]]\nurl = '{url}'\nca_file = '{authority}'\n\
         token_file = '{}'\n",
        former.display()
    );
    fs::write(scene.agent_config(), &standing).unwrap();
    let of_one = scene.add("a").await;
    assert_eq!(scene.join(&[&url, "--token", &of_one, "--again"]).await.code, Some(0));
    assert_eq!((token(&former), config()), (of_one.clone(), standing.clone()));
    assert!(!scene.token_file().exists());

    // As it stands in the configuration is how a hub may be called too.
    let written = format!("{url}/api/v1/write");
    assert_eq!(scene.join(&[&written, "--token", &of_one, "--again"]).await.code, Some(0));
    assert_eq!(config(), standing);

    // Another hub gets a file of its own, and the first keeps its token.
    let of_other = enrolment::add(&other, "a").await;
    let join = |arguments: Vec<String>| {
        let mut command = scene.setup.command(&["join"]);
        command.args(arguments).arg("--config").arg(scene.agent_config());
        Finished::of(command)
    };
    let arguments = [&other_url, "--token", &of_other].map(str::to_owned).to_vec();
    let joined = join(arguments.clone()).await;
    assert_eq!(joined.code, Some(0), "{joined:?}");
    let name = format!("hub-token-127.0.0.1-{}", other.address.port());
    assert_eq!(token(&scene.folder().join(name)), of_other);
    assert_eq!((token(&former), config().starts_with(&standing)), (of_one.clone(), true));

    // What --again does not change it refuses by name, and what was not given stays as it is.
    let both = config();
    let again = |more: &[&str]| {
        let arguments = [&url, "--token", &of_one, "--again"];
        join(arguments.iter().chain(more).map(|&one| one.to_owned()).collect())
    };
    for (more, says) in [
        (vec!["--ca-file", "/etc/hosts"], "--ca-file says `/etc/hosts`"),
        (vec!["--certificate", "/c", "--key", "/k"], "--certificate says `/c`"),
        (vec!["--name", "b"], "watches `a` and not `b`"),
    ] {
        let refused = again(&more).await;
        assert!(refused.code == Some(1) && refused.stderr.contains(says), "{refused:?}");
        assert_eq!(refused.stderr.matches(says).count(), 1, "{refused:?}");
    }
    let done = again(&["--insecure"]).await;
    assert!(done.code == Some(0) && done.stdout.contains("--insecure is not needed"), "{done:?}");
    assert!(done.stdout.contains("holds this token already"), "{done:?}");
    assert_eq!(config(), both);
}

#[tokio::test]
async fn a_certificate_is_renewed_without_a_restart_and_a_broken_one_is_not_used() {
    let scene = Scene::new();
    let hub = scene.hub().await;
    let token = scene.add("a").await;
    let url = format!("https://localhost:{}", scene.setup.address.port());
    let join = [&*url, "--token", &token, "--name", "a", "--again"];
    assert_eq!(scene.join(&join).await.code, Some(0));

    // A whole new authority: whoever trusts the former one alone is turned away, so the new files are in use.
    let former = fs::read(&scene.certificate.authority).unwrap();
    Certificate::make(scene.setup.folder());
    hub.signal(Signal::HUP);
    let new = fs::read(&scene.certificate.authority).unwrap();
    wait_for("the new certificate", DEADLINE, async || {
        (scene.join(&join).await.code == Some(0)).then_some(())
    })
    .await;
    fs::write(&scene.certificate.authority, former).unwrap();
    let refused = scene.join(&join).await;
    assert!(refused.stderr.contains("signed by another authority"), "{refused:?}");

    fs::write(&scene.certificate.authority, new).unwrap();
    fs::write(&scene.certificate.key, "no key").unwrap();
    wait_for("the refusal in the log", DEADLINE, async || {
        hub.log().contains("the former go on").then_some(())
    })
    .await;
    assert_eq!(scene.join(&join).await.code, Some(0), "the former goes on");
    let checked = scene.run_with(&["check"], "--config", &scene.setup.config()).await;
    assert!(checked.names(4, "has no private key"), "{checked:?}");
}

/// A hub that speaks TLS, and a folder for the configuration of a machine that is to join it.
struct Scene {
    setup: Setup,
    certificate: Certificate,
}

/// The daemon of a machine that has joined; dropping it kills it.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already; either way nothing of ours is left.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Scene {
    fn new() -> Self {
        let setup = Setup::new("");
        let certificate = Certificate::make(setup.folder());
        let (port, file) = (setup.address.port(), certificate.certificate.display());
        setup.configure(&format!(
            "[http]\npublic_url = 'https://localhost:{port}'\n[http.tls]\nkey = '{}'\ncertificate = '{file}'\n",
            certificate.key.display(),
        ));
        fs::create_dir(setup.folder().join("agent")).unwrap();
        Self { setup, certificate }
    }

    /// Starts the hub, and waits until it answers.
    async fn hub(&self) -> Daemon {
        let daemon = self.setup.spawn();
        wait_for("the hub's first answer", DEADLINE, async || {
            (self.run(&["server", "list"]).await.code == Some(0)).then_some(())
        })
        .await;
        daemon
    }

    fn folder(&self) -> PathBuf {
        self.setup.folder().join("agent")
    }

    /// Where the machine keeps its token for the hub.
    fn token_file(&self) -> PathBuf {
        self.folder().join(format!("hub-token-localhost-{}", self.setup.address.port()))
    }

    fn agent_config(&self) -> PathBuf {
        self.folder().join("bartizan.toml")
    }

    /// A command that asks the hub.
    async fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with(arguments, "--state", &self.setup.state()).await
    }

    async fn run_with(&self, arguments: &[&str], option: &str, path: &Path) -> Finished {
        let mut command = self.setup.command(arguments);
        command.arg(option).arg(path);
        Finished::of(command).await
    }

    /// Starts the machine's daemon, as its service would.
    fn agent(&self) -> Agent {
        let mut command = self.setup.command(&["run", "--listen", "127.0.0.1:0", "--config"]);
        command.arg(self.agent_config()).arg("--state").arg(self.folder().join("state"));
        Agent(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    async fn add(&self, name: &str) -> String {
        let added = self.run(&["server", "add", name, "--json"]).await;
        let added: Value =
            serde_json::from_str(&added.stdout).unwrap_or_else(|_| panic!("{added:?}"));
        assert_eq!(added["name"], name);
        added["token"].as_str().unwrap().to_owned()
    }

    /// Joins as the machine, which trusts the scenario's authority.
    async fn join(&self, arguments: &[&str]) -> Finished {
        let mut command = self.setup.command(&["join"]);
        command.args(arguments).arg("--config").arg(self.agent_config());
        command.arg("--ca-file").arg(&self.certificate.authority);
        Finished::of(command).await
    }

    /// Steps that a new machine has done, as the hub's page shows them.
    fn steps(&self, name: &str) -> Vec<String> {
        let mut socket = UnixStream::connect(self.setup.state().join("control.sock")).unwrap();
        let path = format!("/api/v1/servers/{name}/enrolment");
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let view: Value = serde_json::from_str(body).unwrap();
        let steps = view["steps"].as_array().unwrap().iter();
        let done = steps.filter(|step| step["at_ms"].is_i64()).map(|step| step["step"].as_str());
        done.map(|step| step.unwrap().to_owned()).collect()
    }
}
