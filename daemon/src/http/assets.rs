//! The page's own files, which come with the program.

use bartizan_web::Asset;

/// Finds a file of the page by its path, without a slash before it. The page
/// itself is `index.html`.
pub type Assets = fn(&str) -> Option<Asset>;

/// The file that answers `path`: the page itself for its own addresses. `None`
/// where there is nothing.
pub(super) fn file_of(path: &str) -> &str {
    let is_page = matches!(path, "/" | "/plugins" | "/alerts" | "/delivery" | "/servers/add")
        || ["/s/", "/a/"].iter().any(|begin| path.starts_with(begin));
    if is_page { "index.html" } else { path.trim_start_matches('/') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_page_are_answered_by_the_page() {
        let pages = [
            "/",
            "/s/web-1",
            "/s/a%20b",
            "/plugins",
            "/alerts",
            "/a/17",
            "/delivery",
            "/servers/add",
        ];
        for path in pages {
            assert_eq!(file_of(path), "index.html", "{path}");
        }
        assert_eq!(file_of("/assets/app.js"), "assets/app.js");
        assert_eq!(file_of("/wp-login.php"), "wp-login.php");
    }
}
