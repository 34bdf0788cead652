//! The committed components are those of the sources beside them.

use crate::support::root;

#[test]
fn prebuilt_guests_are_of_these_sources() {
    for name in ["proof-http"] {
        let folder = root().join("tests/guests").join(name);
        let recorded = std::fs::read_to_string(folder.with_extension("sha256")).unwrap();
        let found = xtask::source_hash::of_test_guest(&folder).unwrap();
        assert_eq!(recorded.trim(), found, "`{name}` is stale; hint: `cargo xtask guests {name}`");
    }
}
