//! What `GET /series` says, in a shape that can be compared.

use std::collections::BTreeMap;

use serde_json::Value;

/// One point: when, and its mean; `None` is a point without a value.
pub type Point = (i64, Option<f64>);

/// One series of an answer.
#[derive(Debug, Clone)]
pub struct History {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Unit of the points.
    pub unit: String,
    /// Oldest first.
    pub points: Vec<Point>,
    /// Begin, end where it has ended, and reason.
    pub gaps: Vec<(i64, Option<i64>, String)>,
}

impl History {
    /// Every series of an answer of `GET /series`.
    pub fn all(answer: &Value) -> Vec<Self> {
        answer["series"].as_array().unwrap().iter().map(Self::read).collect()
    }

    fn read(series: &Value) -> Self {
        let labels = series["labels"].as_object().unwrap();
        let labels = labels.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        let points = series["points"].as_array().unwrap();
        let gaps = series["gaps"].as_array().unwrap();
        Self {
            labels,
            unit: text(&series["unit"]),
            points: points.iter().map(|p| (p[0].as_i64().unwrap(), p[1].as_f64())).collect(),
            gaps: gaps
                .iter()
                .map(|gap| {
                    (gap["from"].as_i64().unwrap(), gap["to"].as_i64(), text(&gap["reason"]))
                })
                .collect(),
        }
    }
}

/// The longest time between two neighbouring points, in milliseconds; none where there are fewer than two.
pub fn longest_step_ms(points: &[Point]) -> Option<i64> {
    points.windows(2).map(|pair| pair[1].0 - pair[0].0).max()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
