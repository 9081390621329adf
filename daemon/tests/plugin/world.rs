//! A plugin actor with real hosts, and a folder of C plugins that were just compiled.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use bartizan::{
    plugin::{
        CollectError, FolderKind, Instance, InstanceSpec, InstanceState, PluginActor,
        PluginArguments, PluginCatalog, PluginFolder, PluginMessage, PluginPort, Reading,
    },
    series::{Catalog, now_ms},
    supervision::{Node, NodeView, Tree},
};
use ractor::{Actor, ActorRef};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The program that hosts run.
const HOST: &str = env!("CARGO_BIN_EXE_bartizan");

/// Deadline of a reading, where it is compiled with [`SHORT`].
pub(crate) const DEADLINE: Duration = Duration::from_secs(3);

/// For those that are meant to exceed their deadline: it is [`DEADLINE`], where others have far more.
pub(crate) const SHORT: &str = r#"TIMEOUT="3s""#;

pub(crate) struct World {
    pub(crate) port: PluginPort,
    pub(crate) series: Arc<Catalog>,
    pub(crate) actor: ActorRef<PluginMessage>,
    pub(crate) node: Node,
    _tree: Tree,
}

impl World {
    /// An actor that looks at `folder`.
    pub(crate) async fn start(folder: &Folder, kind: FolderKind) -> Self {
        Self::start_with(folder, kind, Path::new(HOST)).await
    }

    /// An actor whose hosts run this program.
    pub(crate) async fn start_with(folder: &Folder, kind: FolderKind, executable: &Path) -> Self {
        let port = PluginPort::new(PluginCatalog::scan(&folder.searched(kind)));
        let (tree, series) = (Tree::default(), Arc::default());
        let node = tree.root().child("plugin", "plugin");
        let actor = spawn(&port, &series, &node, executable).await;
        Self { port, series, actor, node, _tree: tree }
    }

    /// Starts the actor again, as its supervisor would.
    pub(crate) async fn restart(&self) {
        spawn(&self.port, &self.series, &self.node, Path::new(HOST)).await;
    }

    /// Opens an instance that does `act`.
    pub(crate) fn open(&self, collector: &str, plugin: &str, act: &str) -> Instance {
        let Value::Object(config) = json!({ "do": act }) else { panic!("an object") };
        self.open_with(collector, plugin, config)
    }

    pub(crate) fn open_with(
        &self,
        collector: &str,
        plugin: &str,
        config: Map<String, Value>,
    ) -> Instance {
        self.port.open(InstanceSpec {
            server: "web-1".into(),
            collector: collector.into(),
            plugin: plugin.into(),
            config,
            interval: Duration::from_secs(1),
            again: false,
        })
    }

    /// The node of a host, as it is shown; whose name begins so.
    pub(crate) fn host(&self, name: &str) -> Option<NodeView> {
        self.node.view().children.into_iter().find(|host| host.name.starts_with(name))
    }

    /// Waits until there is a host of which `pred` holds.
    pub(crate) async fn host_when(&self, name: &str, pred: impl Fn(&NodeView) -> bool) -> NodeView {
        until(|| self.host(name).filter(&pred)).await
    }

    pub(crate) async fn stop(self) {
        self.actor.stop_and_wait(None, Some(PATIENCE)).await.unwrap();
    }
}

async fn spawn(
    port: &PluginPort,
    series: &Arc<Catalog>,
    node: &Node,
    executable: &Path,
) -> ActorRef<PluginMessage> {
    let arguments = PluginArguments {
        catalog: Arc::clone(series),
        node: node.clone(),
        port: port.clone(),
        executable: executable.into(),
        memory_max: 64 * 1024 * 1024,
    };
    Actor::spawn(None, PluginActor, arguments).await.unwrap().0
}

/// Waits until `look` finds something.
pub(crate) async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "it never came");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for a state of which `pred` holds.
pub(crate) async fn state(
    instance: &mut Instance,
    pred: impl Fn(&InstanceState) -> bool,
) -> InstanceState {
    let mut states = instance.states();
    let reached = tokio::time::timeout(PATIENCE, states.wait_for(pred)).await;
    let reached = reached.map(|state| state.unwrap().clone());
    reached.unwrap_or_else(|_| panic!("the state never came, it is {:?}", *states.borrow()))
}

pub(crate) async fn ready(instance: &mut Instance) {
    state(instance, |state| *state == InstanceState::Ready).await;
}

/// Reads once, when it is ready.
pub(crate) async fn read(instance: &mut Instance) -> Result<Reading, CollectError> {
    ready(instance).await;
    instance.collect(now_ms()).await
}

/// The reason of a state.
pub(crate) fn reason(state: &InstanceState) -> &str {
    match state {
        InstanceState::Down { reason }
        | InstanceState::Parked { reason }
        | InstanceState::Absent { reason } => reason,
        InstanceState::Starting | InstanceState::Ready => "",
    }
}

pub(crate) fn is_parked(state: &InstanceState) -> bool {
    matches!(state, InstanceState::Parked { .. } | InstanceState::Absent { .. })
}

pub(crate) fn is_down(state: &InstanceState) -> bool {
    matches!(state, InstanceState::Down { .. })
}

/// The process id that a host's node shows.
pub(crate) fn pid(host: &NodeView) -> i32 {
    host.detail.as_deref().and_then(|detail| detail.strip_prefix("pid ")?.parse().ok()).unwrap()
}

/// Waits until the process is gone.
pub(crate) async fn gone(pid: i32) {
    until(|| (!Path::new(&format!("/proc/{pid}")).exists()).then_some(())).await;
}

/// A folder of plugins.
pub(crate) struct Folder {
    dir: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The folder as an actor looks at it.
    pub(crate) fn searched(&self, kind: FolderKind) -> Vec<PluginFolder> {
        vec![PluginFolder { path: self.path().to_owned(), kind }]
    }

    /// Compiles a program that is started as if it were a plugin host.
    pub(crate) fn program(&self, name: &str, body: &str) -> PathBuf {
        let (source, file) = (self.path().join(format!("{name}.c")), self.path().join(name));
        let text = format!("#include <string.h>\n#include <unistd.h>\nint main(void) {{ {body} }}");
        std::fs::write(&source, text).unwrap();
        let status = Command::new("cc").arg("-w").arg(&source).arg("-o").arg(&file).status();
        assert!(status.unwrap().success());
        file
    }

    /// Compiles the hostile plugin, with these macros, as `name.so`.
    pub(crate) fn compile(&self, name: &str, macros: &[&str]) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = self.path().join(format!("{name}.so"));
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-g0", "-w"])
            .args(macros.iter().map(|name| format!("-D{name}")))
            .arg("-I")
            .arg(root.join("../plugin-api/include"))
            .arg(root.join("tests/plugin/hostile.c"))
            .arg("-o")
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        file
    }
}
