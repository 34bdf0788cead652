//! The manifest's place inside a component: the custom section `sluice:manifest` at its top level. Walks section headers only;
//! never validates code and never looks into nested modules, so a hostile file costs no more than its size.

use wasmparser::{Chunk, Encoding, Parser, Payload};

/// Name of the custom section that carries the manifest as JSON.
pub const MANIFEST_SECTION: &str = "sluice:manifest";
/// Largest component. The largest known guests (Python) have 18 MB.
pub const COMPONENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Largest manifest. A plugin with a hundred task types has about 200 KB.
pub(crate) const MANIFEST_BYTES_MAX: usize = 1024 * 1024;
/// Most top-level sections. A component of the usual tools has fewer than a hundred.
const SECTIONS_MAX: usize = 100_000;
/// Id of a custom section in the binary format.
const CUSTOM_SECTION_ID: u8 = 0;
/// What every WebAssembly file begins with.
const MAGIC: &[u8] = b"\0asm";

/// Where a manifest lies in a component.
struct Found<'a> {
    data: &'a [u8],
    /// The whole section with its header.
    start: usize,
    end: usize,
}

/// The bytes of the manifest in a component. The error says what is wrong with the file, without naming it.
pub fn manifest_section(component: &[u8]) -> Result<&[u8], String> {
    match find(component)? {
        Some(found) => Ok(found.data),
        None => Err(format!("it has no section `{MANIFEST_SECTION}`")),
    }
}

/// The component with this manifest inside; a manifest that was there before is replaced.
pub fn embed(component: &[u8], manifest: &[u8]) -> Result<Vec<u8>, String> {
    if manifest.len() > MANIFEST_BYTES_MAX {
        return Err(format!("its manifest has {} bytes, and at most {MANIFEST_BYTES_MAX} are read", manifest.len()));
    }
    let (before, after) = match find(component)? {
        Some(old) => (component.get(..old.start), component.get(old.end..)),
        None => (Some(component), Some(&[][..])),
    };
    let mut bytes = Vec::with_capacity(component.len() + manifest.len() + 32);
    bytes.extend_from_slice(before.expect("the parser found the section inside the file"));
    bytes.extend_from_slice(after.expect("the parser found the section inside the file"));
    append_section(&mut bytes, manifest);
    if bytes.len() as u64 > COMPONENT_BYTES_MAX {
        return Err(too_large());
    }
    Ok(bytes)
}

fn append_section(bytes: &mut Vec<u8>, data: &[u8]) {
    let mut body = leb128(MANIFEST_SECTION.len());
    body.extend_from_slice(MANIFEST_SECTION.as_bytes());
    body.extend_from_slice(data);
    bytes.push(CUSTOM_SECTION_ID);
    bytes.extend(leb128(body.len()));
    bytes.extend(body);
}

fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits fit into a byte");
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn too_large() -> String {
    format!("it is larger than {} MiB", COMPONENT_BYTES_MAX / 1024 / 1024)
}

