//! A sysroot of the project's own, under `target/wasm-sysroot/`: symbolic links to the toolchain's, plus a standard library for
//! wasm32-wasip2 built from Debian's sources. It never changes the user's toolchain. The same packages and recipe give the
//! same standard library on every machine (see `rustc_wrapper.rs`), so its identity is made of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use xtask::source_hash::sha256;

use crate::component;
use crate::debian::{self, Package};
use crate::flags;
use crate::process;
use crate::progress::say;
use crate::rustc_wrapper;
use crate::toolchain::{STAMP, Std, TARGET, Toolchain, library_folder};

/// Counted up when the recipe below changes what comes out.
const RECIPE: u32 = 1;
/// The parts of the C library that rustc's linker step asks for.
const SELF_CONTAINED: &[&str] = &["crt1-command.o", "crt1-reactor.o", "libc.a"];
/// The crate that is built only for the sake of what it depends on.
const EMPTY_CRATE: &str = "sluice_empty";
/// Fat link-time optimisation of a guest needs bitcode in the standard library, as the official one has it.
const STD_FLAGS: &[&str] = &["-Cembed-bitcode=yes"];

/// The overlay, if it is there and was built from the packages and by the recipe of today.
pub fn up_to_date(toolchain: &Toolchain) -> Result<Option<Std>> {
    let Ok(wanted) = debian::packages_for(&toolchain.version) else {
        return Ok(None);
    };
    let identity = identity(&toolchain.overlay_prefix(), &wanted);
    Ok(toolchain.overlay_std()?.filter(|found| found.identity() == identity))
}

/// Builds the overlay where it is missing or out of date. Needs half a gigabyte on disk while it works.
pub fn build(toolchain: &Toolchain, packages: Option<&Path>) -> Result<Std> {
    let wanted = debian::packages_for(&toolchain.version)?;
    let home = toolchain.overlay_home();
    let _lock = lock(&home)?;
    if let Some(found) = up_to_date(toolchain)? {
        say(format!("the overlay in {} is up to date", home.display()));
        return Ok(found);
    }
    if !process::exists("dpkg") {
        bail!(
            "`dpkg` is not installed, and Debian packages are unpacked with it\nhint: on another system use `rustup target add {TARGET}`, or install dpkg"
        );
    }
    let begun = Instant::now();
    let identity = identity(&toolchain.overlay_prefix(), &wanted);
    let [sources, libc] = wanted;
    let cache = home.join("packages");
    let sources = debian::fetch(sources, &cache, packages)?;
    let libc = debian::fetch(libc, &cache, packages)?;

    let unpacked = fresh_folder(&home.join("unpacked"))?;
    for file in [&sources, &libc] {
        say(format!("unpacking {}", file.file_name().unwrap_or_default().to_string_lossy()));
        process::run(
            Command::new("dpkg").arg("-x").arg(file).arg(&unpacked),
            "unpacking a package",
            "is the disk full?",
        )?;
    }
    let library = unpacked.join(format!("usr/src/rustc-{}/library", toolchain.version));
    let partial = fresh_folder(&home.join("sysroot.partial"))?;
    link_toolchain(&toolchain.sysroot, &partial)?;
    add_sources(&library, &partial)?;
    add_c_library(&unpacked.join("usr/lib").join(TARGET), &partial)?;
    build_std(toolchain, &home.join("build"), &partial, &library)?;
    fs::remove_dir_all(partial.join("lib/rustlib/src")).context("cannot remove the link to the sources")?;
    probe(toolchain, &home.join("probe"), &partial)?;

    write(&partial.join("lib/rustlib").join(TARGET).join(STAMP), &identity)?;
    let sysroot = toolchain.overlay_sysroot();
    remove_folder(&sysroot)?;
    fs::rename(&partial, &sysroot).with_context(|| format!("cannot create `{}`", sysroot.display()))?;
    for scratch in ["unpacked", "build", "probe"] {
        remove_folder(&home.join(scratch))?;
    }
    say(format!("built {} in {} s", sysroot.display(), begun.elapsed().as_secs()));
    Ok(Std::Overlay { sysroot, identity })
}

