//! A plugin in eighteen lines, with a configuration that serde derives and a schema that its author wrote.
#![expect(clippy::unwrap_used, reason = "a test that fails says so by panicking")]

use bartizan_plugin::{Plugin as _, abi::Status, manifest::Manifest, testing::Host};

/// As an author writes it, in a file of its own.
mod temp {
    use bartizan_plugin::{Collector, Ctx, Out, Result, Series, plugin};

    #[derive(serde::Deserialize)]
    pub(crate) struct Config {
        path: std::path::PathBuf,
    }
    pub(crate) struct Temp {
        cfg: Config,
        temp: Series,
    }

    impl Collector for Temp {
        type Config = Config;
        fn new(cfg: Config, ctx: Ctx) -> Result<Self> {
            Ok(Temp { cfg, temp: ctx.series(M::Temp, &[]) })
        }
        fn collect(&mut self, out: &mut Out) -> Result<()> {
            let milli: f64 = std::fs::read_to_string(&self.cfg.path)?.trim().parse()?;
            out.gauge(self.temp, milli / 1000.0);
            Ok(())
        }
    }
    plugin! { Temp, id: "org.example.cpu-temp", license: "MIT", interval: "5s",
    config: r#"{"type":"object","required":["path"],"properties":{"path":{"type":"string"}}}"#,
    metrics { Temp: gauge "cpu_temperature_celsius" "celsius" [] "CPU temperature"; } }
}

use temp::Temp;

#[test]
fn a_file_becomes_a_sample_and_a_missing_file_another_try() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("own_schema_temp");
    let _ = std::fs::remove_file(&file);
    let mut host = Host::new::<Temp>(&format!(r#"{{"path":"{}"}}"#, file.display())).unwrap();
    let error = host.collect().unwrap_err();
    assert_eq!(error.status(), Status::Retry);
    assert!(error.text().starts_with("No such file"), "{error}");
    std::fs::write(&file, "41500\n").unwrap();
    assert_eq!(host.collect().unwrap().value("cpu_temperature_celsius", &[]), Some(41.5));
}

#[test]
fn a_wrong_configuration_is_refused_without_any_code_of_the_author() {
    let error = Host::new::<Temp>("{}").map(|_| ()).unwrap_err();
    assert_eq!(error.status(), Status::Config);
    assert_eq!(error.text(), "missing field `path` at line 1 column 2");
}

#[test]
fn the_schema_is_the_authors() {
    let schema = Manifest::parse(Temp::MANIFEST).unwrap().config_schema;
    let written = serde_json::json!({"type": "object", "required": ["path"], "properties": {"path": {"type": "string"}}});
    assert_eq!(schema, written);
}
