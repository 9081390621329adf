//! A plugin's file, loaded: the entry it offers.

#![expect(unsafe_code, reason = "dlopen runs foreign code, and its tables are foreign memory")]

use std::{
    os::fd::{AsRawFd, OwnedFd},
    sync::{Mutex, OnceLock},
};

use bartizan_plugin::{
    abi::{BzEntry, BzEntryFn, MAGIC, SYMBOL, read_prefix},
    manifest::{Manifest, Threads, trim},
};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

/// A plugin's file, as the daemon sent it: judged, and its bytes sealed.
pub(super) struct File {
    /// Never closed: dlopen knows what is loaded by its name, which holds this number.
    image: OwnedFd,
    manifest: Vec<u8>,
    loaded: OnceLock<Result<Plugin, String>>,
}

/// What a loaded file offers.
pub(super) struct Plugin {
    /// Its table.
    pub(super) entry: BzEntry,
    /// How many metrics it declares.
    pub(super) metrics: u32,
    /// Held during each call of a plugin that takes one at a time.
    pub(super) gate: Option<Mutex<()>>,
}

// SAFETY: the entry is a table that nobody writes, its pointers lead to what lives for ever, and
// the contract lets instances on different threads use it.
unsafe impl Send for Plugin {}
// SAFETY: as above.
unsafe impl Sync for Plugin {}

impl File {
    /// A file that nobody has loaded yet.
    pub(super) fn new(image: OwnedFd, manifest: Vec<u8>) -> Self {
        Self { image, manifest, loaded: OnceLock::new() }
    }

    /// The plugin, loaded by whoever asks first; the others wait for the same outcome.
    pub(super) fn plugin(&self) -> Result<&Plugin, &str> {
        self.loaded.get_or_init(|| self.load()).as_ref().map_err(String::as_str)
    }

    fn load(&self) -> Result<Plugin, String> {
        let manifest = Manifest::parse(&self.manifest).map_err(|error| error.to_string())?;
        let path = format!("/proc/self/fd/{}", self.image.as_raw_fd());
        // SAFETY: its constructors are foreign code; that is what this process is for.
        let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(|error| said(&error, &path))?;
        // SAFETY: the symbol's name carries the contract, which gives it this type.
        let entry = unsafe { library.get::<BzEntryFn>(SYMBOL) }.map(|symbol| *symbol);
        // Never unloaded: destructors of its threads may still point into it.
        std::mem::forget(library);
        let entry =
            entry.map_err(|_| format!("it has no symbol `{}`", SYMBOL.to_string_lossy()))?;
        // SAFETY: by the contract the function has no arguments and may be called from any thread.
        let entry = unsafe { read_entry(entry()) }?;
        // SAFETY: the manifest lives as long as the library, for ever.
        if trim(unsafe { entry.manifest.bytes() }) != trim(&self.manifest) {
            return Err("the manifest in its entry is not the one in its section".into());
        }
        let metrics = u32::try_from(manifest.metrics.len()).unwrap_or(u32::MAX);
        let gate = (manifest.threads == Threads::Single).then(Mutex::default);
        Ok(Plugin { entry, metrics, gate })
    }
}

/// Copies the table at `at`, if it is one.
///
/// # Safety
///
/// `at` is null or points to what the contract says.
unsafe fn read_entry(at: *const BzEntry) -> Result<BzEntry, String> {
    if at.is_null() || !at.is_aligned() {
        return Err("its entry is not at an address where one can be".into());
    }
    // SAFETY: not null, aligned; the magic is the first word of every entry.
    if unsafe { at.cast::<u64>().read() } != MAGIC {
        return Err("its entry does not begin with the magic word".into());
    }
    // SAFETY: it is an entry, so its size can be read and as many bytes as it says.
    let entry = unsafe { read_prefix(at) };
    if entry.create.is_none() || entry.collect.is_none() || entry.destroy.is_none() {
        return Err("its entry lacks create, collect or destroy".into());
    }
    Ok(entry)
}

/// What the loader said, without the name that the file has only here.
fn said(error: &libloading::Error, path: &str) -> String {
    let source = std::error::Error::source(error);
    let text = source.map_or_else(|| error.to_string(), ToString::to_string);
    format!("failed to load: {}", text.trim_start_matches(path).trim_start_matches(": "))
}
