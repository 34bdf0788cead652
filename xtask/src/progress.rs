//! The only place of the chores that prints: one line per step, on stdout.

/// Says what is being done now.
#[expect(clippy::print_stdout, reason = "a chore tells its progress")]
pub fn say(line: impl AsRef<str>) {
    println!("xtask: {}", line.as_ref());
}

/// A size for people: `97 KB`, `45.1 MB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} KB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}
