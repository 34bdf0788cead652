//! `storage.Write`: text that a flow made becomes a file.

use std::io::Write as _;

use sluice_sdk::files;
use sluice_sdk::prelude::*;

use crate::rows::name;

#[properties]
pub struct Write {
    /// What the file holds, as UTF-8. A secret in it stays a placeholder: its value is not written.
    content: String,
    /// The end of the file's name, with or without its point; `.tmp` if not given.
    extension: Option<String>,
}

#[outputs]
pub struct Written {
    /// The new file.
    uri: String,
}

/// Write a text into a file.
///
/// # A list for the tasks that follow
/// ```yaml
/// id: names
/// type: io.kestra.plugin.core.storage.Write
/// content: "{{ inputs.names | join('\n') }}"
/// extension: .txt
/// ```
#[task("io.kestra.plugin.core.storage.Write")]
pub fn write(properties: Write) -> Result<Written, Failure> {
    let extension = properties.extension.as_deref().unwrap_or(".tmp");
    let mut out = files::create(&name("write", extension))?;
    out.write_all(properties.content.as_bytes())?;
    Ok(Written { uri: out.finish()? })
}
