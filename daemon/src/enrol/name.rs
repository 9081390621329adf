//! What tokens' servers and their tags may be called.

use std::collections::BTreeMap;

use crate::series::check_server_pattern;

/// Most tags of a server, and how long their names and values may be, in bytes.
const TAGS_MAX: usize = 32;
const TAG_NAME_MAX: usize = 64;
const TAG_VALUE_MAX: usize = 256;
/// Most bytes of all of them together.
const TAGS_BYTES_MAX: usize = 4096;

/// Why `name` cannot be a server's, or stand for many.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    check_server_pattern(name).map_err(|reason| format!("the name {reason}"))
}

/// Why `tags` cannot be a server's.
pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), String> {
    if tags.len() > TAGS_MAX {
        return Err(format!("there are {} tags, at most {TAGS_MAX} are allowed", tags.len()));
    }
    let bytes: usize = tags.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > TAGS_BYTES_MAX {
        return Err(format!("the tags have {bytes} bytes, at most {TAGS_BYTES_MAX} are allowed"));
    }
    for (name, value) in tags {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins || !name.chars().all(fits) || name.len() > TAG_NAME_MAX {
            return Err(format!(
                "tag `{}`: its name must be letters, digits and `_`, not begin with a digit, and \
                 have at most {TAG_NAME_MAX} characters",
                name.escape_debug()
            ));
        }
        if value.len() > TAG_VALUE_MAX || value.contains(char::is_control) {
            return Err(format!(
                "tag `{name}`: its value must have at most {TAG_VALUE_MAX} bytes and no control \
                 characters"
            ));
        }
    }
    Ok(())
}
