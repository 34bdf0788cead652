//! What plugins that notify people share: the message a flow writes, the request that carries it to a webhook, the facts of an execution.
//! It knows no service: what a service calls things, and what its answers mean, is its plugin's.

mod answer;
mod facts;
mod options;
mod payload;
mod webhook;

pub use answer::Answer;
pub use facts::{Asked, Facts, Mood};
pub use options::RequestOptions;
pub use payload::{custom_fields, merge, payload, put, written};
pub use webhook::post;
