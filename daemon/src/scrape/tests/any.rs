//! Whatever a target sends, nothing falls and nothing grows without a limit.

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::{Target, config};
use crate::scrape::{Format, Lines, line::Line};

const SERIES_MAX: usize = 20;

/// Pieces that pages are made of, so that chance makes lines that are nearly right.
const PIECES: &str = "(m|m_total|a:b|[{}]|\\{a=\"|\"\\}|\"|,|=|\\\\|\\\\n| |  |\t|\n|1|-2.5|NaN|\\+Inf|1e9|# |# TYPE m counter\n|# TYPE |# EOF\n|# UNIT m s\n|上|\\PC)";

proptest! {
    #[test]
    fn no_bytes_bring_a_reading_down(
        pages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..4)
    ) {
        for format in [Format::Prometheus, Format::OpenMetrics] {
            let mut target = Target::new(&config(""));
            for page in &pages {
                let _ = target.read_as(format, page);
            }
        }
    }

    #[test]
    fn nearly_right_pages_are_bounded_and_read_alike_again(
        pages in prop::collection::vec(prop::collection::vec(PIECES, 0..60), 1..6)
    ) {
        for format in [Format::Prometheus, Format::OpenMetrics] {
            let mut target = Target::new(&config(&format!("series_max = {SERIES_MAX}")));
            for page in &pages {
                let page = page.concat();
                let first = target.read_as(format, page.as_bytes());
                let again = target.read_as(format, page.as_bytes());
                prop_assert_eq!(format!("{:?}", first), format!("{:?}", again), "what is known reads as what is new");
                prop_assert!(target.catalog.len() <= SERIES_MAX);
                if let Ok(haul) = first {
                    let lines = Lines::of(page.as_bytes()).count() as u64;
                    prop_assert!(haul.scraped + haul.malformed <= lines);
                    let taken = haul.samples.len() as u64 + haul.repeated + haul.refused;
                    prop_assert_eq!(taken, haul.scraped, "every sample is taken or counted");
                }
            }
        }
    }

    /// Labels written by the rules of the format come back as they were.
    #[test]
    fn labels_survive_their_escapes(values in prop::collection::vec("\\PC*|[\\\\\"\n{}, =#n]*", 1..5)) {
        let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> =
            values.iter().enumerate().map(|(at, value)| format!("l{at}=\"{}\"", escaped(value))).collect();
        let line = format!("m{{{}}} 1", labels.join(","));
        for format in [Format::Prometheus, Format::OpenMetrics] {
            let Ok(Line::Sample(sample)) = format.line(line.as_bytes()) else {
                panic!("{line}: {:?}", format.line(line.as_bytes()));
            };
            let read: Vec<String> = sample.series.labels().map(|(_, value)| value.into_owned()).collect();
            prop_assert_eq!(&read, &values);
            prop_assert_eq!(sample.raw, &line.as_bytes()[..line.len() - 2]);
        }
    }

    #[test]
    fn numbers_come_back_bit_for_bit(value in any::<f64>(), count in any::<u64>()) {
        for text in [format!("{value}"), format!("{value:e}"), format!("{count}")] {
            let Ok(value) = Format::Prometheus.value(format!(" {text}").as_bytes()) else { panic!("{text}") };
            let expected: f64 = text.parse().unwrap();
            prop_assert!(value.value.to_bits() == expected.to_bits());
        }
    }
}
