//! A blocking HTTP client over the host's outbound requests. Bodies are streamed both ways and never held whole. The host checks each
//! request against the grants; this module follows redirects, so that each hop is checked, and never carries credentials to another
//! origin.

mod authorization;
mod body;
mod multipart;
mod redirect;
mod request;
mod url;

pub use authorization::{basic, bearer};
pub use body::Body;
pub(crate) use body::Sink;
pub use multipart::{Multipart, Part};
pub(crate) use request::{Answer, Exchange};
pub use request::{Egress, EgressOptions, Headers, Proxy, Redirects, Request, Response, Timeouts};
pub use url::{Url, encode_form};

/// Codes of failures of this module.
pub mod code {
    /// The URL cannot be requested.
    pub const URL: &str = "HTTP_URL";
    /// A header or a method cannot be sent.
    pub const HEADER: &str = "HTTP_HEADER";
    /// The host's name could not be resolved.
    pub const DNS: &str = "HTTP_DNS";
    /// No connection, or it broke.
    pub const CONNECT: &str = "HTTP_CONNECT";
    /// The two sides did not agree on TLS.
    pub const TLS: &str = "HTTP_TLS";
    /// Something took longer than allowed.
    pub const TIMEOUT: &str = "HTTP_TIMEOUT";
    /// The other side did not speak HTTP.
    pub const PROTOCOL: &str = "HTTP_PROTOCOL";
    /// Redirects that go round in circles, or cannot be followed.
    pub const REDIRECT: &str = "HTTP_REDIRECT";
    /// A body or a header over a limit.
    pub const LIMIT: &str = "HTTP_LIMIT";
    /// The grants do not allow the request.
    pub const NOT_GRANTED: &str = "NOT_GRANTED";
}
