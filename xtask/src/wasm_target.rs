//! `cargo xtask wasm-target`: makes wasm32-wasip2 available, in the cheapest way that works here: it is there; rustup adds it;
//! an overlay of the project's own. It never changes a toolchain itself: only rustup may.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::overlay;
use crate::process::{self, Bounded};
use crate::progress::say;
use crate::toolchain::{Std, TARGET, Toolchain};

/// Longest wait for rustup: the target is 20 MB, and a download that is blocked hangs rather than fails.
const RUSTUP_LIMIT: Duration = Duration::from_secs(60);

/// What the command line asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Build the overlay even where the toolchain has the target.
    pub overlay: bool,
    /// A folder with the Debian packages, instead of a mirror.
    pub packages: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<()> {
    let toolchain = Toolchain::find()?;
    let standard = if options.overlay {
        overlay::build(&toolchain, options.packages.as_deref())?
    } else {
        obtain(&toolchain, options)?
    };
    match standard {
        Std::Installed { .. } => say(format!("{TARGET} is in the toolchain: {}", toolchain.sysroot.display())),
        Std::Overlay { sysroot, .. } => {
            say(format!(
                "{TARGET} is in the project's overlay; `cargo xtask guests` uses it by itself. For cargo by hand:"
            ));
            say(format!("  export CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS=\"--sysroot {}\"", sysroot.display()));
        }
    }
    Ok(())
}

fn obtain(toolchain: &Toolchain, options: &Options) -> Result<Std> {
    if let Some(found) = toolchain.installed_std()? {
        return Ok(found);
    }
    if let Some(found) = overlay::up_to_date(toolchain)? {
        return Ok(found);
    }
    say(format!("rustc {} has no {TARGET}", toolchain.version));
    if ask_rustup(toolchain)?
        && let Some(found) = toolchain.installed_std()?
    {
        return Ok(found);
    }
    overlay::build(toolchain, options.packages.as_deref())
}

/// Whether rustup says that it added the target.
fn ask_rustup(toolchain: &Toolchain) -> Result<bool> {
    if !process::exists("rustup") {
        say("there is no rustup; building an overlay from Debian packages");
        return Ok(false);
    }
    say(format!("rustup target add {TARGET} (at most {} s)", RUSTUP_LIMIT.as_secs()));
    let mut rustup = Command::new("rustup");
    rustup.current_dir(&toolchain.root).args(["target", "add", TARGET]);
    let end = process::run_bounded(&mut rustup, RUSTUP_LIMIT)?;
    match end {
        Bounded::Succeeded => return Ok(true),
        Bounded::Failed(status) => {
            say(format!("rustup could not add it ({status}); building an overlay from Debian packages"))
        }
        Bounded::TimedOut => say("rustup did not finish in time; building an overlay from Debian packages"),
    }
    Ok(false)
}

/// The standard library that guests are built with: the overlay if asked for, else the toolchain's, else the overlay.
pub fn choose(toolchain: &Toolchain, overlay: bool) -> Result<Std> {
    let installed = if overlay { None } else { toolchain.installed_std()? };
    match installed {
        Some(found) => Ok(found),
        None => match toolchain.overlay_std()? {
            Some(found) => Ok(found),
            None => bail!(
                "there is no standard library for {TARGET}\nhint: run `cargo xtask wasm-target{}` first",
                if overlay { " --overlay" } else { "" }
            ),
        },
    }
}
