//! What is said of the samples that stand close together.

/// One or more samples that stand close together, a counter's as its rate where that was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Time of the first of them, or begin of the stretch they are taken from.
    pub at_ms: i64,
    /// Their mean; of a rate the growth over the time that it was measured over.
    pub mean: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The last of them, known where it was asked for; where rates are answered, what the counter itself stood at.
    pub last: f64,
    /// Their sum; where rates are answered, what the counter grew by.
    pub sum: f64,
    /// How many there are, not counting those that are no number, where that is known.
    pub count: Option<u64>,
    /// The 95th percentile: known where it was asked for and every sample of the stretch is there.
    pub p95: Option<f64>,
}

/// What may be asked for beyond mean, smallest and largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stat {
    /// [`Point::last`].
    Last,
    /// [`Point::sum`].
    Sum,
    /// [`Point::count`].
    Count,
    /// [`Point::p95`].
    P95,
}

impl Point {
    /// The point of a single sample.
    pub fn single(at_ms: i64, value: f64) -> Self {
        let count = Some(u64::from(!value.is_nan()));
        Self {
            at_ms,
            mean: value,
            min: value,
            max: value,
            last: value,
            sum: value,
            count,
            p95: None,
        }
    }
}

impl Point {
    /// A point of which nothing is known yet.
    pub fn unknown(at_ms: i64) -> Self {
        Self { count: None, ..Self::single(at_ms, f64::NAN) }
    }

    /// A point whose mean, smallest and largest alone are known, and the same.
    pub fn outline(at_ms: i64, value: f64) -> Self {
        Self { mean: value, min: value, max: value, ..Self::unknown(at_ms) }
    }
}

impl Stat {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Last, Self::Sum, Self::Count, Self::P95];

    /// Its name in questions and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Sum => "sum",
            Self::Count => "count",
            Self::P95 => "p95",
        }
    }

    /// Those that a list separated by commas names, in its order; else what is wrong with it.
    pub fn list(text: &str) -> Result<Vec<Self>, String> {
        let mut stats = Vec::new();
        for name in text.split(',') {
            let Some(stat) = Self::ALL.into_iter().find(|stat| stat.name() == name) else {
                let known = Self::ALL.map(Self::name).join(", ");
                return Err(format!("there is no stat `{name}`; known are {known}"));
            };
            if stats.contains(&stat) {
                return Err(format!("`{name}` is given twice; give it once"));
            }
            stats.push(stat);
        }
        Ok(stats)
    }
}

/// The 95th percentile of values that are all numbers, between two of them in proportion, as Prometheus'
/// `quantile_over_time` has it. Leaves them in another order.
pub(super) fn p95(values: &mut [f64]) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    let rank = 0.95 * last as f64;
    let below = rank.floor() as usize;
    let (_, &mut low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let high = above.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    // The difference of two infinities would be no number.
    if low == high { Some(low) } else { Some(low + (high - low) * (rank - below as f64)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_lies_between_two_values_in_proportion() {
        assert_eq!(p95(&mut []), None);
        assert_eq!(p95(&mut [7.0]), Some(7.0));
        assert_eq!(p95(&mut [3.0, 1.0]), Some(2.9));
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(p95(&mut values), Some(95.0));
        assert_eq!(p95(&mut [f64::INFINITY; 3]), Some(f64::INFINITY));
    }

    #[test]
    fn a_list_of_stats_is_read_in_its_order() {
        assert_eq!(Stat::list("p95,last"), Ok(vec![Stat::P95, Stat::Last]));
        let unknown = "there is no stat `p99`; known are last, sum, count, p95";
        assert_eq!(Stat::list("last,p99"), Err(unknown.to_owned()));
        assert!(Stat::list("").is_err() && Stat::list("sum,").is_err());
        let twice = "`sum` is given twice; give it once";
        assert_eq!(Stat::list("sum,count,sum"), Err(twice.to_owned()));
    }
}
