//! What comes from elsewhere: which samples of a frame are new, and which lane takes them.

use std::{collections::HashMap, sync::Arc};

use super::{
    coder::Coder,
    lanes::{LANES_MAX, lane_name},
    latest::Latest,
    messages::{Kept, LeftOut},
    recall::Found,
    shared::Shared,
};
use crate::series::{Frame, Sample};

/// A lane's schema keeps up to so many series that do not come in every frame: who pushes a handful of samples at a
/// time would else begin a chunk with each.
pub(super) const LASTING: usize = 256;

/// A series whose newest sample is so far ahead of our clock was written by one that was set right since, or will
/// be: what is older than that sample is taken…
const AHEAD_MS: i64 = 2_000;
/// … if it is no older than this by our clock: whoever sends what is further back has no clock that was set right.
const OUT_OF_ORDER_MS: u64 = 10 * 60 * 1000;

/// The coders of all streams.
#[derive(Debug, Default)]
pub(super) struct Coders(HashMap<Arc<str>, HashMap<Arc<str>, Vec<Coder>>>);

/// Where frames from elsewhere were put.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// The lane of each series' last frame, by number.
    lanes: Vec<u8>,
    /// What of the frame in hand is new, and what is older than its series' newest sample.
    pub(super) new: Vec<Sample>,
    pub(super) old: Vec<Sample>,
}

/// What became of a batch from elsewhere.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) kept: Kept,
    pub(super) left_out: LeftOut,
}

impl Coders {
    /// Coders of a collector and its lanes; there is always the collector's own.
    pub(super) fn of(&mut self, shared: &Shared, frame: &Frame) -> &mut Vec<Coder> {
        let (server, collector) = (&frame.server, &frame.collector);
        // Names are cloned only for a new one.
        if !self.0.get(server).is_some_and(|known| known.contains_key(collector)) {
            let lanes = coders_of(shared, server, collector);
            self.0.entry(server.clone()).or_default().insert(collector.clone(), lanes);
        }
        self.0.entry(server.clone()).or_default().entry(collector.clone()).or_default()
    }

    /// A new file begins with key frames.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

fn coders_of(shared: &Shared, server: &Arc<str>, collector: &Arc<str>) -> Vec<Coder> {
    let mut coders = vec![Coder::new(shared, server, collector.clone())];
    for lane in 1..LANES_MAX {
        let name = lane_name(collector, lane);
        if shared.view().heads.find(server, &name).is_none() {
            break;
        }
        coders.push(Coder::new(shared, server, name));
    }
    coders
}

impl Arrivals {
    /// Tells the samples of a frame apart, the `number`th of its batch; counts those that are known.
    pub(super) fn judge(
        &mut self,
        (number, frame): (usize, &Frame),
        latest: &Latest,
        judged: &mut Judged,
    ) {
        self.new.clear();
        self.old.clear();
        for sample in &frame.samples {
            let newest = latest.of(sample.series);
            if frame.at_ms > newest {
                self.new.push(*sample);
            } else if frame.at_ms == newest {
                judged.kept.known += 1;
                judged.left_out.0.push((number, sample.series));
            } else {
                self.old.push(*sample);
            }
        }
    }

    /// Tells apart what is older than the newest of its series: what is here already, what is too late, and what is
    /// new all the same, because the newest is from what is still to come at `now_ms`.
    ///
    /// A sender's clock that was ahead and is set right would else cost everything until it has caught up.
    pub(super) fn judge_old(
        &mut self,
        (number, frame): (usize, &Frame),
        (latest, now_ms): (&Latest, i64),
        found: &Found,
        judged: &mut Judged,
    ) {
        let is_recent = now_ms.abs_diff(frame.at_ms) <= OUT_OF_ORDER_MS;
        for sample in &self.old {
            let found = found.has(sample.series);
            let is_ahead = latest.of(sample.series).saturating_sub(now_ms) > AHEAD_MS;
            if found == Some(false) && is_recent && is_ahead {
                self.new.push(*sample);
                continue;
            }
            *(if found == Some(true) { &mut judged.kept.known } else { &mut judged.kept.late }) +=
                1;
            judged.left_out.0.push((number, sample.series));
        }
    }

    /// The coder of the lane that takes what is new of a frame; `None` if all lanes have gone further.
    ///
    /// A series stays in its lane where it can, so that frames go on looking like those before them.
    pub(super) fn lane<'a>(
        &mut self,
        shared: &Shared,
        coders: &'a mut Vec<Coder>,
        frame: &Frame,
    ) -> Option<&'a mut Coder> {
        let before = self.new.first().and_then(|sample| self.lanes.get(sample.series.0 as usize));
        let before = usize::from(before.copied().unwrap_or(0));
        let takes = |coder: &Coder| coder.takes(frame.at_ms);
        let lane = Some(before)
            .filter(|lane| coders.get(*lane).is_some_and(takes))
            .or_else(|| coders.iter().position(takes))
            .or_else(|| {
                let lane = coders.len();
                let name = (lane < LANES_MAX).then(|| lane_name(&frame.collector, lane))?;
                coders.push(Coder::new(shared, &frame.server, name));
                Some(lane)
            })?;
        for sample in &self.new {
            let index = sample.series.0 as usize;
            if self.lanes.len() <= index {
                self.lanes.resize(index + 1, 0);
            }
            self.lanes[index] = lane as u8;
        }
        coders.get_mut(lane)
    }
}
