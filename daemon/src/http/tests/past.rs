//! A past that answers every question with one point, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use crate::{
    history::Told,
    http::messages::{AnswerFuture, History, HistoryError, HistoryStats},
    series::{Gap, Kind, Labels, SeriesId},
    store::messages::{Answer, Point, Query, SeriesAnswer, Stat, Tier},
};

/// The questions it was asked, in order.
pub(super) struct FakeHistory(pub(super) Arc<Mutex<Vec<Query>>>);

impl History for FakeHistory {
    fn query(&self, query: Query) -> AnswerFuture {
        self.0.lock().unwrap().push(query.clone());
        Box::pin(async move {
            if query.metric == "broken" {
                return Err(HistoryError::Unavailable("disk is on fire".to_owned()));
            }
            if query.metric == "too_much" {
                return Err(HistoryError::Question("ask for less".to_owned()));
            }
            let mean = Point { sum: 1.5, count: Some(3), ..Point::single(query.from_ms, 0.5) };
            let point = Point { min: f64::NAN, max: 1.0, ..mean };
            let gap = Gap {
                server: query.server.into(),
                collector: "cpu".into(),
                from_ms: query.from_ms,
                to_ms: None,
                reason: "plugin timed out".into(),
            };
            let series = SeriesAnswer {
                id: SeriesId(0),
                labels: Labels::new([("core", "0")]),
                unit: "ratio".into(),
                kind: Kind::Gauge,
                tier: Tier::Raw,
                p95_from_ms: query.stats.contains(&Stat::P95).then_some(2000),
                begins_ms: None,
                resolution_ms: 1000,
                points: vec![point],
                gaps: vec![gap],
            };
            let answer = Answer { series: vec![series], partial: false };
            Ok(Told { answer, ..Told::default() })
        })
    }

    fn stats(&self) -> HistoryStats {
        HistoryStats {
            samples: 7,
            dropped: 1,
            sealed: 5,
            bytes: 4096,
            bytes_log: 1024,
            bytes_segments: 2048,
            waiting_bytes: 0,
            is_degraded: false,
            others: None,
        }
    }
}
