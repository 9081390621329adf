//! The dashboard as bytes inside the program.
//!
//! `build.rs` has npm build the pages; this crate holds the result and says what
//! HTTP needs to know of each file. It decides nothing about routes: which
//! addresses get [`index`] is the daemon's decision.
//!
//! Files under `assets/` carry a hash of their content in their name and never
//! change ([`Asset::immutable`]); `index.html` does and must be asked for anew.

use std::{borrow::Cow, fmt::Write as _};

include!(concat!(env!("OUT_DIR"), "/bundle.rs"));

/// One file of the dashboard. Cloning copies nothing where the bytes are static.
#[derive(Debug, Clone)]
pub struct Asset {
    /// The content.
    pub bytes: Cow<'static, [u8]>,
    /// The same content in gzip, for whoever accepts it; absent for formats that are packed already.
    pub gzip: Option<Cow<'static, [u8]>>,
    /// Value of the header `content-type`.
    pub content_type: &'static str,
    /// Value of the header `etag`, with its quotes: a hash of the content.
    pub etag: String,
    /// Whether the file may be cached for ever.
    pub immutable: bool,
}

/// The file at `path`, without a leading slash, as the page asks for it:
/// `assets/index-….js`. None if there is none; packed copies have no path.
pub fn asset(path: &str) -> Option<Asset> {
    let content_type = content_type(path)?;
    let file = Bundle::get(path)?;
    let etag =
        file.metadata.sha256_hash()[..16].iter().fold(String::from("\""), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        }) + "\"";
    let gzip = Bundle::get(&format!("{path}.gz")).map(|packed| packed.data);
    Some(Asset {
        bytes: file.data,
        gzip,
        content_type,
        etag,
        immutable: path.starts_with("assets/"),
    })
}

/// The document of every page. None only if the bundle was built without one.
pub fn index() -> Option<Asset> {
    asset("index.html")
}

/// The kinds of files that the build leaves; any other has no business here.
fn content_type(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a missing page should stop the test")]

    use super::{Bundle, asset, index};

    #[test]
    fn the_document_and_everything_it_loads_is_embedded() {
        let document = String::from_utf8(index().unwrap().bytes.into_owned()).unwrap();
        let loaded: Vec<&str> =
            document.split('"').filter_map(|part| part.strip_prefix("/assets/")).collect();

        assert!(loaded.iter().any(|name| name.ends_with(".js")), "{document}");
        assert!(loaded.iter().any(|name| name.ends_with(".css")), "{document}");
        for name in loaded {
            let asset = asset(&format!("assets/{name}")).unwrap();
            assert!(asset.immutable && !asset.bytes.is_empty(), "{name}");
        }
    }

    #[test]
    fn every_text_has_a_smaller_copy_in_gzip() {
        for path in Bundle::iter().filter(|path| path.ends_with(".js") || path.ends_with(".css")) {
            let asset = asset(&path).unwrap();
            let packed = asset.gzip.unwrap();
            assert_eq!(packed[..2], [0x1f, 0x8b], "{path}");
            assert!(packed.len() < asset.bytes.len(), "{path}");
        }
    }

    #[test]
    fn the_document_is_asked_for_anew_and_has_an_etag() {
        let document = index().unwrap();
        assert!(!document.immutable);
        assert!(
            document.etag.starts_with('"')
                && document.etag.ends_with('"')
                && document.etag.len() == 34
        );
    }

    #[test]
    fn what_is_not_a_page_has_no_path() {
        for path in ["", "assets", "index.html.gz", "../Cargo.toml", "/index.html"] {
            assert!(asset(path).is_none(), "{path}");
        }
    }
}
