//! `/proc/uptime`: how long ago the machine was started.
//!
//! Format: proc_uptime(5).

use bartizan_procfs::{Lines, ParseError};

/// Seconds since the start, those asleep included.
pub(crate) fn parse(text: &[u8]) -> Result<f64, ParseError> {
    let mut lines = Lines::new("uptime", text)?;
    let Some(mut line) = lines.next() else { return Err(lines.lacks("line")) };
    line.fraction("uptime")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn captured_uptimes_are_what_they_were() {
        assert_eq!(parse(include_bytes!("../fixtures/vm/proc/uptime")), Ok(2682.68));
        assert_eq!(parse(include_bytes!("../fixtures/old/proc/uptime")), Ok(350_735.47));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = |text: &str| parse(text.as_bytes()).map_err(|error| error.to_string());
        let expected = |text: &str| Err(format!("failed to parse `uptime` line 1: {text}"));
        assert_eq!(error(""), expected("the file is empty"));
        assert_eq!(error("\n"), expected("ends before column 1 (uptime)"));
        assert_eq!(error("12.5 3"), expected("the line does not end"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in any::<Vec<u8>>()) {
            // Any answer is fine, as long as there is one.
            let _ = parse(&text);
        }
    }
}
