//! Real git's repositories over HTTP from loopback, to try things by hand: `git-server FOLDER [--tls]` serves the bare repositories in a folder, says
//! where they are as lines for a shell, and runs until ctrl-c. Whoever reaches it may read and write.

#![expect(clippy::print_stdout, reason = "a program that prints")]

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tests::git::{Options, Server};

/// What is called.
const USAGE: &str = "git-server FOLDER [--tls]";

fn asked() -> Result<(PathBuf, bool)> {
    let (mut folder, mut tls) = (None, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--tls" => tls = true,
            name if name.starts_with('-') => bail!("`{name}` is not known; hint: {USAGE}"),
            name if folder.is_none() => folder = Some(PathBuf::from(name)),
            more => bail!("`{more}`: one folder is enough; hint: {USAGE}"),
        }
    }
    let Some(folder) = folder else { bail!("a folder of bare repositories is missing; hint: {USAGE}") };
    let folder = folder.canonicalize().with_context(|| format!("`{}` is not there", folder.display()))?;
    Ok((folder, tls))
}

/// The bare repositories in a folder, in order.
fn repositories(folder: &Path) -> Result<Vec<String>> {
    let failed = || format!("`{}` cannot be listed", folder.display());
    let mut names = Vec::new();
    for entry in folder.read_dir().with_context(failed)? {
        let entry = entry.with_context(failed)?;
        if entry.path().join("HEAD").is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

#[tokio::main]
async fn main() -> Result<()> {
    let (folder, tls) = asked()?;
    if !tests::git::available() {
        bail!("there is no git that can serve; hint: install git");
    }
    let names = repositories(&folder)?;
    if names.is_empty() {
        bail!("`{}` has no bare repository; hint: git init --bare {}/name.git", folder.display(), folder.display());
    }
    let server = Server::start(Options { tls, folder: Some(folder), ..Options::default() }).await;
    if tls {
        println!("CA_FILE={}", quoted(&server.ca_file().display().to_string()));
    }
    for name in names {
        println!("URL={}", quoted(&server.url(&name)));
    }
    tokio::signal::ctrl_c().await.context("signals cannot be waited for")?;
    server.end().await;
    Ok(())
}

/// As a shell reads it back.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
