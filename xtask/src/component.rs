//! Reads the sections of a component, and judges whether it may be published: no debug data, function names kept, no path of
//! this machine, within its budget. It reads no code and runs none.

use anyhow::{Context, Result, anyhow, bail};

use crate::progress::size;
use xtask::budgets;

/// The custom section that packing embeds.
pub const MANIFEST_SECTION: &str = "sluice:manifest";
/// How a component begins: magic, version 13, layer 1.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
/// Length of that beginning, a core module's as well.
const PREAMBLE_BYTES: usize = 8;
const CUSTOM: u8 = 0;
/// A core module inside a component.
const CORE_MODULE: u8 = 1;
/// A component inside a component.
const COMPONENT_SECTION: u8 = 4;
/// Deepest nesting that is read; what a linker makes has two levels.
const MAX_DEPTH: usize = 8;
/// Shortest path that is looked for: shorter ones (`/`) are in any text.
const MIN_PATH_BYTES: usize = 5;
/// A part of a component, with where it lies.
#[derive(Debug)]
struct Section<'a> {
    id: u8,
    /// Of a custom section; empty otherwise.
    name: &'a str,
    content: &'a [u8],
    begin: usize,
    end: usize,
}

pub fn check_is_component(bytes: &[u8]) -> Result<()> {
    if !bytes.starts_with(COMPONENT) {
        bail!("it is no component\nhint: it must be built for wasm32-wasip2");
    }
    sections(bytes).map(|_| ())
}

/// The content of the custom section `name` at the top of a component.
pub fn custom_section<'a>(bytes: &'a [u8], name: &str) -> Result<Option<&'a [u8]>> {
    Ok(sections(bytes)?
        .into_iter()
        .find(|section| section.id == CUSTOM && section.name == name)
        .map(|section| section.content))
}

/// The component without the custom section `name`.
pub fn without_section(bytes: &[u8], name: &str) -> Result<Vec<u8>> {
    let mut rest = Vec::with_capacity(bytes.len());
    rest.extend(bytes.iter().take(PREAMBLE_BYTES));
    for section in sections(bytes)?.iter().filter(|section| section.id != CUSTOM || section.name != name) {
        rest.extend(bytes.get(section.begin..section.end).unwrap_or_default());
    }
    Ok(rest)
}

/// Every reason why a component must not be published.
pub fn faults(plugin: &str, bytes: &[u8], paths: &[String]) -> Result<Vec<String>> {
    check_is_component(bytes)?;
    let mut names = Vec::new();
    custom_names(bytes, 0, &mut names)?;
    let mut faults = Vec::new();
    for name in names.iter().filter(|name| name.starts_with(".debug_") || *name == "sourceMappingURL") {
        faults.push(format!("it holds debug data (section `{name}`)"));
    }
    if !names.iter().any(|name| name == "name") {
        faults.push("it holds no function names, which the trace of a trap needs".to_owned());
    }
    for path in paths.iter().filter(|path| path.len() >= MIN_PATH_BYTES) {
        if bytes.windows(path.len()).any(|window| window == path.as_bytes()) {
            faults.push(format!("it holds the path `{path}` of this machine"));
        }
    }
    let budget = budgets::of(plugin);
    if bytes.len() > budget {
        faults.push(format!("it has {} of at most {}", size(bytes.len() as u64), size(budget as u64)));
    }
    Ok(faults)
}

/// Names of all custom sections, those of nested modules and components included.
fn custom_names(bytes: &[u8], depth: usize, names: &mut Vec<String>) -> Result<()> {
    if depth > MAX_DEPTH {
        bail!("the component is nested more than {MAX_DEPTH} levels deep");
    }
    for section in sections(bytes)? {
        match section.id {
            CUSTOM => names.push(section.name.to_owned()),
            CORE_MODULE | COMPONENT_SECTION if section.content.starts_with(b"\0asm") => {
                custom_names(section.content, depth + 1, names)?
            }
            _ => {}
        }
    }
    Ok(())
}

