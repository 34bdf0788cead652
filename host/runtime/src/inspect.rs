//! Looks at a component's outermost names before anything is compiled: size, shape, what it imports and exports.
//!
//! It reads; it never validates deeper than needed, never executes, and must not panic on any bytes.

use crate::errors::Error;
use wasmparser::{Encoding, Parser, Payload};

/// The largest component taken in. A Python guest is 18 MB.
pub const COMPONENT_BYTES: usize = 64 << 20;
/// Imported or exported names of a component; a large one has a hundred.
const NAMES: usize = 1_000;
/// Core modules and components inside; a Python guest has 14.
const PARTS: usize = 500;
/// How deep components may be nested.
const DEPTH: usize = 20;

/// What a component wants and offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Reads the shape, or says in words why this is no component for us.
pub(crate) fn inspect(plugin: &str, wasm: &[u8]) -> Result<Shape, Error> {
    let bad = |why: String, hint: &str| Error::BadComponent { plugin: plugin.to_owned(), why, hint: hint.to_owned() };
    if wasm.len() > COMPONENT_BYTES {
        return Err(bad(
            format!("it has {} bytes, more than {COMPONENT_BYTES}", wasm.len()),
            "strip debug data from the component",
        ));
    }
    if !wasm.starts_with(b"\0asm") {
        return Err(bad("its bytes are not WebAssembly".to_owned(), "build the plugin for `wasm32-wasip2`"));
    }
    let mut shape = Shape::default();
    let mut parts = 0usize;
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(|cause| bad(format!("it is damaged: {cause}"), "build or download it again"))?;
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(bad(
                    "it is a core module, not a component".to_owned(),
                    "build the plugin for `wasm32-wasip2`",
                ));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                parts += 1;
                if parts > PARTS || depth > DEPTH {
                    return Err(bad(
                        format!("it has more than {PARTS} parts or nests deeper than {DEPTH}"),
                        "build it smaller",
                    ));
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import =
                        import.map_err(|cause| bad(format!("it is damaged: {cause}"), "build or download it again"))?;
                    shape.imports.push(import.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export =
                        export.map_err(|cause| bad(format!("it is damaged: {cause}"), "build or download it again"))?;
                    shape.exports.push(export.name.name.to_owned());
                }
            }
            _ => {}
        }
        if shape.imports.len() + shape.exports.len() > NAMES {
            return Err(bad(format!("it imports and exports more than {NAMES} names"), "split the plugin"));
        }
    }
    Ok(shape)
}

/// A link error in words. `offered` are the interfaces this host has, with versions.
pub(crate) fn missing_import(plugin: &str, shape: &Shape, offered: &[String], cause: &str) -> Error {
    let refused = shape.imports.iter().find(|name| !offered.iter().any(|have| same_track(have, name)));
    let (why, hint) = match refused {
        Some(name) => {
            let base = base_of(name);
            let near: Vec<&str> = offered.iter().filter(|have| base_of(have) == base).map(String::as_str).collect();
            match near.first() {
                Some(have) => (
                    format!("needs host API `{name}`, this host has `{have}`"),
                    "use a newer Sluice, or a plugin version built for this one".to_owned(),
                ),
                None => (
                    format!("needs host API `{name}`, which this host does not offer"),
                    "use a newer Sluice, or a plugin built with its SDK".to_owned(),
                ),
            }
        }
        None => (
            format!("does not fit this host: {cause}"),
            "the plugin was built against other WIT; build it with the SDK".to_owned(),
        ),
    };
    Error::Link { plugin: plugin.to_owned(), why, hint }
}

fn base_of(name: &str) -> &str {
    name.split_once('@').map_or(name, |(base, _)| base)
}

/// Whether two versions are of one compatible track, the rule of the linker: same major, or same minor below 1.0.
fn same_track(have: &str, want: &str) -> bool {
    let track = |name: &str| -> Option<(String, u64, u64)> {
        let (base, version) = name.split_once('@')?;
        if version.contains('-') {
            return None;
        }
        let mut numbers = version.split('.').map(str::parse::<u64>);
        let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some((base.to_owned(), major, if major == 0 { minor } else { 0 }))
    };
    have == want || (track(have).is_some() && track(have) == track(want))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_follow_the_linker() {
        let check = |have, want, expected| assert_eq!(same_track(have, want), expected, "{have} {want}");
        check("wasi:io/poll@0.2.6", "wasi:io/poll@0.2.0", true);
        check("sluice:host/kv@1.0.0", "sluice:host/kv@1.3.0", true);
        check("sluice:host/kv@1.0.0", "sluice:host/kv@2.0.0", false);
        check("wasi:io/poll@0.2.6", "wasi:io/poll@0.3.0", false);
        check("wasi:a/b@0.2.0-draft", "wasi:a/b@0.2.0", false);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for bytes in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01\0\xff\xff\xff\xff", b"plain text"] {
            let _ = inspect("p 1.0.0", bytes);
        }
        assert!(inspect("p 1.0.0", b"plain text").expect_err("refused").to_string().contains("not WebAssembly"));
        let module = inspect("p 1.0.0", b"\0asm\x01\0\0\0").expect_err("refused").to_string();
        assert!(module.contains("core module"), "{module}");
    }
}
