//! Write Sluice plugins in Rust: typed properties, typed outputs, one function per task.
//!
//! ```
//! use sluice_sdk::prelude::*;
//! #[properties] struct Hello { /** Whom to greet. */ name: String }
//! #[outputs] struct Greeting { value: String }
//! /// Says hello.
//! #[task("com.example.hello.Hello")]
//! fn hello(hello: Hello, cx: &Context) -> Result<Greeting, Failure> {
//!     cx.info(format!("greeting {}", hello.name));
//!     Ok(Greeting { value: format!("Hello, {}!", hello.name) })
//! }
//! plugin! { tasks: [hello] }
//! # fn main() {
//! let host = sluice_sdk::testing::MockHost::new();
//! let outputs = host.run::<Plugin>("com.example.hello.Hello", r#"{"name": "Ada"}"#).unwrap();
//! assert_eq!(outputs, r#"{"value":"Hello, Ada!"}"#);
//! # }
//! ```
//!
//! | a task needs | take |
//! |---|---|
//! | logs, metrics, progress, facts of the run | [`Context`] |
//! | HTTP, streamed both ways | [`http::Request`] |
//! | files of the internal storage | [`files::open`], [`files::create`] |
//! | the key-value store | [`kv`] |
//! | flows, executions and logs | [`objects`] |
//! | a language model, whoever provides it | [`models::chat`] |
//! | secrets it never sees, and signatures | [`secrets`] |
//! | a failure with a code, and whether to try again | [`Failure`] |
//! | a host for `cargo test` | [`testing::MockHost`] |
//!
//! Fields of properties may be marked `#[secret]`, `#[render(never)]`, `#[render(later)]` or `#[unused]` (taken, and nothing follows from it),
//! and have a `#[default(value)]`. Properties
//! arrive rendered, and text that an expression made of a number, a boolean or a list is read as what the field is.
//!
//! What a plugin asks for stands in `plugin!`. A task that needs less says so, and gets no more: `#[task("com.example.files.Read", capabilities =
//! || Capabilities::none().files())]`.
//!
//! A polling trigger is a function too, `#[trigger("com.example.mail.Inbox")]`, with the cursor of the last poll that fired as its second
//! parameter; see [`Trigger`]. The component exports `poll` with the feature `triggers`.
//!
//! A provider of language models is one as well, `#[provider("com.example.parrot.Parrot")]`: flows name its type in the property of a task, and the host asks
//! it; see [`models::Provider`]. The component exports `chat` with the feature `providers`.
//!
//! The manifest and its JSON Schemas come from the types and their doc comments. Built for `wasm32-wasip2` this is a component;
//! built for the machine at hand, the host is a [`testing::MockHost`]. This crate never generates bindings while a plugin builds:
//! `bindings.rs` is made from `wit/` beforehand.

#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[expect(
    unsafe_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "generated: the canonical ABI is made of pointers"
)]
#[rustfmt::skip]
pub mod bindings;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[expect(clippy::allow_attributes, reason = "generated: what a plugin exports, from the same bindings")]
#[rustfmt::skip]
pub mod exports;

mod context;
pub mod duration;
mod failure;
pub mod files;
mod host;
pub mod http;
pub mod kv;
pub mod manifest;
pub mod models;
pub mod objects;
mod plugin;
mod rendered;
pub mod secrets;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod trigger;

pub use context::{Context, Level};
pub use failure::Failure;
pub use manifest::{Capabilities, Effects, Hosts, Manifest, TaskDefinition};
pub use plugin::{Plugin, Task, TaskResult, run_task, unknown_task};
pub use trigger::{Fired, PollResult, Trigger, run_trigger, unknown_trigger};

pub use rendered::from_rendered;
#[doc(hidden)]
pub use sluice_sdk_macros::include_compact;
pub use sluice_sdk_macros::{outputs, properties, provider, task, trigger};
#[doc(hidden)]
pub use {schemars, serde, serde_json};

/// What every plugin needs: `use sluice_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Capabilities, Context, Effects, Failure, Fired, Hosts, Level, outputs, plugin, properties, provider, task,
        trigger,
    };
}
