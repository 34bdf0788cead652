//! `sluice store`: looks at a store that no server has open, and mends it where that can be done.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use serde::Serialize;
use store::embedded::{self, AcceptLoss, Index};

use crate::args::{Global, StoreCommand, StoreFolder};
use crate::setup;

/// Exit code for a store that is not sound.
const UNSOUND: u8 = 1;

pub fn run(global: &Global, command: &StoreCommand) -> Result<ExitCode> {
    match command {
        StoreCommand::Verify(folder) => {
            let path = path_of(global, folder);
            let found = embedded::verify(&path).map_err(|error| refused(&path, &error))?;
            show(folder, &found)?;
            Ok(if found.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(UNSOUND) })
        }
        StoreCommand::Stats(folder) => {
            let path = path_of(global, folder);
            show(folder, &embedded::stats(&path).map_err(|error| refused(&path, &error))?)
        }
        StoreCommand::Rebuild(folder) => {
            let path = path_of(global, folder);
            show(folder, &embedded::rebuild(&path, Index::default()).map_err(|error| refused(&path, &error))?)
        }
        StoreCommand::Repair { folder, accept_loss } => {
            let path = path_of(global, folder);
            let accept = if *accept_loss { AcceptLoss::Yes } else { AcceptLoss::No };
            show(folder, &embedded::repair(&path, accept).map_err(|error| refused(&path, &error))?)
        }
    }
}

fn path_of(global: &Global, folder: &StoreFolder) -> PathBuf {
    folder.store.clone().unwrap_or_else(|| setup::data_dir(global).join("store"))
}

fn refused(path: &Path, error: &store::Error) -> anyhow::Error {
    anyhow!("store `{}`: {error}", path.display())
}

fn show(folder: &StoreFolder, found: &(impl Serialize + std::fmt::Display)) -> Result<ExitCode> {
    match folder.json {
        true => crate::print(&serde_json::to_string_pretty(found)?),
        false => crate::print(found.to_string().trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}
