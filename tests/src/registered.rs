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
    shipped_with("core/1.1.0", change)
}

/// A shipped plugin, `name/version`, with another manifest.
pub fn shipped_with(plugin: &str, change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let shipped = std::fs::read(crate::registry().join(plugin).join("plugin.wasm")).expect("it is shipped");
    let manifest = catalog::manifest_section(&shipped).expect("it has a manifest");
    let mut manifest: serde_json::Value = serde_json::from_slice(manifest).expect("which is JSON");
    change(&mut manifest);
    catalog::embed(&shipped, manifest.to_string().as_bytes()).expect("it is a component")
}

/// Whoever installs things in tests.
pub fn by() -> catalog::By<'static> {
    catalog::By { actor: "test", at: jiff::Timestamp::now() }
}

/// A registry folder with these plugins, its index and, where there is a signer, signatures.
pub fn publish(root: &std::path::Path, components: &[Vec<u8>], signer: Option<&crate::hosted::Signer>) {
    for bytes in components {
        let published = catalog::Published::of(bytes, None, "test").expect("the test's manifest is valid");
        let (name, version) = (published.manifest.name.to_string(), published.manifest.version.to_string());
        let folder = root.join(&name).join(&version);
        std::fs::create_dir_all(&folder).expect("tests may write");
        std::fs::write(folder.join("plugin.wasm"), bytes).expect("tests may write");
        std::fs::write(folder.join("manifest.json"), published.to_json()).expect("tests may write");
        if let Some(signer) = signer {
            let signature = signer.sign(bytes, &name, &version);
            std::fs::write(folder.join("plugin.wasm.minisig"), signature).expect("tests may write");
        }
    }
    catalog::write_index(root, None).expect("what was just published is whole");
}

/// Every file below a folder and what is in it, the lock aside.
pub fn contents(folder: &std::path::Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut found = std::collections::BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten() {
            let path = entry.expect("it can be listed").path();
            match path.is_dir() {
                true => left.push(path),
                false => drop(found.insert(path.display().to_string(), std::fs::read(&path).expect("it can be read"))),
            }
        }
    }
    found.retain(|name, _| !name.ends_with("/.lock"));
    found
}
