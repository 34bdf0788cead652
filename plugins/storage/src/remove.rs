//! `storage.Size`, `storage.Delete` and `storage.PurgeCurrentExecutionFiles`.

use sluice_sdk::files;
use sluice_sdk::prelude::*;

#[properties]
pub struct Size {
    /// The file.
    uri: String,
}

#[outputs]
pub struct Measured {
    /// Its size in bytes.
    size: u64,
}

/// Get the size of a file.
///
/// # Before it is loaded
/// ```yaml
/// id: size
/// type: io.kestra.plugin.core.storage.Size
/// uri: "{{ outputs.download.uri }}"
/// ```
#[task("io.kestra.plugin.core.storage.Size", aliases = ["io.kestra.core.tasks.storages.Size"])]
pub fn size(properties: Size) -> Result<Measured, Failure> {
    Ok(Measured { size: files::size(&properties.uri)? })
}

#[properties]
pub struct Delete {
    /// The file: one of this execution, or of a namespace.
    uri: String,
    /// Whether a file that is not there fails the task.
    #[default(false)]
    error_on_missing: bool,
}

#[outputs]
pub struct Deleted {
    /// The file.
    uri: String,
    /// Whether there was something to delete.
    deleted: bool,
}

/// Delete a file.
///
/// Failure codes: `FILE_NOT_FOUND`.
///
/// # What is not needed any more
/// ```yaml
/// id: forget
/// type: io.kestra.plugin.core.storage.Delete
/// uri: "{{ outputs.download.uri }}"
/// ```
#[task("io.kestra.plugin.core.storage.Delete", aliases = ["io.kestra.core.tasks.storages.Delete"])]
pub fn delete(properties: Delete) -> Result<Deleted, Failure> {
    let deleted = files::delete(&properties.uri)?;
    if !deleted && properties.error_on_missing {
        let message = format!("there is no file `{}`, and `errorOnMissing` is true", properties.uri);
        return Err(Failure::new("FILE_NOT_FOUND", message).retryable(false));
    }
    Ok(Deleted { uri: properties.uri, deleted })
}

#[properties]
pub struct PurgeCurrentExecutionFiles {}

#[outputs]
pub struct Purged {
    /// The files that were deleted.
    uris: Vec<String>,
}

/// Delete all files of this execution: those that were given to it and those that its tasks have made.
///
/// # At the end
/// ```yaml
/// id: clean
/// type: io.kestra.plugin.core.storage.PurgeCurrentExecutionFiles
/// ```
#[task(
    "io.kestra.plugin.core.storage.PurgeCurrentExecutionFiles",
    aliases = [
        "io.kestra.core.tasks.storages.PurgeExecution",
        "io.kestra.plugin.core.storage.PurgeExecution",
    ]
)]
pub fn purge_current_execution_files(_: PurgeCurrentExecutionFiles) -> Result<Purged, Failure> {
    let uris = files::find("")?;
    for uri in &uris {
        files::delete(uri)?;
    }
    Ok(Purged { uris })
}
