//! The plugin `http`: requests over HTTP. Bodies of files are streamed; only `Request` holds a response in memory, up to a limit.

mod download;
mod form;
mod options;
mod request;
mod response;
mod retry_after;
mod target;
mod trigger;

use sluice_sdk::prelude::*;

plugin! {
    manifest: "manifest.json",
    tasks: [request::request, download::download],
    triggers: [trigger::trigger],
    title: "HTTP",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none().http(Hosts::NamedByFlow, &[]).files(),
}
