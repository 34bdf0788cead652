//! The committed component is that of the sources beside it.

use crate::support::root;

#[test]
fn prebuilt_guest_is_of_these_sources() {
    let folder = root().join("tests/guests/proof-http");
    let recorded = std::fs::read_to_string(folder.with_extension("sha256")).unwrap();
    let found = xtask::source_hash::of_test_guest(&folder).unwrap();
    assert_eq!(recorded.trim(), found, "the guest is stale; hint: `cargo xtask guests --no-pack proof-http`");
}
