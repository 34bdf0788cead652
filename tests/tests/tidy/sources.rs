//! The shape of source files: their length, their first line, where `unsafe` may stand, and that no text names a folder of
//! somebody's machine. Functions are not measured.

use std::fs;

use crate::{files, none, one, root};

/// Longest Rust file, in lines. Style: 100 to 300; think above 500.
const LINES_MAX: usize = 800;
/// Longer by nature, each with its reason.
const LONG: &[(&str, &str)] = &[("sdk/rust/src/bindings.rs", "generated from wit/ by one command")];
/// Without a head of their own.
const HEADLESS: &[(&str, &str)] = &[
    ("sdk/rust/src/bindings.rs", "generated; `lib.rs` says what it is"),
    ("sdk/rust/src/exports.rs", "generated; `lib.rs` says what it is"),
];
/// The files that may say `unsafe`.
const UNSAFE: &[(&str, &str)] = &[
    ("host/runtime/src/cache.rs", "loads compiled code that this host wrote"),
    ("sdk/rust/src/bindings.rs", "generated: the canonical ABI is made of pointers"),
    ("sdk/rust/src/exports.rs", "generated: the canonical ABI is made of pointers"),
];
/// Longest ARCHITECTURE.md, in lines.
const ARCHITECTURE_LINES_MAX: usize = 200;
/// Folders of people's machines. What stands behind them is somebody's, but for `INVENTED`.
const HOMES: &[&str] = &["/home/", "/root/", "/Users/", "C:\\Users\\"];
/// Homes that nobody has: what examples and tests use.
const INVENTED: &[&str] = &["/home/me/", "/home/me\"", "/home/me`"];
/// Files that talk about such folders.
const ABOUT_HOMES: &[&str] = &["tests/tests/tidy/sources.rs", "tests/tests/tidy/components.rs"];

fn allowed(table: &[(&str, &str)], path: &str) -> bool {
    table.iter().any(|(name, _)| *name == path)
}

fn rust_file(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX && !allowed(LONG, path) {
        problems
            .push(format!("`{path}` has {lines} lines, at most {LINES_MAX} are allowed: which second idea is in it?"));
    }
    if !text.starts_with("//!") && !allowed(HEADLESS, path) {
        problems.push(format!("`{path}` does not begin with `//!`, saying what it is and what it must never do"));
    }
    if !allowed(UNSAFE, path) {
        let lines = code(text)
            .lines()
            .enumerate()
            .filter(|(_, line)| says_unsafe(line))
            .map(|(at, _)| at + 1)
            .collect::<Vec<_>>();
        problems.extend(lines.into_iter().map(|line| format!("`{path}` line {line} says `unsafe`")));
    }
    problems
}

/// The keyword, not a part of a longer name such as the lint's.
fn says_unsafe(line: &str) -> bool {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == "unsafe")
}

/// A source without its comments and the insides of its texts; lines stay where they are.
fn code(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(letter) = rest.chars().next() {
        let length = skipped(rest).unwrap_or(0);
        let (taken, after) = rest.split_at(length.max(letter.len_utf8()));
        match length {
            0 => code.push(letter),
            _ => code.extend(taken.chars().filter(|letter| *letter == '\n')),
        }
        rest = after;
    }
    code
}

/// How many bytes of a comment or a text begin here.
fn skipped(rest: &str) -> Option<usize> {
    let until = |end: &str, from: usize| {
        rest.get(from..).and_then(|tail| tail.find(end)).map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(until("*/", 2));
    }
    if let Some(raw) = rest.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        return raw.get(hashes..)?.starts_with('"').then(|| until(&format!("\"{}", "#".repeat(hashes)), hashes + 2));
    }
    // A quote in single quotes opens no text.
    for quote in ["'\"'", "'\\\"'"] {
        if rest.starts_with(quote) {
            return Some(quote.len());
        }
    }
    let text = rest.strip_prefix('"')?;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' if !escaped => return Some(at + 2),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Some(rest.len())
}

