//! What language models are asked and what they answer: one message model, and the words of each provider for it.
//!
//! Pure: nothing here opens a connection, reads a clock or draws a random number, and no key passes through. A request says which kind of
//! credential belongs to it (`http::Auth`); whoever sends it puts one there.

mod build;
pub mod dialect;
mod error;
mod framing;
pub mod http;
pub mod images;
pub mod message;
mod redact;
mod retry;
pub mod schema;
mod stream;
pub mod structured;

pub use dialect::{Codec, Dialect, codec};
pub use error::{Kind, ProviderError};
pub use stream::StreamDecoder;
