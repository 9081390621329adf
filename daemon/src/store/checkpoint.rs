//! A copy of the state in one file: what is left when sled's own files are damaged.
//!
//! ```text
//!  "BZCK" · version u16 · [key][value]… · crc32c      lengths before keys and values
//! ```

use std::path::Path;

use super::{
    StoreError, disk,
    folder::replace,
    state::{Changes, StateStore},
    wire::{Input, put_u64},
};

const MAGIC: &[u8; 4] = b"BZCK";
const VERSION: u16 = 1;
/// Name of the file in the folder `checkpoint`.
pub(super) const FILE: &str = "state.ckpt";

/// Writes all of `state` to `path`, in one step; answers the size.
pub(super) fn write(path: &Path, state: &mut impl StateStore) -> Result<u64, StoreError> {
    let mut out = Vec::new();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    state.scan(&mut |key, value| {
        for bytes in [key, value] {
            put_u64(&mut out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
    })?;
    let sum = checksum(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    replace(path, &out).map_err(StoreError::file("write checkpoint", path))?;
    Ok(out.len() as u64)
}

/// What stands in a checkpoint, as changes that bring it back.
pub(super) fn read(path: &Path) -> Result<Changes, StoreError> {
    let bytes = disk::read(path).map_err(StoreError::file("read checkpoint", path))?;
    let damaged = || StoreError::Damaged { path: path.to_owned(), what: "checkpoint is damaged" };
    parse(&bytes).ok_or_else(damaged)
}

pub(super) fn parse(bytes: &[u8]) -> Option<Changes> {
    let (covered, sum) = bytes.split_last_chunk::<4>().map(|(covered, sum)| (covered, *sum))?;
    let mut input = Input::new(covered);
    let known = input.array()? == *MAGIC && input.array()? == VERSION.to_le_bytes();
    if !known || checksum(covered) != u32::from_le_bytes(sum) {
        return None;
    }
    let mut changes = Changes::default();
    while !input.is_empty() {
        let length = input.count()?;
        let key = input.take(length)?.to_vec();
        let length = input.count()?;
        changes.0.push((key, Some(input.take(length)?.to_vec())));
    }
    Some(changes)
}

fn checksum(covered: &[u8]) -> u32 {
    // Nothing that is made up would come past it.
    if cfg!(fuzzing) { 0 } else { crc32c::crc32c(covered) }
}