/// Folders of a machine in a text.
fn machine_paths(path: &str, text: &str) -> Vec<String> {
    if ABOUT_HOMES.contains(&path) {
        return Vec::new();
    }
    let named = |line: &str| {
        let cleaned = INVENTED.iter().fold(line.to_owned(), |line, invented| line.replace(invented, ""));
        HOMES.iter().any(|home| cleaned.contains(home))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| named(line));
    lines.map(|(at, _)| format!("`{path}` line {} names a folder of somebody's machine", at + 1)).collect()
}

fn architecture(text: &str) -> Vec<String> {
    let lines = text.lines().count();
    match lines < ARCHITECTURE_LINES_MAX {
        true => Vec::new(),
        false => vec![format!("ARCHITECTURE.md has {lines} lines; it stays under {ARCHITECTURE_LINES_MAX}")],
    }
}

#[test]
fn rust_files_have_their_shape() {
    let sources: Vec<String> = files().into_iter().filter(|file| file.ends_with(".rs")).collect();
    assert!(sources.len() > 50, "git lists the sources: {}", sources.len());
    let read = |path: &String| {
        fs::read_to_string(root().join(path)).expect("git lists files that are there, and Rust is UTF-8")
    };
    none(sources.iter().flat_map(|path| rust_file(path, &read(path))).collect());
}

#[test]
fn exceptions_are_needed() {
    for (path, _) in [LONG, HEADLESS].into_iter().flatten() {
        assert!(root().join(path).is_file(), "`{path}` is in a table of exceptions and not there");
    }
}

#[test]
fn no_text_names_a_machine() {
    let mut problems = Vec::new();
    for path in files() {
        let bytes = fs::read(root().join(&path)).expect("git lists files that are there");
        // Components are looked at in components.rs.
        if let Ok(text) = String::from_utf8(bytes) {
            problems.extend(machine_paths(&path, &text));
        }
    }
    none(problems);
}

#[test]
fn architecture_is_short() {
    if let Ok(text) = fs::read_to_string(root().join("ARCHITECTURE.md")) {
        none(architecture(&text));
    }
}

#[test]
fn long_and_headless_files_are_found() {
    let long = format!("//! Head.\n{}", "fn f() {}\n".repeat(LINES_MAX));
    one(&rust_file("host/model/src/flow.rs", &long), "has 801 lines");
    assert!(rust_file("sdk/rust/src/bindings.rs", &long).is_empty());
    one(&rust_file("host/model/src/flow.rs", "use std::fmt;\n"), "does not begin with `//!`");
}

#[test]
fn unsafe_is_found_in_code_only() {
    let found = |code: &str| rust_file("host/store/src/x.rs", &format!("//! Head.\n{code}\n"));
    one(&found("fn f() { unsafe { g() } }"), "line 2 says `unsafe`");
    one(&found("/* a\nb */ unsafe impl Send for X {}"), "line 3 says `unsafe`");
    one(&found("let a = \"x\\\\\"; unsafe {}"), "line 2");
    one(&found("let quote = '\"'; unsafe {}"), "line 2");
    one(&found("let raw = r#\"a\"b\"#; unsafe {}"), "line 2");
    for harmless in [
        "// unsafe",
        "let a = \"unsafe { }\";",
        "#![deny(unsafe_code)]",
        "let a = r#\"\"unsafe\"\"#;",
        "let a = \"\\\"unsafe\";",
    ] {
        assert_eq!(found(harmless), Vec::<String>::new(), "{harmless}");
    }
    assert!(rust_file("host/runtime/src/cache.rs", "//! Head.\nunsafe {}\n").is_empty());
}

#[test]
fn machine_paths_are_found() {
    one(&machine_paths("README.md", "ok\ncd /home/ada/sluice\n"), "`README.md` line 2");
    one(&machine_paths("Dockerfile", "COPY x /root/.config\n"), "line 1");
    assert!(machine_paths("xtask/src/flags.rs", "\"/home/me/.cargo\" \"/home/me\"\n").is_empty());
}

#[test]
fn long_architecture_is_found() {
    assert!(architecture(&"line\n".repeat(199)).is_empty());
    one(&architecture(&"line\n".repeat(200)), "has 200 lines");
}
