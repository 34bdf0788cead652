//! The plugin `git`: clones, pushes, and keeps a repository and the engine in step. Git's objects and protocol are gitoxide's; what it has no words for
//! (pushing, a checkout without memory maps, locks and modes) is written here.
//!
//! Never runs a program, a hook or a filter; never writes a path that was not checked.

mod access;
mod clone;
mod failures;
mod objects;
mod remote;
mod sync;

use sluice_sdk::prelude::*;

/// Of tasks that have nothing to do with what the engine keeps.
fn without_objects() -> Capabilities {
    Capabilities::none().http(Hosts::NamedByFlow, &["GET", "POST"]).secrets().files()
}

plugin! {
    manifest: "manifest.json",
    tasks: [
        clone::clone, sync::push::push, sync::flows::push_flows, sync::files::push_namespace_files, sync::files::push_execution_files,
        sync::flows::sync_flows, sync::flows::sync_flow, sync::files::sync_namespace_files, sync::push::sync,
        sync::namespaces::namespace_sync, sync::namespaces::tenant_sync,
    ],
    title: "Git",
    effects: Effects::Idempotent,
    capabilities: without_objects().objects(&[
        "app", "app:delete", "app:save", "blueprint", "blueprint:delete", "blueprint:save", "dashboard", "dashboard:delete", "dashboard:save",
        "file", "flow", "flow:delete", "flow:save", "namespace", "test", "test:delete", "test:save",
    ]),
}
