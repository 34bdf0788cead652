//! What plugins share that chat with models: how a provider is reached and asked, and the messages, settings and outputs of their tasks.
//!
//! What is said to a provider and what it says is `llm`'s; who holds the keys is the host.

mod ask;
mod aws;
mod configuration;
pub mod connection;
mod content;
mod credential;
mod failure;
pub mod guardrails;
mod messages;
mod output;
mod provide;
mod structured;
mod task;
mod usage;

pub use ask::{Asked, ask, send};
pub use configuration::{Configuration, Format, FormatType};
pub use connection::Connection;
pub use content::{ContentBlock, image};
pub use credential::Credential;
pub use failure::{failure, refused};
pub use messages::{ChatMessage, Speaker, conversation, conversation_of_any_order};
pub use output::{AiOutput, FinishReason, TokenUsage, thoughts};
pub use provide::provide;
pub use structured::{Json, Model, ask_for_json};
pub use task::{Completion, Progress, asked};
pub use usage::{Budget, Spent};
