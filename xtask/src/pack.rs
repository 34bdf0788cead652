//! Has `sluice plugin pack` embed the manifest: the host runs the component's `describe` export in a sandbox without grants
//! and writes the JSON into the custom section `sluice:manifest`. Nothing here runs guest code.
//!
//! The contract with the command: `sluice plugin pack FILE.wasm --out PACKED.wasm` ends with 0 and writes the packed component.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::component::{self, MANIFEST_SECTION};
use crate::guests::{Built, Guest};
use crate::process;
use crate::progress::say;
use crate::toolchain::Toolchain;

/// Names a built `sluice`, instead of building it.
const BINARY_VARIABLE: &str = "SLUICE_BIN";

/// The export that packing runs; its name is in the component as text.
const DESCRIBE_EXPORT: &[u8] = b"sluice:task/describe@";

/// A component with its manifest inside.
#[derive(Debug)]
pub struct Packed {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    pub manifest: Value,
}

pub fn pack(toolchain: &Toolchain, guest: &Guest, built: &Built) -> Result<Packed> {
    let path = built.path.with_extension("packed.wasm");
    if path.exists() {
        // What an earlier run left must not pass for this one's.
        fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))?;
    }
    say(format!("packing `{}`", guest.name));
    let mut command = sluice(toolchain);
    command.args(["plugin", "pack"]).arg(&built.path).arg("--out").arg(&path);
    let hint = format!(
        "its messages are above; {BINARY_VARIABLE} names another `sluice`, `cargo xtask guests --no-pack` leaves packing out"
    );
    process::run(&mut command, &format!("packing `{}`", guest.name), &hint)?;
    let bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let manifest = manifest(&bytes).with_context(|| format!("`{}` came out wrong", path.display()))?;
    Ok(Packed { path, bytes, manifest })
}

/// Whether there is something to pack: a test guest may be less than a plugin.
pub fn describes_itself(component: &[u8]) -> bool {
    component.windows(DESCRIBE_EXPORT.len()).any(|window| window == DESCRIBE_EXPORT)
}

/// The manifest inside a packed component.
fn manifest(bytes: &[u8]) -> Result<Value> {
    let section = component::custom_section(bytes, MANIFEST_SECTION)?
        .ok_or_else(|| anyhow!("it has no section `{MANIFEST_SECTION}`"))?;
    serde_json::from_slice(section).with_context(|| format!("its section `{MANIFEST_SECTION}` is not JSON"))
}

fn sluice(toolchain: &Toolchain) -> Command {
    match env::var_os(BINARY_VARIABLE) {
        Some(binary) => Command::new(binary),
        None => {
            let mut cargo = Command::new(&toolchain.cargo);
            cargo.current_dir(&toolchain.root).args(["run", "--quiet", "--release", "--package", "sluice-cli", "--"]);
            cargo
        }
    }
}
