//! Undoes the compression of a body. What a body claims to become is judged before memory is taken for it.

use std::{borrow::Cow, io::Read};

use super::refusal::{Reason, Refusal};

/// Longest body before it was compressed, in bytes.
pub(super) const DECODED_MAX: usize = 32 << 20;

/// The block format of Snappy, which remote write speaks.
pub(super) fn snappy(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let claimed = claimed(body).ok_or_else(|| broken("Snappy's block format"))?;
    if claimed > DECODED_MAX {
        return Err(too_large());
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(|_| broken("Snappy's block format"))
}

/// How long a Snappy block says it becomes.
pub(super) fn claimed(body: &[u8]) -> Option<usize> {
    snap::raw::decompress_len(body).ok()
}

/// Gzip, which OTLP may come in; of at most `most` bytes.
pub(super) fn gzip(body: &[u8], most: usize) -> Result<Vec<u8>, Refusal> {
    let mut decoded = Vec::new();
    let reader = flate2::read::MultiGzDecoder::new(body);
    let read = reader.take(most as u64 + 1).read_to_end(&mut decoded);
    if decoded.len() > most {
        return Err(too_large());
    }
    read.map(|_| decoded).map_err(|_| broken("gzip"))
}

/// `body`, packed by gzip or not.
pub(super) fn maybe_gzip(
    body: &[u8],
    is_packed: bool,
    most: usize,
) -> Result<Cow<'_, [u8]>, Refusal> {
    if is_packed {
        return gzip(body, most).map(Cow::Owned);
    }
    if body.len() > most { Err(too_large()) } else { Ok(Cow::Borrowed(body)) }
}

fn broken(format: &str) -> Refusal {
    Refusal::new(Reason::Malformed, format!("the body is not what it says: it is no {format}"))
}

fn too_large() -> Refusal {
    let detail =
        format!("uncompressed, the body has more than {} MiB; send it in parts", DECODED_MAX >> 20);
    Refusal::new(Reason::TooLarge, detail)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use std::io::Write;

    use super::*;

    #[test]
    fn bombs_are_refused_before_they_are_unpacked() {
        // 4 GiB - 1, as a block's length, and nothing behind it.
        let claim = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(snappy(&claim).unwrap_err().reason, Reason::TooLarge);
        let zeros = snap::raw::Encoder::new().compress_vec(&vec![0; DECODED_MAX + 1]).unwrap();
        assert_eq!(snappy(&zeros).unwrap_err().reason, Reason::TooLarge);

        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&vec![0; 1 << 20]).unwrap();
        let gz = gz.finish().unwrap();
        assert_eq!(gzip(&gz, 1 << 20).unwrap().len(), 1 << 20);
        assert_eq!(gzip(&gz, (1 << 20) - 1).unwrap_err().reason, Reason::TooLarge);
    }

    #[test]
    fn what_is_not_compressed_is_refused() {
        assert_eq!(snappy(b"\x05hello").unwrap_err().reason, Reason::Malformed);
        assert_eq!(gzip(b"hello", 10).unwrap_err().reason, Reason::Malformed);
    }
}
