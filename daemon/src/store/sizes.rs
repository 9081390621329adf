//! How much a batch holds, and how it is cut into pieces.

use super::messages::Batch;
use crate::series::{Frame, Gap, Sample};

/// Samples in a batch.
pub(super) fn samples_of(batch: &Batch) -> u64 {
    batch.frames.iter().map(|frame| frame.samples.len() as u64).sum()
}

/// The batch in pieces of about `most` bytes, in order.
pub(super) fn pieces(batch: Batch, most: usize) -> Vec<Batch> {
    let mut pieces = Vec::new();
    let mut piece = Batch { frames: Vec::new(), gaps: batch.gaps };
    let mut bytes = 0;
    for frame in batch.frames {
        let of_frame = bytes_of_frame(&frame);
        if bytes > 0 && bytes + of_frame > most {
            pieces.push(std::mem::take(&mut piece));
            bytes = 0;
        }
        bytes += of_frame;
        piece.frames.push(frame);
    }
    pieces.push(piece);
    pieces
}

fn bytes_of_frame(frame: &Frame) -> usize {
    size_of::<Frame>() + frame.samples.len() * size_of::<Sample>()
}

/// Bytes that a batch takes while it waits.
pub(super) fn bytes_of(batch: &Batch) -> usize {
    let frames: usize = batch.frames.iter().map(bytes_of_frame).sum();
    frames + batch.gaps.len() * size_of::<Gap>() + size_of::<Batch>()
}
