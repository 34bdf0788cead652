//! The flags that guests and their standard library are built with: the same on every machine but for the left side of the
//! path prefixes, so that no path of a machine ends up in a component.

use std::path::Path;
use std::process::Command;

use crate::toolchain::{Std, Toolchain};

/// The guest's stack, in bytes: one page of wasm memory instead of sixteen makes a fresh instance cheap, and it lies below
/// the data, so that an overflow traps instead of writing over it.
const STACK_FLAG: &str = "-Clink-arg=-zstack-size=131072";
/// What must hold for a published component whatever a manifest says: small (link-time optimisation takes off a third),
/// without debug data, names kept.
const PROFILE: &[&str] = &[
    "opt-level=\"s\"",
    "lto=\"fat\"",
    "codegen-units=1",
    "debug=false",
    "strip=\"debuginfo\"",
    "incremental=false",
];
/// Separates the flags in cargo's encoded form, in which a path may hold a space.
const FLAG_SEPARATOR: &str = "\u{1f}";

/// The flags of a component as its provenance names them: without the paths of this machine.
pub fn told() -> Vec<String> {
    std::iter::once(STACK_FLAG.to_owned())
        .chain(PROFILE.iter().map(|setting| (*setting).to_owned()))
        .collect()
}

/// Arms `cargo` with the flags and the profile of a guest.
pub fn set_for_guest(cargo: &mut Command, toolchain: &Toolchain, standard: &Std) {
    for setting in PROFILE {
        cargo
            .arg("--config")
            .arg(format!("profile.release.{setting}"));
    }
    let mut flags = vec![STACK_FLAG.to_owned()];
    if let Std::Overlay { sysroot, .. } = standard {
        flags.extend(["--sysroot".to_owned(), sysroot.display().to_string()]);
    }
    flags.extend(remap_guest(toolchain));
    set(cargo, &flags);
}

/// Hands `flags` to rustc for the wasm target alone (build scripts and macros are built for the host, without them).
pub fn set(cargo: &mut Command, flags: &[String]) {
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join(FLAG_SEPARATOR));
}

/// The prefixes of a guest. Of several that fit, rustc takes the last, so the general ones come first.
pub fn remap_guest(toolchain: &Toolchain) -> Vec<String> {
    let library = toolchain.sysroot.join("lib/rustlib/src/rust");
    let rust = format!("/rustc/{}", toolchain.commit);
    [
        remap(&toolchain.cargo_home, "/cargo"),
        remap(&toolchain.sysroot, "/rust"),
        remap(&library, &rust),
        remap(&toolchain.root, "/sluice"),
    ]
    .to_vec()
}

/// The prefixes of the standard library, named as in the official one.
pub fn remap_standard_library(toolchain: &Toolchain, libraries: &[&Path]) -> Vec<String> {
    let mut flags = vec![
        remap(&toolchain.cargo_home, "/cargo"),
        remap(&toolchain.root, "/sluice"),
    ];
    flags.extend(
        libraries
            .iter()
            .map(|library| remap(library, &format!("/rustc/{}/library", toolchain.commit))),
    );
    flags
}

fn remap(from: &Path, to: &str) -> String {
    format!("--remap-path-prefix={}={to}", from.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn toolchain() -> Toolchain {
        Toolchain {
            root: PathBuf::from("/home/me/sluice"),
            version: "1.95.0".into(),
            description: "rustc 1.95.0".into(),
            commit: "abc".into(),
            sysroot: PathBuf::from("/home/me/.rustup/toolchains/stable"),
            cargo: PathBuf::from("cargo"),
            cargo_home: PathBuf::from("/home/me/.cargo"),
        }
    }

    #[test]
    fn every_place_of_the_machine_is_mapped() {
        assert_eq!(
            remap_guest(&toolchain()),
            [
                "--remap-path-prefix=/home/me/.cargo=/cargo",
                "--remap-path-prefix=/home/me/.rustup/toolchains/stable=/rust",
                "--remap-path-prefix=/home/me/.rustup/toolchains/stable/lib/rustlib/src/rust=/rustc/abc",
                "--remap-path-prefix=/home/me/sluice=/sluice",
            ]
        );
    }

    #[test]
    fn sources_of_the_standard_library_are_named_as_in_the_official_one() {
        let flags = remap_standard_library(&toolchain(), &[Path::new("/x/library")]);
        assert_eq!(
            flags.last().map(String::as_str),
            Some("--remap-path-prefix=/x/library=/rustc/abc/library")
        );
    }

    #[test]
    fn overlay_is_handed_over_as_sysroot_and_paths_may_hold_spaces() {
        let mut cargo = Command::new("cargo");
        let standard = Std::Overlay {
            sysroot: PathBuf::from("/a b/sysroot"),
            identity: "x".into(),
        };
        set_for_guest(&mut cargo, &toolchain(), &standard);
        let flags = cargo
            .get_envs()
            .find(|(name, _)| *name == "CARGO_ENCODED_RUSTFLAGS")
            .and_then(|(_, value)| value)
            .and_then(|value| value.to_str())
            .map(str::to_owned);
        let flags = flags.expect("the flags are set");
        assert!(
            flags.starts_with(
                "-Clink-arg=-zstack-size=131072\u{1f}--sysroot\u{1f}/a b/sysroot\u{1f}"
            ),
            "{flags:?}"
        );
        assert!(told().iter().all(|flag| !flag.contains('/')));
    }
}
