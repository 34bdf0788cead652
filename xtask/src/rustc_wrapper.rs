//! Stands between cargo and rustc while guests or their standard library are built, so that a component depends on what it
//! is made from and not on where: cargo hashes the absolute path of a path dependency outside the workspace, and of the
//! standard library's own crates, into `-C metadata`, and with it into every symbol name. Here the value is replaced by a
//! hash of the crate's name, version, features and the like. It also maps the folder of a registry's sources, whose name
//! says which registry or mirror was used, to one fixed name. It never changes anything else.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use xtask::source_hash::sha256;

/// Set in cargo's environment to make this program act as the wrapper.
pub const SWITCH: &str = "SLUICE_XTASK_IS_RUSTC";
/// The sysroot to use for every call, probes included; only for building the standard library, whose sources cargo looks
/// for in the sysroot that rustc names.
pub const SYSROOT: &str = "SLUICE_XTASK_SYSROOT";
/// What the folder of a registry's sources is called in a component: the name that the official standard library uses.
pub const CRATES: &str = "/rust/deps";
/// Digits of a crate's identity; as many as cargo uses.
const IDENTITY_DIGITS: usize = 16;

/// Arms `cargo` with this program as its wrapper.
pub fn arm(cargo: &mut Command) -> Result<()> {
    let own = env::current_exe().context("cannot find out where this program is")?;
    cargo.env("RUSTC_WRAPPER", own).env(SWITCH, "1").env_remove("RUSTC_WORKSPACE_WRAPPER").env_remove("RUSTC");
    Ok(())
}

/// Runs the rustc that cargo named as the first argument.
pub fn main() -> Result<ExitCode> {
    let mut args = env::args_os().skip(1);
    let Some(rustc) = args.next() else {
        bail!("`{SWITCH}` is set but no rustc is named\nhint: unset it; it is for cargo alone");
    };
    let mut command = Command::new(&rustc);
    if let Some(sysroot) = env::var_os(SYSROOT) {
        command.arg("--sysroot").arg(sysroot);
    }
    let package = Package {
        name: env::var("CARGO_PKG_NAME").unwrap_or_default(),
        version: env::var("CARGO_PKG_VERSION").unwrap_or_default(),
    };
    command.args(rewrite(args.collect(), &package));
    if let Some(folder) = env::var_os("CARGO_MANIFEST_DIR").as_deref().and_then(|dir| registry_folder(Path::new(dir))) {
        command.arg(format!("--remap-path-prefix={folder}={CRATES}"));
    }
    let status = command.env_remove(SWITCH).status().with_context(|| format!("cannot start `{}`", rustc.display()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

struct Package {
    name: String,
    version: String,
}

/// The arguments with `-C metadata=` replaced; untouched when there is none (probes).
fn rewrite(args: Vec<OsString>, package: &Package) -> Vec<OsString> {
    let identity = format!("metadata={}", identity(&args, package));
    args.into_iter()
        .map(
            |arg| {
                if arg.to_str().is_some_and(|text| text.starts_with("metadata=")) {
                    identity.clone().into()
                } else {
                    arg
                }
            },
        )
        .collect()
}

/// What tells two crates of one build apart, none of which is a place.
fn identity(args: &[OsString], package: &Package) -> String {
    let mut text = format!("{}\n{}\n", package.name, package.version);
    let mut previous = "";
    for arg in args.iter().filter_map(|arg| arg.to_str()) {
        let telling = matches!(previous, "--crate-name" | "--crate-type" | "--cfg" | "--target")
            || arg.starts_with("opt-level=")
            || arg == "--test";
        if telling {
            text.push_str(previous);
            text.push(' ');
            text.push_str(arg);
            text.push('\n');
        }
        previous = arg;
    }
    sha256(text.as_bytes()).chars().take(IDENTITY_DIGITS).collect()
}

/// `<cargo home>/registry/src/<index>` of a crate that came from a registry.
fn registry_folder(manifest_dir: &Path) -> Option<&str> {
    let folder = manifest_dir.parent()?;
    let source = folder.parent()?;
    (source.ends_with("registry/src")).then(|| folder.to_str()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    fn package(version: &str) -> Package {
        Package { name: "sluice-sdk".into(), version: version.into() }
    }

    #[test]
    fn identity_ignores_places_and_sees_what_a_crate_is() {
        let one = "--crate-name sdk /a/lib.rs --crate-type lib --cfg x --out-dir /a/target -C metadata=1111 -C extra-filename=-1111";
        let two = "--crate-name sdk /b/lib.rs --crate-type lib --cfg x --out-dir /b/target -C metadata=2222 -C extra-filename=-2222";
        assert_eq!(identity(&args(one), &package("1.0.0")), identity(&args(two), &package("1.0.0")));
        assert_ne!(identity(&args(one), &package("1.0.0")), identity(&args(one), &package("1.0.1")));
        assert_ne!(
            identity(&args(one), &package("1.0.0")),
            identity(&args(&one.replace("--cfg x", "--cfg y")), &package("1.0.0"))
        );
    }

    #[test]
    fn only_the_metadata_is_replaced() {
        let given = args("--crate-name sdk -C metadata=1111 -C extra-filename=-1111");
        let expected = format!("metadata={}", identity(&given, &package("1.0.0")));
        let rewritten = rewrite(given.clone(), &package("1.0.0"));
        for (old, new) in given.iter().zip(&rewritten) {
            assert_eq!(new.to_str(), if old == "metadata=1111" { Some(expected.as_str()) } else { old.to_str() });
        }
        assert_eq!(rewrite(args("-vV"), &package("")), args("-vV"));
    }

    #[test]
    fn folder_of_a_registry_is_known_whatever_its_name() {
        let folder = Path::new("/h/.cargo/registry/src/index.example-0123");
        assert_eq!(registry_folder(&folder.join("memchr-2.7.4")), folder.to_str());
        assert_eq!(registry_folder(Path::new("/h/sluice/sdk/rust")), None);
    }
}
