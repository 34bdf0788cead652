//! Which names of a tree may become files: none that leads out of its folder, is Git's own, or is another file on another machine.

use std::collections::BTreeSet;

use gix_validate::path::component::{Mode, Options};
use sluice_sdk::Failure;

use crate::failures::{self, fault};

/// Longest path, in bytes; what file systems take.
pub const PATH_BYTES_MAX: usize = 4_096;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// How deep folders nest. Deeper is an attack on whoever walks them.
pub const DEPTH_MAX: usize = 128;

/// One name of a tree, as text.
pub fn checked(name: &[u8], is_link: bool) -> Result<&str, String> {
    let mode = is_link.then_some(Mode::Symlink);
    // Letters that only Windows cannot have in a name (`"`, `?`) are good names elsewhere; what is another file there is not.
    let options = Options { protect_windows: false, ..Options::default() };
    gix_validate::path::component(name.into(), mode, options).map_err(|error| {
        let text = error.to_string();
        text.chars().next().map_or(String::new(), |first| first.to_lowercase().chain(text.chars().skip(1)).collect())
    })?;
    let text = std::str::from_utf8(name).map_err(|_| "it is no UTF-8".to_owned())?;
    if text.contains('\\') || text.chars().nth(1) == Some(':') {
        return Err("it would be a path on Windows".to_owned());
    }
    if gix_validate::path::component_is_windows_device(name.into()) || text.ends_with(['.', ' ']) {
        return Err("it would be a device or another name on Windows".to_owned());
    }
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        return Err("it has control characters".to_owned());
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(format!("it is longer than {NAME_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// The names of one folder, of which no two may be one file on a machine that does not tell cases apart.
#[derive(Default)]
pub struct Folder(BTreeSet<String>);

impl Folder {
    /// Whether a name is the first of its kind.
    pub fn takes(&mut self, name: &str) -> bool {
        self.0.insert(name.to_lowercase())
    }
}

/// A path that must not be written.
pub fn refused(path: &str, why: &str) -> Failure {
    fault(failures::PATH, format!("`{}` of the repository is not written: {why}", path.escape_debug()))
}

/// Where a link in a folder leads, from the root, if it stays within it.
pub fn stays_within(folder: &str, target: &[u8]) -> bool {
    let Ok(target) = std::str::from_utf8(target) else { return false };
    if target.is_empty()
        || target.starts_with(['/', '\\'])
        || target.chars().any(|c| c.is_control() || c == '\\')
        || target.get(1..2) == Some(":")
    {
        return false;
    }
    let mut depth = folder.split('/').filter(|part| !part.is_empty()).count();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            // Into Git's own folder nothing leads.
            part if checked(part.as_bytes(), false).is_err() => return false,
            _ => depth += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_files_everywhere_are_refused() {
        for good in ["a", "a b", "README.md", "ä", "日本", ".gitignore", ".github", "git", "-x", "a'\"b?", "at 12:30"]
        {
            assert_eq!(checked(good.as_bytes(), false), Ok(good));
        }
        let bad: [&[u8]; 22] = [
            b"",
            b".",
            b"..",
            b".git",
            b".GIT",
            b".git ",
            b".git.",
            b"git~1",
            b"a/b",
            b"/a",
            b"a\\b",
            b"C:",
            b"CON",
            b"aux.txt",
            b"a ",
            b"a.",
            b"a\x01",
            b"\xff",
            b".g\xe2\x80\x8cit",
            b"C:x",
            b".git::$INDEX_ALLOCATION",
            "a\u{202e}b".as_bytes(),
        ];
        for name in bad {
            assert!(checked(name, false).is_err(), "{:?}", String::from_utf8_lossy(name));
        }
        assert!(checked(b".gitmodules", true).is_err());
        assert!(checked("x".repeat(256).as_bytes(), false).is_err());
    }

    #[test]
    fn links_stay_within() {
        for (folder, target) in [("", "a"), ("a/b", "../../c"), ("a", "../b/./c"), ("", "a/../b")] {
            assert!(stays_within(folder, target.as_bytes()), "{folder} {target}");
        }
        for (folder, target) in [
            ("", ".."),
            ("a", "../../x"),
            ("", "/etc/passwd"),
            ("", ""),
            ("a", "../.git/config"),
            ("", "a/../../b"),
            ("", "C:x"),
        ] {
            assert!(!stays_within(folder, target.as_bytes()), "{folder} {target}");
        }
    }

    #[test]
    fn cases_clash() {
        let mut folder = Folder::default();
        assert!(folder.takes("a") && folder.takes("b") && !folder.takes("A"));
    }
}
