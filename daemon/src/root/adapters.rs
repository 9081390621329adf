//! What http wants of others, in the words of those who have it.

use std::sync::Arc;

use crate::{
    http::messages::{
        AnswerFuture, History, HistoryError, HistoryStats, Plugin, PluginList, PluginLister,
        RefusedPlugin,
    },
    logging::chain,
    plugin::{PluginPort, PluginUses},
    store::{StoreReader, messages::Query},
};

/// The past, as the store knows it.
pub(super) fn history(store: StoreReader) -> Arc<dyn History> {
    Arc::new(StoreHistory(store))
}

struct StoreHistory(StoreReader);

impl History for StoreHistory {
    fn query(&self, query: Query) -> AnswerFuture {
        let store = self.0.clone();
        Box::pin(
            async move { store.query(query).await.map_err(|error| HistoryError(chain(&error))) },
        )
    }

    fn stats(&self) -> HistoryStats {
        let stats = self.0.stats();
        HistoryStats {
            samples: stats.samples,
            dropped: stats.dropped_samples + stats.late_samples,
            bytes: stats.bytes_total,
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