/// The sections of one module or component, in order. Each takes two bytes or more, so there is no endless loop.
fn sections(bytes: &[u8]) -> Result<Vec<Section<'_>>> {
    let mut found = Vec::new();
    let mut reader = Reader { bytes, at: PREAMBLE_BYTES };
    while reader.at < bytes.len() {
        let begin = reader.at;
        let section = reader.section().with_context(|| format!("the component is damaged at byte {begin}"))?;
        found.push(Section { begin, end: reader.at, ..section });
    }
    Ok(found)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn section(&mut self) -> Result<Section<'a>> {
        let id = *self.take(1)?.first().ok_or_else(|| anyhow!("a section has no kind"))?;
        let length = self.length()?;
        let content = self.take(length)?;
        if id != CUSTOM {
            return Ok(Section { id, name: "", content, begin: 0, end: 0 });
        }
        let mut inner = Reader { bytes: content, at: 0 };
        let length = inner.length()?;
        let name = std::str::from_utf8(inner.take(length)?).context("the name of a section is not UTF-8")?;
        let content = content.get(inner.at..).unwrap_or_default();
        Ok(Section { id, name, content, begin: 0, end: 0 })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).ok_or_else(|| anyhow!("a length is absurd"))?;
        let taken = self.bytes.get(self.at..end).ok_or_else(|| anyhow!("it ends too early"))?;
        self.at = end;
        Ok(taken)
    }

    /// A length of at most 32 bits in LEB128.
    fn length(&mut self) -> Result<usize> {
        let mut value = 0_u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = *self.take(1)?.first().ok_or_else(|| anyhow!("a length is missing"))?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return usize::try_from(value).context("a length is absurd");
            }
        }
        bail!("a length has more than five bytes")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        assert!(content.len() < 0x4000);
        let mut bytes = vec![id, (content.len() & 0x7f) as u8 | 0x80, (content.len() >> 7) as u8];
        bytes.extend(content);
        bytes
    }

    fn custom(name: &str, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![name.len() as u8];
        bytes.extend(name.as_bytes());
        bytes.extend(content);
        section(CUSTOM, &bytes)
    }

    fn module(parts: &[Vec<u8>]) -> Vec<u8> {
        section(CORE_MODULE, &[b"\0asm\x01\0\0\0".to_vec(), parts.concat()].concat())
    }

    fn component(parts: &[Vec<u8>]) -> Vec<u8> {
        [COMPONENT.to_vec(), parts.concat()].concat()
    }

    #[test]
    fn manifest_is_found_and_can_be_taken_out_again() {
        let bare = component(&[module(&[custom("name", b"x")])]);
        let packed = component(&[module(&[custom("name", b"x")]), custom(MANIFEST_SECTION, b"{}")]);
        assert_eq!(custom_section(&packed, MANIFEST_SECTION).unwrap(), Some(b"{}".as_slice()));
        assert_eq!(custom_section(&bare, MANIFEST_SECTION).unwrap(), None);
        assert_eq!(without_section(&packed, MANIFEST_SECTION).unwrap(), bare);
    }

    #[test]
    fn clean_component_has_no_faults() {
        let bytes = component(&[module(&[custom("name", b"x")])]);
        assert_eq!(faults("core", &bytes, &["/home/me".to_owned()]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn debug_data_missing_names_paths_and_size_are_faults() {
        let debug = component(&[module(&[custom(".debug_info", b"x"), custom("name", b"")])]);
        assert!(faults("core", &debug, &[]).unwrap().concat().contains("`.debug_info`"));
        let nameless = component(&[module(&[])]);
        assert!(faults("core", &nameless, &[]).unwrap().concat().contains("no function names"));
        let path = component(&[module(&[custom("name", b"at /home/me/x.rs")])]);
        assert!(faults("core", &path, &["/home/me".to_owned()]).unwrap().concat().contains("`/home/me`"));
        let parts: Vec<_> = std::iter::repeat_n(custom("name", &[0; 10_000]), 31).collect();
        assert!(faults("core", &component(&parts), &[]).unwrap().concat().contains("310 KB of at most 300 KB"));
        assert!(faults("git", &component(&parts), &[]).unwrap().is_empty());
    }

    #[test]
    fn truncated_or_foreign_bytes_are_errors_not_panics() {
        let whole = component(&[module(&[custom("name", b"x")]), custom(MANIFEST_SECTION, b"{}")]);
        for end in 0..whole.len() {
            let _ = faults("core", &whole[..end], &[]);
        }
        assert!(check_is_component(b"\0asm\x01\0\0\0").is_err());
        assert!(check_is_component(&[COMPONENT, &[1, 0xff, 0xff, 0xff, 0xff, 0xff]].concat()).is_err());
        assert!(check_is_component(&[COMPONENT, &[1, 9, 0]].concat()).is_err());
    }
}
