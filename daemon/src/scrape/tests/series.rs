//! Which series a line belongs to: rules, limits, and pages that change.

use super::{Target, config};
use crate::series::Kind;

#[test]
fn rules_choose_and_rename_in_their_order() {
    let rules = r#"
        { action = "keep", metric = ["node_*", "!node_scrape_*"] },
        { action = "drop", label = "device", value = ["veth*"] },
        { action = "rename", metric = "node_*", to = "host_*" },
        { action = "rename", label = "device", to = "name", metric = "host_network_*" },
        { action = "set", label = "team", to = "net", metric = "host_network_*" },
        { action = "remove", label = "mode" },
        { action = "remove", label = "instance" },
        { action = "remove", label = "job" },
    "#;
    let mut target = Target::with(rules);
    let page = "go_threads 1\n\
                node_scrape_success 1\n\
                node_network_up{device=\"eth0\"} 2\n\
                node_network_up{device=\"veth1\"} 3\n\
                node_disk_up{device=\"vda\",mode=\"rw\"} 4\n";
    let expected =
        [r#"host_network_up{name="eth0",team="net"} 2"#, r#"host_disk_up{device="vda"} 4"#];
    for _ in 0..2 {
        let haul = target.read(page).unwrap();
        assert_eq!(target.shown(&haul), expected);
        assert_eq!((haul.scraped, haul.refused, haul.repeated), (5, 0, 0));
    }
}

#[test]
fn series_that_rules_make_one_are_counted() {
    let mut target = Target::with(r#"{ action = "remove", label = "cpu" }"#);
    let haul = target.read("a{cpu=\"0\"} 1\na{cpu=\"1\"} 2\nb 3\nb 4\n").unwrap();
    assert_eq!(target.shown(&haul), ["a 1", "b 3"]);
    assert_eq!(haul.repeated, 2);
}

#[test]
fn labels_of_the_target_win_and_those_of_the_page_are_kept() {
    let mut target = Target::new(&config("labels = { env = 'prod' }"));
    let page =
        "a{job=\"x\",exported_job=\"y\",env=\"dev\",server=\"z\",collector=\"cpu\",empty=\"\"} 1\n";
    let haul = target.read(page).unwrap();
    let series = target.catalog.get(haul.samples[0].series).unwrap();
    let labels: Vec<_> = series.labels.iter().collect();
    assert_eq!(
        labels,
        [
            ("env", "prod"),
            ("exported_collector", "cpu"),
            ("exported_env", "dev"),
            ("exported_exported_job", "x"),
            ("exported_job", "y"),
            ("exported_server", "z"),
            ("instance", "h:80"),
            ("job", "t"),
        ]
    );
}

#[test]
fn a_page_that_changes_its_mind_changes_the_series() {
    let mut target = Target::new(&config(""));
    target.read("# TYPE a gauge\na 1\n").unwrap();
    assert_eq!(target.kind_and_unit("a").0, Kind::Gauge);
    target.read("# TYPE a counter\na 1\n").unwrap();
    assert_eq!(target.kind_and_unit("a").0, Kind::Counter);
    assert_eq!(target.catalog.len(), 1);
}

#[test]
fn a_name_that_begins_like_another_is_another() {
    let mut target = Target::new(&config(""));
    target.read("a 1\na{x=\"1\"} 2\n").unwrap();
    for page in ["ab 3\na{x=\"1\"} 4\n", "a {x=\"1\"} 5\na_b 6\n", "a{x=\"1\"}7\na\t8\n"] {
        let mut fresh = Target::new(&config(""));
        let (again, anew) = (target.read(page).unwrap(), fresh.read(page).unwrap());
        assert_eq!(target.shown(&again), fresh.shown(&anew), "{page}");
    }
}

#[test]
fn series_beyond_the_limit_are_refused_and_those_that_are_gone_make_room() {
    let mut target = Target::new(&config("series_max = 3"));
    let page =
        |from: usize| -> String { (from..from + 5).map(|at| format!("m{at} 1\n")).collect() };
    for _ in 0..2 {
        let haul = target.read(&page(0)).unwrap();
        assert_eq!(target.shown(&haul), ["m0 1", "m1 1", "m2 1"]);
        assert_eq!((haul.scraped, haul.refused), (5, 2));
        assert!(haul.first_refused.unwrap().contains("series_max"));
    }
    assert_eq!(target.catalog.len(), 3, "what is refused costs nothing");
    assert_eq!(target.read(&page(10)).unwrap().samples, []);

    target.now_ms += 2 * 60 * 60 * 1000;
    let haul = target.read(&page(20)).unwrap();
    assert_eq!(target.shown(&haul), ["m20 1", "m21 1", "m22 1"]);
    let haul = target.read(&page(20)).unwrap();
    assert_eq!(haul.samples.len(), 3);
}

#[test]
fn known_series_survive_a_change_of_metadata_at_the_limit() {
    let mut target = Target::new(&config("series_max = 2"));
    target.read("# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n").unwrap();
    let haul = target.read("# TYPE a counter\na 1\n# TYPE b counter\nb 1\n").unwrap();
    assert_eq!((haul.samples.len(), haul.refused), (2, 0));
}

#[test]
fn dropped_series_take_no_place_of_others() {
    let rule = r#"relabel = [{ action = "drop", metric = "d*" }]"#;
    let mut target = Target::new(&config(&format!("series_max = 2\n{rule}")));
    let dropped: String = (0..20).map(|at| format!("d{at} 1\n")).collect();
    for _ in 0..3 {
        let haul = target.read(&format!("{dropped}a 1\nb 2\n")).unwrap();
        assert_eq!(target.shown(&haul), ["a 1", "b 2"]);
        assert_eq!(haul.refused, 0);
    }
}

#[test]
fn a_label_that_is_too_long_is_refused() {
    let mut target = Target::new(&config(""));
    let haul = target.read(&format!("a{{x=\"{}\"}} 1\nb 2\n", "x".repeat(5000))).unwrap();
    assert_eq!(target.shown(&haul), ["b 2"]);
    assert_eq!(haul.first_refused, Some("a label is longer than 4096 bytes"));
}
