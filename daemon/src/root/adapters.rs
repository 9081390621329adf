//! What http wants of others, in the words of those who have it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::{
    config::{Config, Protocol},
    forward::ForwardPort,
    history::Past,
    http::messages::{
        AnswerFuture, History, HistoryError, HistoryStats, Plugin, PluginList, PluginLister,
        RefusedPlugin, Target, TargetLister,
    },
    logging::chain,
    plugin::{PluginPort, PluginUses},
    store::{StoreError, StoreReader, messages::Query},
};

/// The past, as the store knows it, and others what is older.
pub(super) fn history(store: StoreReader, config: Arc<ArcSwap<Config>>) -> Arc<dyn History> {
    Arc::new(WholeHistory { past: Past::new(store.clone(), config), store })
}

struct WholeHistory {
    store: StoreReader,
    past: Past,
}

impl History for WholeHistory {
    fn query(&self, query: Query) -> AnswerFuture {
        let past = self.past.clone();
        Box::pin(async move {
            past.query(query).await.map_err(|error| match error {
                StoreError::Question(_) => HistoryError::Question(chain(&error)),
                error => HistoryError::Unavailable(chain(&error)),
            })
        })
    }

    fn stats(&self) -> HistoryStats {
        let stats = self.store.stats();
        HistoryStats {
            samples: stats.samples,
            dropped: stats.dropped_samples + stats.late_samples,
            sealed: stats.samples_sealed,
            bytes: stats.bytes_total,
            waiting_bytes: stats.waiting_bytes,
            is_degraded: stats.degraded.is_some(),
            bytes_log: stats.bytes_log,
            bytes_segments: stats.bytes_segments,
            others: self.past.stats(),
        }
    }
}

/// The plugins, as the last look at the folders found them.
pub(super) fn plugins(port: PluginPort) -> PluginLister {
    Arc::new(move || {
        let catalog = port.catalog();
        let plugins = catalog.found.iter().map(|found| {
            let PluginUses { instances, host_pid } = port.uses(&found.id);
            Plugin {
                id: found.id.to_string(),
                name: found.name.to_string(),
                version: found.version.to_string(),
                description: found.manifest.description.clone(),
                abi: format!("{}.{}", found.manifest.abi.major, found.manifest.abi.min_minor),
                path: found.path.clone(),
                sha256: found.sha256.to_string(),
                bundled: found.bundled,
                instances,
                host_pid,
            }
        });
        let refused = catalog
            .refused
            .iter()
            .map(|file| RefusedPlugin { path: file.path.clone(), reason: file.reason.clone() });
        PluginList { plugins: plugins.collect(), refused: refused.collect() }
    })
}

/// Where samples go besides the store, and how that goes.
pub(super) fn targets(port: ForwardPort) -> TargetLister {
    Arc::new(move || {
        let targets = port.targets().into_iter().map(|target| Target {
            name: target.name,
            urls: target.urls,
            url: target.url,
            protocol: match target.protocol {
                Protocol::V1 => "1.0",
                Protocol::V2 => "2.0",
            },
            state: target.state.name(),
            since_ms: target.since_ms,
            lag_seconds: target.lag_ms as f64 / 1000.0,
            lag_bytes: target.lag_bytes,
            sent: target.sent,
            requests: target.requests,
            known: target.known,
            refused: target.refused,
            lost: target.lost,
            failures: target.failures,
            acknowledged_ms: target.acknowledged_ms,
            error: target.error,
            error_ms: target.error_ms,
        });
        targets.collect()
    })
}
