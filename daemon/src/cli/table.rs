//! Tables and values for people: columns that stand under each other, units
//! with the prefix that fits.

/// Rows with their columns under each other, two spaces between them. The first
/// column stands to the left, `to_the_right` says whether the others stand to the right.
pub(super) fn columns(rows: &[Vec<String>], to_the_right: bool) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            if column > 0 && to_the_right {
                line.push_str(&format!("{cell:>width$}"));
            } else {
                line.push_str(&format!("{cell:<width$}"));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A value in its unit, as people read it.
pub(super) fn value(value: f64, unit: &str) -> String {
    let (base, per_second) = match unit.strip_suffix("/s") {
        Some(base) => (base, "/s"),
        None => (unit, ""),
    };
    match base {
        "ratio" => format!("{:.1} %{per_second}", value * 100.0),
        "bytes" => scaled(value, 1024.0, ["B", "KiB", "MiB", "GiB", "TiB"], per_second),
        "hertz" => scaled(value, 1000.0, ["Hz", "kHz", "MHz", "GHz", "THz"], per_second),
        "celsius" => format!("{value:.1} °C{per_second}"),
        "seconds" => format!("{} s{per_second}", number(value)),
        "" => format!("{}{per_second}", number(value)),
        other => format!("{} {other}{per_second}", number(value)),
    }
}

fn scaled(value: f64, step: f64, units: [&str; 5], per_second: &str) -> String {
    let [smallest, larger @ ..] = units;
    let (mut value, mut unit) = (value, smallest);
    for next in larger {
        if value.abs() < step {
            break;
        }
        (value, unit) = (value / step, next);
    }
    format!("{} {unit}{per_second}", number(value))
}

/// Whole numbers whole, others with three decimals at most.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    match text.split_once('.') {
        Some((whole, decimals)) if decimals.chars().all(|digit| digit == '0') => whole.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_carry_the_prefix_that_fits() {
        assert_eq!(value(0.1234, "ratio"), "12.3 %");
        assert_eq!(value(512.0, "bytes"), "512 B");
        assert_eq!(value(1.5 * 1024.0 * 1024.0, "bytes/s"), "1.500 MiB/s");
        assert_eq!(value(3.2e9, "hertz"), "3.200 GHz");
        assert_eq!(value(45.04, "celsius"), "45.0 °C");
        assert_eq!(value(17.0, "packets/s"), "17 packets/s");
        assert_eq!(value(0.25, ""), "0.250");
        assert_eq!(value(f64::MAX, "bytes").split(' ').next_back(), Some("TiB"));
    }

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [["time", "mean"], ["12:00", "1 %"], ["12:00:30", "100 %"]];
        let rows = rows.map(|row| row.map(String::from).to_vec());
        assert_eq!(columns(&rows, true), "time       mean\n12:00       1 %\n12:00:30  100 %\n");
        assert_eq!(columns(&rows, false), "time      mean\n12:00     1 %\n12:00:30  100 %\n");
    }
}
