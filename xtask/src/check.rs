//! `cargo xtask guests --check`: rebuilds each plugin and compares it bit by bit with its published version, where compiler,
//! standard library and sources are the published ones; else it says why nothing can be compared. It changes nothing.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::component::{self, MANIFEST_SECTION};
use crate::guests::{self, Guest, LockFile, Options};
use crate::pack;
use crate::progress::say;
use crate::publish::{self, Provenance, Published};
use crate::toolchain::{Std, Toolchain};
use crate::wasm_target;

/// What came of comparing one plugin.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    /// Nothing is published under this version.
    Unpublished,
    /// Built from other sources than these.
    SourcesMoved,
    /// By another compiler, standard library or flags; the text says which.
    CannotCompare(String),
    /// The same sources and compiler, other bytes: somebody changed the component, or the build depends on the machine.
    Differs,
}

pub fn run(toolchain: &Toolchain, options: &Options, plugins: &[Guest], test_guests: &[Guest]) -> Result<()> {
    let mut wrong = Vec::new();
    for plugin in plugins {
        let verdict = check_plugin(toolchain, options, plugin)?;
        let name = format!("plugin `{}` {}", plugin.name, plugin.version);
        match verdict {
            Verdict::Same => say(format!("{name}: the same, bit by bit")),
            Verdict::Unpublished => say(format!("{name}: builds; not published yet")),
            Verdict::SourcesMoved => say(format!(
                "{name}: builds; its sources have changed since it was published (a new version is due)"
            )),
            Verdict::CannotCompare(why) => say(format!("{name}: builds; could not compare: {why}")),
            Verdict::Differs => wrong.push(format!(
                "{name}: the published component does not come from its sources; restore it, or raise the version and publish"
            )),
        }
    }
    for guest in test_guests {
        match check_test_guest(toolchain, guest)? {
            true => say(format!("test guest `{}`: fits its sources", guest.name)),
            false => wrong.push(format!("test guest `{}`: its sources have changed since it was built", guest.name)),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!(
        "guests do not fit what is committed:\n  {}\nhint: the component of a published version never changes; test guests are rebuilt with `cargo xtask guests NAME`",
        wrong.join("\n  ")
    )
}

fn check_plugin(toolchain: &Toolchain, options: &Options, plugin: &Guest) -> Result<Verdict> {
    let published = publish::read(toolchain, &plugin.name, &plugin.version)?;
    let standard = standard_for(toolchain, options, published.as_ref())?;
    let built = guests::build_plugin(toolchain, &standard, plugin, LockFile::Fixed)?;
    let Some(published) = published else {
        return Ok(Verdict::Unpublished);
    };
    let ours = guests::provenance(toolchain, &standard, plugin)?;
    let same = if options.no_pack {
        component::without_section(&published.bytes, MANIFEST_SECTION)? == built.bytes
    } else {
        pack::pack(toolchain, plugin, &built)?.bytes == published.bytes
    };
    Ok(judge(&published.provenance, &ours, same))
}

/// The standard library that the published component was built with, if it is here.
fn standard_for(toolchain: &Toolchain, options: &Options, published: Option<&Published>) -> Result<Std> {
    if let (false, Some(published)) = (options.overlay, published) {
        let here = [toolchain.installed_std()?, toolchain.overlay_std()?];
        if let Some(found) = here.into_iter().flatten().find(|found| found.identity() == published.provenance.std) {
            return Ok(found);
        }
    }
    wasm_target::choose(toolchain, options.overlay)
}

/// The same bytes need no explanation; other bytes are wrong only if nothing explains them.
pub fn judge(published: &Provenance, ours: &Provenance, same_bytes: bool) -> Verdict {
    if same_bytes {
        return Verdict::Same;
    }
    if published.rustc != ours.rustc {
        return Verdict::CannotCompare(format!("published by `{}`, this is `{}`", published.rustc, ours.rustc));
    }
    if published.std != ours.std {
        return Verdict::CannotCompare(format!(
            "its standard library is `{}`, here is `{}`; `cargo xtask wasm-target --overlay` builds the one that begins with `overlay:`",
            published.std, ours.std
        ));
    }
    if published.flags != ours.flags {
        return Verdict::CannotCompare("the flags of guests have changed since".to_owned());
    }
    if published.source != ours.source { Verdict::SourcesMoved } else { Verdict::Differs }
}

fn check_test_guest(toolchain: &Toolchain, guest: &Guest) -> Result<bool> {
    if guest.keeping == guests::Keeping::Local {
        // Nothing is committed that could be stale.
        return Ok(true);
    }
    let (component, sum) = guests::prebuilt(toolchain, guest);
    if !component.is_file() || !sum.is_file() {
        return Ok(false);
    }
    let recorded = fs::read_to_string(&sum).with_context(|| format!("cannot read `{}`", sum.display()))?;
    Ok(recorded.trim() == guests::test_guest_hash(guest)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provenance() -> Provenance {
        Provenance {
            source: "s".into(),
            rustc: "rustc 1.95.0".into(),
            std: "overlay:1".into(),
            flags: vec!["-z".into()],
        }
    }

    #[test]
    fn same_bytes_are_the_same_whatever_the_provenance() {
        let other = Provenance { source: "t".into(), rustc: "rustc 2".into(), std: "x".into(), flags: Vec::new() };
        assert_eq!(judge(&provenance(), &other, true), Verdict::Same);
    }

    #[test]
    fn other_bytes_from_the_same_sources_and_tools_are_wrong() {
        assert_eq!(judge(&provenance(), &provenance(), false), Verdict::Differs);
    }

    #[test]
    fn other_compiler_library_or_flags_cannot_be_compared() {
        for ours in [
            Provenance { rustc: "rustc 1.96.0".into(), ..provenance() },
            Provenance { std: "toolchain:2".into(), ..provenance() },
            Provenance { flags: Vec::new(), ..provenance() },
        ] {
            assert!(matches!(judge(&provenance(), &ours, false), Verdict::CannotCompare(_)), "{ours:?}");
        }
    }

    #[test]
    fn other_sources_explain_other_bytes() {
        let ours = Provenance { source: "t".into(), ..provenance() };
        assert_eq!(judge(&provenance(), &ours, false), Verdict::SourcesMoved);
    }
}
