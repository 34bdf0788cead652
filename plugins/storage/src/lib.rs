//! The plugin `storage`: files of executions and of namespaces. Reads and writes in pieces; never holds a whole file.

mod cut;
mod directory;
mod items;
mod join;
mod namespace;
mod remove;
mod rows;
#[cfg(test)]
mod tests;
mod write;

use sluice_sdk::prelude::*;

plugin! {
    manifest: "manifest.json",
    tasks: [
        directory::local_files, join::concat, cut::split, join::reverse, remove::size, remove::delete,
        remove::purge_current_execution_files, items::deduplicate, items::filter,
        namespace::upload, namespace::download, namespace::delete, write::write,
    ],
    title: "Files",
    effects: Effects::None,
    capabilities: Capabilities::none().files().objects(&["file"]),
}
