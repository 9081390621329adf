//! Files that a channel reads at each attempt: passwords, keys, authorities.

use std::path::Path;

use tokio::{
    fs::File,
    io::AsyncReadExt,
    time::{Instant, timeout_at},
};

use super::Verdict;

/// Largest file that is read.
const SIZE_MAX: u64 = 1 << 20;

/// The whole file at `path`, which the configuration names by `key`.
pub(super) async fn whole(key: &str, path: &Path, until: Instant) -> Result<Vec<u8>, Verdict> {
    let shown = path.display();
    let read = async {
        let mut bytes = Vec::new();
        File::open(path).await?.take(SIZE_MAX + 1).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    match timeout_at(until, read).await {
        Ok(Ok(bytes)) if bytes.len() as u64 > SIZE_MAX => Err(Verdict::misconfigured(format!(
            "{key} `{shown}` is larger than 1 MiB: name the right file"
        ))),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(Verdict::misconfigured(format!(
            "failed to read {key} `{shown}`: {error}: make it a file that the daemon's user may read"
        ))),
        Err(_) => Err(Verdict::misconfigured(format!(
            "failed to read {key} `{shown}`: it does not answer: make it a file on a local disk"
        ))),
    }
}

/// The first line of the file at `path`, which the configuration names by `key`.
pub(super) async fn first_line(key: &str, path: &Path, until: Instant) -> Result<String, Verdict> {
    let bytes = whole(key, path, until).await?;
    let shown = path.display();
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Err(Verdict::misconfigured(format!(
            "{key} `{shown}` is no text: write it in UTF-8"
        )));
    };
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(Verdict::misconfigured(format!(
            "the first line of {key} `{shown}` is empty: write the secret there"
        ))),
    }
}
