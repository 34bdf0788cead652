//! The plugin `ai`: tasks on any provider of models. It never talks to one itself: the host finds the component of the provider that a task
//! names, and has it answer.

mod chat_completion;
mod classification;
mod image_generation;
mod json_extraction;
mod provider;

use sluice_sdk::prelude::*;

plugin! {
    manifest: "manifest.json",
    tasks: [
        chat_completion::chat_completion,
        classification::classification,
        json_extraction::json_structured_extraction,
        image_generation::image_generation,
    ],
    title: "AI",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none().models(&["*"]).files(),
}
