//! Real git for tests: repositories made by it, read back by it and served by it over HTTP from loopback. What the Git plugin does is held against
//! it, so nothing here may know a format of git better than git does. Whoever lacks git skips: [`available`].

mod access;
mod answer;
mod cgi;
mod client;
mod command;
mod commit;
mod deliver;
mod faults;
mod group;
mod history;
mod hostile;
mod large;
mod packets;
mod reading;
mod repository;
mod requests;
mod server;
mod stream;
mod trees;

pub use access::Account;
pub use client::{Client, Said};
pub use command::available;
pub use commit::Commit;
pub use faults::{Action, Endless, Fault, When};
pub use history::history;
pub use hostile::{Hostile, Legible, hostile};
pub use large::history_large;
pub use reading::{Entry, Logged, files};
pub use repository::Repository;
pub use requests::{Seen, Service, Step};
pub use server::{Options, Server};
