//! `bartizan check`: all that is wrong with the configuration, without running anything.
//!
//! More than the start asks for: settings of collectors are judged by the
//! schemas of their plugins as well, where these are found.

use std::{collections::BTreeSet, path::Path, process::ExitCode};

use super::{Failure, output::print, plugin::FolderArguments};
use crate::{config::Config, plugin::PluginCatalog, series::now_ms};

/// Says that the configuration is fine, or fails with all that is wrong with it.
pub(super) fn check(arguments: FolderArguments) -> Result<ExitCode, Failure> {
    let sources = arguments.sources();
    let config = sources.load_judged(|config, text, file| {
        let catalog = PluginCatalog::of(config);
        let settings = catalog.judge_settings(config, text, file);
        [settings, catalog.judge_metrics(config, text, file)].concat()
    })?;
    print(&verdict(sources.file().as_deref(), &config, &PluginCatalog::of(&config)))?;
    Ok(ExitCode::SUCCESS)
}

fn verdict(file: Option<&Path>, config: &Config, catalog: &PluginCatalog) -> String {
    let Some(file) = file else { return "no configuration file: the defaults hold\n".into() };
    let scraped = config.scrapes.iter().map(|scrape| scrape.server.as_str());
    let named = config.servers.iter().map(|server| server.name.as_str());
    let who = match named.chain(scraped).collect::<BTreeSet<_>>().len() {
        0 => "this machine".into(),
        1 => "1 server".into(),
        servers => format!("{servers} servers"),
    };
    let mut text = format!("{}: fine, watches {who}\n", file.display());
    // What has gone since it was judged is told of by the start.
    if let Some(Ok(files)) = config.http.tls.as_ref().map(|tls| tls.load())
        && files.facts.ends_ms.is_some_and(|ends_ms| ends_ms < now_ms())
    {
        text.push_str("the certificate of http.tls has expired: renew it\n");
    }
    for server in &config.servers {
        for collector in &server.collectors {
            if catalog.find(&collector.plugin).is_none() {
                let (plugin, server, collector) =
                    (&collector.plugin, &server.name, &collector.name);
                text.push_str(&format!(
                    "collector `{collector}` of `{server}` waits: no plugin `{plugin}` is found\n"
                ));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    #[test]
    fn the_verdict_says_which_file_and_what_it_would_do() {
        let text = "[[server]]\nname = 'web-1'\n[[server.collector]]\nplugin = 'org.example.nginx'";
        let verdict =
            |config| verdict(Some(Path::new("b.toml")), &config, &PluginCatalog::default());
        assert_eq!(verdict(Config::default()), "b.toml: fine, watches this machine\n");
        assert_eq!(
            verdict(Config::parse(text, "b.toml").unwrap()),
            "b.toml: fine, watches 1 server\n\
             collector `nginx` of `web-1` waits: no plugin `org.example.nginx` is found\n"
        );
    }
}
