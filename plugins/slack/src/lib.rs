//! The plugin `slack`: messages through incoming webhooks. The URL of a webhook is a secret; what is sent to it is the flow's.

mod execution;
mod incoming;
mod send;

use sluice_sdk::prelude::*;

plugin! {
    manifest: "manifest.json",
    tasks: [incoming::incoming, execution::execution],
    title: "Slack",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none().http(Hosts::NamedByFlow, &["POST"]).objects(&["execution"]),
}