/// What an overlay is made of, in one line.
fn identity(prefix: &str, packages: &[&Package]) -> String {
    let sums: Vec<_> = packages.iter().map(|package| package.sha256).collect();
    format!(
        "{}{}",
        prefix,
        sha256(format!("recipe {RECIPE}\n{}\n{}", sums.join("\n"), STD_FLAGS.join("\n")).as_bytes())
    )
}

/// Everything of the real sysroot by link, but the folders on the way to `lib/rustlib/` and what we bring ourselves.
fn link_toolchain(real: &Path, own: &Path) -> Result<()> {
    let lib = PathBuf::from("lib");
    let rustlib = lib.join("rustlib");
    for (folder, left_out) in [(PathBuf::new(), vec!["lib"]), (lib, vec!["rustlib"]), (rustlib, vec!["src", TARGET])] {
        let target = own.join(&folder);
        create_folder(&target)?;
        let source = real.join(&folder);
        for entry in fs::read_dir(&source).with_context(|| format!("cannot list `{}`", source.display()))? {
            let entry = entry.with_context(|| format!("cannot list `{}`", source.display()))?;
            if !left_out.iter().any(|name| entry.file_name() == *name) {
                link(&entry.path(), &target.join(entry.file_name()))?;
            }
        }
    }
    Ok(())
}

fn add_sources(library: &Path, sysroot: &Path) -> Result<()> {
    if !library.join("std/Cargo.toml").is_file() {
        bail!("the package `rust-src` has no `{}`\nhint: remove target/wasm-sysroot and try again", library.display());
    }
    let folder = sysroot.join("lib/rustlib/src/rust");
    create_folder(&folder)?;
    link(library, &folder.join("library"))
}

fn add_c_library(from: &Path, sysroot: &Path) -> Result<()> {
    let to = library_folder(sysroot).join("self-contained");
    create_folder(&to)?;
    for name in SELF_CONTAINED {
        copy(&from.join(name), &to.join(name))?;
    }
    Ok(())
}

