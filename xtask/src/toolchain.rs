//! What is installed: the workspace, its rustc, and the standard libraries for wasm32-wasip2 that guests can be built with.
//! It looks and never changes anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use xtask::source_hash::{Tree, hash};

use crate::process;

/// The target of every guest.
pub const TARGET: &str = "wasm32-wasip2";
/// Where an overlay says what it was built from, in its `lib/rustlib/wasm32-wasip2/`.
pub const STAMP: &str = "sluice-std.txt";

/// Digits of a commit that tell it from all others, as rustc itself prints them.
const COMMIT_DIGITS: usize = 9;

/// The checkout and the compiler that serves it.
#[derive(Debug, Clone)]
pub struct Toolchain {
    pub root: PathBuf,
    /// As in `1.95.0`.
    pub version: String,
    /// The line that rustc prints, as in `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub description: String,
    pub commit: String,
    pub sysroot: PathBuf,
    pub cargo: PathBuf,
    pub cargo_home: PathBuf,
}

/// A standard library for wasm32-wasip2 and the sysroot it lives in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Std {
    /// In the toolchain itself.
    Installed { identity: String },
    /// In the project's own overlay, see `overlay.rs`.
    Overlay { sysroot: PathBuf, identity: String },
}

impl Std {
    /// Two standard libraries with the same identity produce the same components.
    pub fn identity(&self) -> &str {
        match self {
            Self::Installed { identity } | Self::Overlay { identity, .. } => identity,
        }
    }
}

impl Toolchain {
    pub fn find() -> Result<Self> {
        let root = find_root(&std::env::current_dir().context("cannot find out the current folder")?)?;
        let hint = "install Rust with rustup; rust-toolchain.toml names the version";
        let verbose =
            process::stdout(Command::new("rustc").arg("-vV").current_dir(&root), "asking rustc for its version", hint)?;
        let sysroot = process::stdout(
            Command::new("rustc").args(["--print", "sysroot"]).current_dir(&root),
            "asking rustc for its sysroot",
            hint,
        )?;
        let field =
            |name: &str| verbose.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).map(str::to_owned);
        let version = field("release:").ok_or_else(|| anyhow!("`rustc -vV` names no release\nhint: {hint}"))?;
        Ok(Self {
            description: verbose.lines().next().unwrap_or_default().to_owned(),
            commit: field("commit-hash:").unwrap_or_else(|| version.clone()),
            version,
            sysroot: PathBuf::from(sysroot.trim()),
            cargo: std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from),
            cargo_home: cargo_home()?,
            root,
        })
    }

    /// The standard library in the toolchain itself, if it has one for the target.
    pub fn installed_std(&self) -> Result<Option<Std>> {
        let folder = library_folder(&self.sysroot);
        if !has_std(&folder)? {
            return Ok(None);
        }
        Ok(Some(Std::Installed { identity: format!("toolchain:{}", hash(&[Tree::new("lib", &folder)])?) }))
    }

    /// The project's overlay, if it is there and was built for this rustc.
    pub fn overlay_std(&self) -> Result<Option<Std>> {
        let sysroot = self.overlay_sysroot();
        let stamp = sysroot.join("lib/rustlib").join(TARGET).join(STAMP);
        if !has_std(&library_folder(&sysroot))? || !stamp.is_file() {
            return Ok(None);
        }
        let identity = fs::read_to_string(&stamp).with_context(|| format!("cannot read `{}`", stamp.display()))?;
        let of_this_toolchain = fs::read_link(sysroot.join("bin")).is_ok_and(|bin| bin == self.sysroot.join("bin"));
        if !of_this_toolchain || !identity.starts_with(&self.overlay_prefix()) {
            return Ok(None);
        }
        Ok(Some(Std::Overlay { sysroot, identity: identity.trim().to_owned() }))
    }

    /// What the identity of an overlay for this rustc begins with: libraries fit exactly the compiler that built them.
    pub fn overlay_prefix(&self) -> String {
        let commit: String = self.commit.chars().take(COMMIT_DIGITS).collect();
        format!("overlay:{}-{commit}:", self.version)
    }

    /// Where everything of the overlay lives.
    pub fn overlay_home(&self) -> PathBuf {
        self.root.join("target/wasm-sysroot")
    }

    pub fn overlay_sysroot(&self) -> PathBuf {
        self.overlay_home().join("sysroot")
    }

    /// A cargo that builds guests: in the root folder, without settings of the user's environment that would change the result.
    pub fn guest_cargo(&self) -> Command {
        let mut cargo = Command::new(&self.cargo);
        cargo.current_dir(&self.root);
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            let changes_result = ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_TARGET_", "CARGO_PKG_", "CARGO_MANIFEST_"]
                .iter()
                .any(|prefix| name_text.starts_with(prefix));
            if (changes_result && name_text != "CARGO_BUILD_JOBS")
                || name_text == "RUSTFLAGS"
                || name_text == "CARGO_INCREMENTAL"
            {
                cargo.env_remove(&name);
            }
        }
        cargo
    }
}

/// `lib/rustlib/wasm32-wasip2/lib` of a sysroot.
pub fn library_folder(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

fn has_std(folder: &Path) -> Result<bool> {
    if !folder.is_dir() {
        return Ok(false);
    }
    let listing = fs::read_dir(folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
    let std_there = listing.filter_map(Result::ok).any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    });
    Ok(std_there && folder.join("self-contained/libc.a").is_file())
}

fn find_root(from: &Path) -> Result<PathBuf> {
    match from.ancestors().find(|folder| folder.join("xtask/Cargo.toml").is_file()) {
        Some(root) => Ok(root.to_owned()),
        None => bail!("`{}` is not inside a checkout of Sluice\nhint: run `cargo xtask` in it", from.display()),
    }
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(PathBuf::from(home));
    }
    let home =
        std::env::home_dir().ok_or_else(|| anyhow!("the home folder is unknown\nhint: set HOME or CARGO_HOME"))?;
    Ok(home.join(".cargo"))
}
