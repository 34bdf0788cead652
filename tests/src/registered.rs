//! Plugins made of shipped ones, for tests that install some.

/// The shipped `core` under another version: it does the same.
pub fn core_as(version: &str) -> Vec<u8> {
    core_with(|manifest| manifest["version"] = version.into())
}

/// The same, asking for a program that no other version asks for.
pub fn core_asking(version: &str, program: &str) -> Vec<u8> {
    core_with(|manifest| {
        manifest["version"] = version.into();
        manifest["capabilities"]["process"] = serde_json::json!([program]);
    })
}

/// The shipped `core` with another manifest.
pub fn core_with(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let shipped = std::fs::read(crate::registry().join("core/1.1.0/plugin.wasm")).expect("it is shipped");
    let manifest = catalog::manifest_section(&shipped).expect("it has a manifest");
    let mut manifest: serde_json::Value = serde_json::from_slice(manifest).expect("which is JSON");
    change(&mut manifest);
    catalog::embed(&shipped, manifest.to_string().as_bytes()).expect("it is a component")
}

/// Whoever installs things in tests.
pub fn by() -> catalog::By<'static> {
    catalog::By { actor: "test", at: jiff::Timestamp::now() }
}
