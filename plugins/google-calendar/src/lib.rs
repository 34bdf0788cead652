//! The plugin `google-calendar`: calendars of Google, in the name of a service account whose key stays with the host.

mod event;
mod insert_event;

use sluice_sdk::prelude::*;

plugin! {
    manifest: "manifest.json",
    tasks: [insert_event::insert_event],
    title: "Google Workspace",
    effects: Effects::Idempotent,
    capabilities: Capabilities::none()
        .http(Hosts::Only(&["oauth2.googleapis.com", "www.googleapis.com"]), &["GET", "POST"])
        .http(Hosts::NamedByFlow, &["GET", "POST"]),
}
