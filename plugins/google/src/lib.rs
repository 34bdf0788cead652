//! Google's APIs for plugins: access tokens of service accounts, and what a refusal says. The key of a service account never comes in here:
//! the host signs with it.

mod jwt;
mod private;
mod refusal;
mod token;

pub use private::private_url;
pub use refusal::Refusal;
pub use token::{AccessToken, TokenRequest};

/// Code of a failure to get a token.
pub const AUTH: &str = "GOOGLE_AUTH";