fn find(component: &[u8]) -> Result<Option<Found<'_>>, String> {
    if component.len() as u64 > COMPONENT_BYTES_MAX {
        return Err(too_large());
    }
    if !component.starts_with(MAGIC) {
        return Err("it is not WebAssembly: it does not begin with `\\0asm`".to_owned());
    }
    let mut found: Option<Found<'_>> = None;
    let mut parser = Parser::new(0);
    let mut offset = 0;
    for _ in 0..SECTIONS_MAX {
        let rest = component.get(offset..).ok_or("it is cut off")?;
        let chunk =
            parser.parse(rest, true).map_err(|error| format!("byte {}: {}", error.offset(), error.message()))?;
        let Chunk::Parsed { consumed, payload } = chunk else {
            return Err("it is cut off".to_owned());
        };
        let start = offset;
        offset += consumed;
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => {
                return Err("it is a core module, not a component; build it for `wasm32-wasip2`".to_owned());
            }
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                if section.data().len() > MANIFEST_BYTES_MAX {
                    return Err(format!(
                        "its manifest has {} bytes, and at most {MANIFEST_BYTES_MAX} are read",
                        section.data().len()
                    ));
                }
                let manifest = Found { data: section.data(), start, end: offset };
                if found.replace(manifest).is_some() {
                    return Err(format!("it has more than one section `{MANIFEST_SECTION}`"));
                }
            }
            Payload::ModuleSection { unchecked_range: range, .. }
            | Payload::ComponentSection { unchecked_range: range, .. } => {
                // The parent has taken the nested part into account already; only the bytes are left to skip.
                let length = range.end.saturating_sub(range.start);
                offset = offset.checked_add(length).ok_or("it is cut off")?;
            }
            Payload::End(_) => return Ok(found),
            _ => {}
        }
    }
    Err(format!("it has more than {SECTIONS_MAX} sections"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::testing::EMPTY_COMPONENT;

    const MANIFEST: &[u8] = br#"{"name":"a"}"#;

    fn refused(bytes: &[u8], expected: &str) {
        let reason = manifest_section(bytes).unwrap_err();
        assert!(reason.contains(expected), "`{reason}` does not say `{expected}`");
    }

    /// A component around a nested one.
    fn nested(inner: &[u8]) -> Vec<u8> {
        let mut bytes = EMPTY_COMPONENT.to_vec();
        bytes.push(4);
        bytes.extend(leb128(inner.len()));
        bytes.extend_from_slice(inner);
        bytes
    }

    #[test]
    fn embedded_manifest_is_read_back() {
        let bytes = embed(EMPTY_COMPONENT, MANIFEST).unwrap();
        assert!(bytes.starts_with(EMPTY_COMPONENT));
        assert_eq!(manifest_section(&bytes).unwrap(), MANIFEST);
    }

    #[test]
    fn embedding_again_replaces_and_repeats_to_the_byte() {
        let first = embed(EMPTY_COMPONENT, MANIFEST).unwrap();
        let other = embed(&first, b"{}").unwrap();
        assert_eq!(manifest_section(&other).unwrap(), b"{}");
        assert_eq!(embed(&other, MANIFEST).unwrap(), first);
    }

    #[test]
    fn section_sizes_cross_the_bytes_of_a_length() {
        for length in [0, 1, 100, 127, 128, 16_383, 16_384, MANIFEST_BYTES_MAX] {
            let manifest = vec![b'x'; length];
            let bytes = embed(EMPTY_COMPONENT, &manifest).unwrap();
            assert_eq!(manifest_section(&bytes).unwrap().len(), length);
        }
    }

    #[test]
    fn manifest_of_a_nested_component_does_not_count() {
        let inner = embed(EMPTY_COMPONENT, MANIFEST).unwrap();
        refused(&nested(&inner), "no section `sluice:manifest`");
        let outer = embed(&nested(&inner), b"{}").unwrap();
        assert_eq!(manifest_section(&outer).unwrap(), b"{}");
    }

    #[test]
    fn every_truncation_is_refused_or_without_manifest() {
        let bytes = embed(&nested(EMPTY_COMPONENT), MANIFEST).unwrap();
        for length in 0..bytes.len() {
            assert!(manifest_section(&bytes[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn every_flipped_byte_ends_in_an_answer() {
        let bytes = embed(&nested(EMPTY_COMPONENT), MANIFEST).unwrap();
        let mut accepted = 0;
        for position in 0..bytes.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[position] ^= mask;
                accepted += usize::from(manifest_section(&changed).is_ok());
            }
        }
        assert!(accepted >= MANIFEST.len(), "flips inside the manifest's own bytes are for the digest to find");
    }

    #[test]
    fn hostile_files_are_refused_in_words() {
        refused(b"", "not WebAssembly");
        refused(b"#!/bin/sh\n", "not WebAssembly");
        refused(&[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0], "core module");
        refused(EMPTY_COMPONENT, "no section `sluice:manifest`");
        let mut twice = embed(EMPTY_COMPONENT, MANIFEST).unwrap();
        append_section(&mut twice, MANIFEST);
        refused(&twice, "more than one section");
        let mut large = EMPTY_COMPONENT.to_vec();
        append_section(&mut large, &vec![b' '; MANIFEST_BYTES_MAX + 1]);
        refused(&large, "at most 1048576");
        // A nested module that claims four gigabytes.
        let mut claims = EMPTY_COMPONENT.to_vec();
        claims.extend([1, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert!(manifest_section(&claims).is_err());
        refused(&vec![0; COMPONENT_BYTES_MAX as usize + 1], "larger than 64 MiB");
    }

    #[test]
    fn a_component_of_empty_sections_ends() {
        let mut bytes = EMPTY_COMPONENT.to_vec();
        for _ in 0..=SECTIONS_MAX {
            bytes.extend([0, 2, 1, b'x']);
        }
        refused(&bytes, "more than 100000 sections");
    }

    #[test]
    fn too_large_a_manifest_is_not_embedded() {
        assert!(embed(EMPTY_COMPONENT, &vec![b' '; MANIFEST_BYTES_MAX + 1]).is_err());
        assert!(embed(b"no component", MANIFEST).is_err());
    }
}
