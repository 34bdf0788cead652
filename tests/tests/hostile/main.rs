//! Plugins that want out. Tables of attacks, each with the error it must end in and a twin that may do the same; a real server that goes on
//! with its work meanwhile.
#![expect(clippy::print_stderr, reason = "the figures")]

mod attack;
mod bombs;
mod components;
mod files;
mod holes;
mod http;
mod inside;
mod secrets;
mod ssrf;
mod suite;
mod world;
