//! `/proc/loadavg`: how many tasks ran or waited, averaged over 1, 5 and 15 minutes.
//!
//! Format: proc_loadavg(5).

use bartizan_procfs::{Lines, ParseError};

/// Tasks that ran, waited for a processor, or waited for a disk, over 1, 5 and 15 minutes.
pub(crate) fn parse(text: &[u8]) -> Result<[f64; 3], ParseError> {
    let mut lines = Lines::new("loadavg", text)?;
    let Some(mut line) = lines.next() else { return Err(lines.lacks("line")) };
    Ok([line.fraction("1 minute")?, line.fraction("5 minutes")?, line.fraction("15 minutes")?])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn captured_loads_are_what_they_were() {
        assert_eq!(parse(include_bytes!("../fixtures/vm/proc/loadavg")), Ok([4.52, 2.63, 1.74]));
        assert_eq!(parse(include_bytes!("../fixtures/old/proc/loadavg")), Ok([0.0, 0.01, 0.05]));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = |text: &str| parse(text.as_bytes()).map_err(|error| error.to_string());
        let expected = |text: &str| Err(format!("failed to parse `loadavg` line 1: {text}"));
        assert_eq!(error(""), expected("the file is empty"));
        assert_eq!(error("1 2\n"), expected("ends before column 3 (15 minutes)"));
        assert_eq!(error("1 2 3"), expected("the line does not end"));
        assert_eq!(
            error("1 nan 3\n"),
            expected(r#"column 2 (5 minutes) is "nan", must be a number from 0 on"#)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in any::<Vec<u8>>()) {
            // Any answer is fine, as long as there is one.
            let _ = parse(&text);
        }
    }
}
