//! What a server may be called: the one rule for whoever gives a name, wherever it comes from.

/// Longest name of a server, in bytes.
pub const SERVER_NAME_MAX: usize = 128;

/// Most letters of a wrong name that are shown.
const SHOWN_MAX: usize = 64;

/// Why `name` cannot be a server's, in words that follow upon what it is the name of, such as "the name".
pub fn check_server_name(name: &str) -> Result<(), String> {
    check(name, !name.contains('*'), "no control characters, no `*`")
}

/// Why `name` can neither be a server's nor stand for many, with `*` for any letters.
pub fn check_server_pattern(name: &str) -> Result<(), String> {
    check(name, true, "no control characters")
}

fn check(name: &str, has_fine_letters: bool, letters: &str) -> Result<(), String> {
    let has_fine_length = (1..=SERVER_NAME_MAX).contains(&name.len());
    let has_fine_letters = has_fine_letters && !name.contains(char::is_control);
    if has_fine_length && has_fine_letters && name.trim() == name {
        return Ok(());
    }
    let shown: String = name.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    let cut = if name.chars().nth(SHOWN_MAX).is_some() { "…" } else { "" };
    Err(format!(
        "is `{shown}{cut}`, must have 1 to {SERVER_NAME_MAX} bytes, {letters}, and no space around it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_called_as_people_call_things() {
        for name in ["web-1", "web 1", "https://example.org/?x=1", "服务器", &"x".repeat(128)] {
            assert_eq!(check_server_name(name), Ok(()), "{name}");
        }
        for (name, shown) in [
            ("", "is ``, must"),
            (" a", "is ` a`, must"),
            ("a\u{a0}", "no space around it"),
            ("a\n", "is `a\\n`, must"),
            ("web-*", "no `*`"),
            (&"x".repeat(129), "xxx…`, must have 1 to 128 bytes"),
        ] {
            let reason = check_server_name(name).err().unwrap_or_default();
            assert!(reason.contains(shown), "{name:?} {reason}");
        }
        assert_eq!(check_server_pattern("web-*"), Ok(()));
        assert!(check_server_pattern("web-*\t").is_err());
    }
}
