//! Whether this machine swaps. Read only; it never changes anything of the machine.

use std::path::Path;

/// Whether any swap device or file is active. Unreadable counts as active: the safe answer.
pub(crate) fn is_active() -> bool {
    active_in(Path::new("/proc/swaps"))
}

fn active_in(path: &Path) -> bool {
    // The first line is a heading, each further line one device.
    std::fs::read_to_string(path).map_or(true, |text| text.lines().skip(1).any(|line| !line.trim().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::active_in;
    use std::path::Path;

    #[test]
    fn heading_alone_is_no_swap() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("swaps");
        std::fs::write(&file, "Filename\tType\tSize\tUsed\tPriority\n").expect("written");
        assert!(!active_in(&file));
        std::fs::write(&file, "Filename\tType\tSize\tUsed\tPriority\n/dev/zram0\tpartition\t8\t0\t-2\n")
            .expect("written");
        assert!(active_in(&file));
        assert!(active_in(Path::new("/nowhere/swaps")));
    }
}