/// Has cargo build the standard library for an empty crate and keeps the libraries that came of it.
fn build_std(toolchain: &Toolchain, folder: &Path, sysroot: &Path, library: &Path) -> Result<()> {
    fresh_folder(folder)?;
    create_folder(&folder.join("src"))?;
    write(&folder.join("src/lib.rs"), "#![no_std]\n")?;
    write(
        &folder.join("Cargo.toml"),
        &format!("[package]\nname = \"{EMPTY_CRATE}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n"),
    )?;
    say("building the standard library (half a minute to a minute on two cores)");
    let mut cargo = toolchain.guest_cargo();
    cargo.args([
        "build",
        "--release",
        "--target",
        TARGET,
        "-Z",
        "build-std=std,panic_abort,proc_macro,test",
        "--manifest-path",
    ]);
    cargo.arg(folder.join("Cargo.toml")).arg("--target-dir").arg(folder.join("target"));
    cargo.env("RUSTC_BOOTSTRAP", "1").env(rustc_wrapper::SYSROOT, sysroot);
    let mut rustflags: Vec<String> = STD_FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
    rustflags
        .extend(flags::remap_standard_library(toolchain, &[library, &sysroot.join("lib/rustlib/src/rust/library")]));
    flags::set(&mut cargo, &rustflags);
    rustc_wrapper::arm(&mut cargo)?;
    process::run(
        &mut cargo,
        "building the standard library",
        "its dependencies come from crates.io: is it reachable? the messages of cargo are above",
    )?;

    let built = folder.join("target").join(TARGET).join("release/deps");
    let own = format!("lib{EMPTY_CRATE}-");
    for entry in fs::read_dir(&built).with_context(|| format!("cannot list `{}`", built.display()))? {
        let path = entry.with_context(|| format!("cannot list `{}`", built.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".rlib") && !name.starts_with(&own) {
            copy(&path, &library_folder(sysroot).join(&name))?;
        }
    }
    Ok(())
}

/// Builds the smallest program against the new sysroot: what does not link now would fail in a plugin later.
fn probe(toolchain: &Toolchain, folder: &Path, sysroot: &Path) -> Result<()> {
    fresh_folder(folder)?;
    let source = folder.join("hello.rs");
    write(&source, "fn main() {\n    println!(\"hello from {}\", std::env::consts::ARCH);\n}\n")?;
    let output = toolchain.overlay_home().join("hello.wasm");
    let mut rustc = Command::new("rustc");
    rustc
        .current_dir(&toolchain.root)
        .args(["--edition", "2024", "--target", TARGET, "-O", "--sysroot"])
        .arg(sysroot)
        .arg("-o")
        .arg(&output)
        .arg(&source);
    process::run(
        &mut rustc,
        "building a program against the overlay",
        "it needs the linker `wasm-component-ld`, which rustup's toolchains bring along; if that is there, remove target/wasm-sysroot and try again",
    )?;
    let bytes = fs::read(&output).with_context(|| format!("cannot read `{}`", output.display()))?;
    component::check_is_component(&bytes).with_context(|| format!("`{}` came out wrong", output.display()))?;
    say(format!("a program builds against it: {}", output.display()));
    Ok(())
}

/// Held while an overlay is built, so that two builds do not mix; the system lets go of it when this process ends.
fn lock(home: &Path) -> Result<File> {
    create_folder(home)?;
    let path = home.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create `{}`", path.display()))?;
    file.lock().with_context(|| format!("cannot lock `{}`", path.display()))?;
    Ok(file)
}

fn fresh_folder(path: &Path) -> Result<PathBuf> {
    remove_folder(path)?;
    create_folder(path)?;
    Ok(path.to_owned())
}

fn remove_folder(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        fs::remove_dir_all(path).with_context(|| format!("cannot remove `{}`", path.display()))?;
    }
    Ok(())
}

fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create `{}`", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy `{}` to `{}`", from.display(), to.display()))?;
    Ok(())
}

#[cfg(unix)]
fn link(real: &Path, own: &Path) -> Result<()> {
    std::os::unix::fs::symlink(real, own)
        .with_context(|| format!("cannot link `{}` to `{}`", own.display(), real.display()))
}

#[cfg(not(unix))]
fn link(_real: &Path, _own: &Path) -> Result<()> {
    bail!("an overlay needs symbolic links\nhint: use `rustup target add {TARGET}`")
}

#[cfg(all(test, unix))]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn overlay_links_all_but_its_own_target_and_sources() {
        let (real, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in ["bin", "lib/rustlib/host/lib", "lib/rustlib/src", "lib/rustlib/wasm32-wasip2/lib"] {
            fs::create_dir_all(real.path().join(folder)).unwrap();
        }
        fs::write(real.path().join("lib/librustc_driver.so"), "x").unwrap();
        link_toolchain(real.path(), own.path()).unwrap();
        for linked in ["bin", "lib/librustc_driver.so", "lib/rustlib/host"] {
            assert_eq!(fs::read_link(own.path().join(linked)).unwrap(), real.path().join(linked));
        }
        for left_out in ["lib/rustlib/src", "lib/rustlib/wasm32-wasip2"] {
            assert!(own.path().join(left_out).symlink_metadata().is_err(), "{left_out}");
        }
        fs::create_dir_all(library_folder(own.path())).unwrap();
        assert_eq!(fs::read_dir(library_folder(real.path())).unwrap().count(), 0);
    }

    #[test]
    fn identity_names_the_compiler_and_changes_with_the_packages() {
        let [sources, libc] = debian::packages_for("1.95.0").unwrap();
        let both = identity("overlay:1.95.0-abc:", &[sources, libc]);
        assert!(both.starts_with("overlay:1.95.0-abc:"));
        assert_ne!(both, identity("overlay:1.95.0-abc:", &[sources]));
    }
}
