//! Reading a state without touching it: a copy is opened, for opening alone may write.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::{
    super::{
        StoreError,
        sled_state::{Salvage, salvage},
        state::Contents,
    },
    files::copy_tree,
};

/// What a state says, and what is wrong with it.
#[derive(Debug)]
pub(super) struct StateScan {
    /// Keys and values that make sense.
    pub(super) pairs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Why this is not all.
    pub(super) damage: Option<String>,
}

/// Reads the state in the folder `sled`, which nobody has open.
pub(super) fn read(sled: &Path) -> Result<StateScan, StoreError> {
    let copy = Scratch::new()?;
    copy_tree(sled, &copy.0)?;
    let Salvage { pairs, damage } = salvage(&copy.0)?;
    let all = pairs.len();
    let mut contents = Contents::default();
    pairs.iter().for_each(|(key, value)| contents.take_in(key, value));
    let made_up = contents.made_up();
    let makes_sense = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let mut contents = Contents::default();
        contents.take_in(key, value);
        let highest = contents.series.last_key_value().map(|(number, _)| *number);
        contents.unreadable == 0 && made_up.is_none_or(|made_up| highest < Some(made_up))
    };
    let pairs: Vec<_> = pairs.into_iter().filter(makes_sense).collect();
    let senseless = all - pairs.len();
    let damage = damage.or((senseless > 0).then(|| format!("{senseless} keys make no sense")));
    Ok(StateScan { pairs, damage })
}

/// A folder that nobody else may look into, gone when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, StoreError> {
        let mut name = [0; 8];
        // Without the system's randomness a number will do: a folder that is there is refused.
        let _ = getrandom::fill(&mut name);
        let name =
            format!("bartizan-check-{}-{:016x}", std::process::id(), u64::from_le_bytes(name));
        let path = std::env::temp_dir().join(name);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(StoreError::file("make folder", &path))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is small, and the system clears it away.
        let _ = fs::remove_dir_all(&self.0);
    }
}
