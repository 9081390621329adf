//! What is shown of each target, and where others read it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::messages::{TargetState, TargetView};
use crate::{
    config::{ForwardConfig, Protocol},
    series::now_ms,
};

/// Shows how forwarding goes. Cheap to clone; threads: any.
#[derive(Debug, Clone, Default)]
pub struct ForwardPort(Arc<Mutex<BTreeMap<String, Figures>>>);

/// What one target shows; kept over restarts of its actor. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Figures(Arc<Mutex<Told>>);

#[derive(Debug)]
struct Told {
    view: TargetView,
    /// Time of the oldest sample that is read and not done with.
    waiting_ms: Option<i64>,
}

impl ForwardPort {
    /// All targets, by name, at this moment.
    pub fn targets(&self) -> Vec<TargetView> {
        let now_ms = now_ms();
        lock(&self.0).values().map(|figures| figures.view(now_ms)).collect()
    }

    /// What is shown of the target that `config` describes.
    pub(super) fn figures(&self, config: &ForwardConfig) -> Figures {
        let mut targets = lock(&self.0);
        let figures = targets.entry(config.name.clone()).or_insert_with(|| Figures::new(config));
        figures.change(|view| view.urls = config.urls.iter().map(|url| shown(url)).collect());
        figures.clone()
    }

    /// Only these targets are shown from now on.
    pub(super) fn retain(&self, names: &[&str]) {
        lock(&self.0).retain(|name, _| names.contains(&name.as_str()));
    }
}

impl Figures {
    fn new(config: &ForwardConfig) -> Self {
        let view = TargetView {
            name: config.name.clone(),
            urls: Vec::new(),
            url: config.urls.first().map(|url| shown(url)).unwrap_or_default(),
            protocol: config.protocol,
            state: TargetState::Starting,
            since_ms: now_ms(),
            lag_ms: 0,
            lag_bytes: 0,
            sent: 0,
            requests: 0,
            known: 0,
            refused: 0,
            lost: 0,
            failures: 0,
            acknowledged_ms: None,
            error: None,
            error_ms: None,
        };
        Self(Arc::new(Mutex::new(Told { view, waiting_ms: None })))
    }

    /// Changes what is shown.
    pub(super) fn change(&self, change: impl FnOnce(&mut TargetView)) {
        change(&mut lock(&self.0).view);
    }

    /// Says what it is doing. Whether that is another thing than before.
    pub(super) fn set_state(&self, state: TargetState) -> bool {
        let view = &mut lock(&self.0).view;
        let changes = view.state != state;
        if changes {
            (view.state, view.since_ms) = (state, now_ms());
        }
        changes
    }

    /// Says where it goes, and in which version.
    pub(super) fn set_way(&self, url: &str, protocol: Protocol) {
        self.change(|view| {
            view.url = shown(url);
            view.protocol = protocol;
        });
    }

    /// The oldest sample that waits is from then; none waits if `None`.
    pub(super) fn set_waiting(&self, waiting_ms: Option<i64>, lag_bytes: u64) {
        let mut told = lock(&self.0);
        (told.waiting_ms, told.view.lag_bytes) = (waiting_ms, lag_bytes);
    }

    /// Notes what went wrong.
    pub(super) fn set_error(&self, said: &str) {
        self.change(|view| {
            view.error = Some(said.to_owned());
            view.error_ms = Some(now_ms());
        });
    }

    fn view(&self, now_ms: i64) -> TargetView {
        let told = lock(&self.0);
        let lag_ms = told.waiting_ms.map_or(0, |waiting| (now_ms - waiting).max(0));
        TargetView { lag_ms, ..told.view.clone() }
    }
}

/// A URL without its query, which may hold a key.
fn shown(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
