//! A repository on a server: what it has, what is fetched from it, what is pushed to it. Speaks smart HTTP, version 2 where the server does.

mod fetch;
mod http;
mod push;

use gix_hash::ObjectId;
use gix_protocol::Handshake;
use gix_protocol::handshake::Ref;
use gix_transport::client::blocking_io::http::{Transport, connect_http};
use gix_transport::{Protocol, Service};
use gix_utils::progress::Discard;
use sluice_sdk::Failure;

use crate::access::Access;
use crate::failures::{self, Trouble, chain, fault};
use http::Client;

pub use fetch::Wanted;
pub use push::{Push, push};

/// Refs that are looked at. A server with more offers those of others' requests, or means harm.
const REFS_MAX: usize = 100_000;

/// A server that has said what it can do.
pub struct Remote {
    transport: Transport<Client>,
    handshake: Handshake,
    trouble: Trouble,
    url: String,
}

/// What a server has.
#[derive(Clone, Debug, Default)]
pub struct Refs {
    /// Branches by their short names, in order.
    pub branches: Vec<(String, ObjectId)>,
    /// Tags by their short names: what they name, and the commit behind it if that is another object.
    pub tags: Vec<Tag>,
    /// The branch that the server's `HEAD` names, be it unborn.
    pub default_branch: Option<String>,
    /// The commit that it names if it is no branch.
    pub detached: Option<ObjectId>,
}

/// A tag on a server.
#[derive(Clone, Debug)]
pub struct Tag {
    pub name: String,
    pub object: ObjectId,
    pub peeled: Option<ObjectId>,
}

impl Refs {
    /// A branch by its name, with or without `refs/heads/`.
    pub fn branch(&self, name: &str) -> Option<ObjectId> {
        let name = name.strip_prefix("refs/heads/").unwrap_or(name);
        self.branches.iter().find(|(branch, _)| branch == name).map(|(_, id)| *id)
    }

    /// A tag by its name.
    pub fn tag(&self, name: &str) -> Option<&Tag> {
        let name = name.strip_prefix("refs/tags/").unwrap_or(name);
        self.tags.iter().find(|tag| tag.name == name)
    }

    /// Whether nothing was ever committed.
    pub fn is_empty(&self) -> bool {
        self.branches.is_empty() && self.tags.is_empty() && self.detached.is_none()
    }
}

/// Opens a conversation.
fn greet(access: &Access, service: Service, trouble: &Trouble) -> Result<(Transport<Client>, Handshake), Failure> {
    let url = access.url.to_string();
    let parsed = gix_url::parse(url.as_str())
        .map_err(|error| fault(failures::URL, format!("`{url}` cannot be asked: {}", chain(&error))))?;
    let client = Client::new(access.clone(), trouble.clone());
    let mut transport = connect_http(client, parsed, Protocol::V2, false);
    // Who asks is in the request from the start, so the server's question for it is a refusal.
    let nobody = |_| Ok(None);
    let handshake = gix_protocol::handshake(&mut transport, service, nobody, Vec::new(), &mut Discard)
        .map_err(|error| trouble.or(|| not_git(&url, &error)))?;
    let format = handshake.capabilities.capability("object-format");
    if let Some(other) =
        format.and_then(|format| format.value().map(ToString::to_string)).filter(|value| value != "sha1")
    {
        let message = format!("`{url}` names its objects with {other}; hint: only repositories with sha1 can be used");
        return Err(fault(failures::OBJECT_FORMAT, message));
    }
    Ok((transport, handshake))
}

fn not_git(url: &str, error: &gix_error::Error) -> Failure {
    let message = format!(
        "`{url}` does not answer as a Git server: {}; hint: look at `url`, it is the one that `git clone` takes",
        chain(error)
    );
    fault(failures::PROTOCOL, message)
}

impl Remote {
    /// Asks a server what it can do.
    pub fn connect(access: &Access) -> Result<Self, Failure> {
        let trouble = Trouble::default();
        let (transport, handshake) = greet(access, Service::UploadPack, &trouble)?;
        Ok(Self { transport, handshake, trouble, url: access.url.to_string() })
    }

    /// What it has.
    pub fn refs(&mut self) -> Result<Refs, Failure> {
        let found = match self.handshake.refs.take() {
            Some(refs) => refs,
            None => {
                let mut prefixes = gix_protocol::ls_refs::RefPrefixes::new();
                prefixes.extend(["HEAD", "refs/heads/", "refs/tags/"].map(Into::into));
                let command = gix_protocol::LsRefsCommand::new(Some(prefixes), &self.handshake.capabilities, agent());
                command
                    .invoke_blocking(&mut self.transport, &mut Discard, false)
                    .map_err(|error| self.trouble.or(|| not_git(&self.url, &error)))?
            }
        };
        if found.len() > REFS_MAX {
            let message = format!("`{}` has {} refs, at most {REFS_MAX} are looked at", self.url, found.len());
            return Err(fault(failures::TOO_LARGE, message));
        }
        Ok(sorted(found, self.handshake.server_protocol_version))
    }
}

/// How this client names itself.
fn agent() -> (&'static str, Option<String>) {
    ("agent", Some(concat!("sluice-git/", env!("CARGO_PKG_VERSION")).to_owned()))
}

fn sorted(found: Vec<Ref>, version: Protocol) -> Refs {
    let mut refs = Refs::default();
    let mut head = None;
    for one in found {
        let (name, object, peeled) = match one {
            Ref::Symbolic { full_ref_name, target, object, .. } if full_ref_name == "HEAD" => {
                refs.default_branch = target.to_string().strip_prefix("refs/heads/").map(str::to_owned);
                head = Some(object);
                continue;
            }
            Ref::Unborn { target, .. } => {
                refs.default_branch = target.to_string().strip_prefix("refs/heads/").map(str::to_owned);
                continue;
            }
            Ref::Symbolic { full_ref_name, object, tag, .. } => {
                (full_ref_name, tag.unwrap_or(object), tag.map(|_| object))
            }
            Ref::Direct { full_ref_name, object } => (full_ref_name, object, None),
            Ref::Peeled { full_ref_name, tag, object } => (full_ref_name, tag, Some(object)),
        };
        let name = name.to_string();
        // A name from a server becomes a path here.
        if name != "HEAD" && gix_validate::reference::name(name.as_str().into()).is_err() {
            continue;
        }
        if name == "HEAD" {
            head = Some(object);
        } else if let Some(branch) = name.strip_prefix("refs/heads/") {
            refs.branches.push((branch.to_owned(), peeled.unwrap_or(object)));
        } else if let Some(tag) = name.strip_prefix("refs/tags/") {
            refs.tags.push(Tag { name: tag.to_owned(), object, peeled });
        }
    }
    if refs.default_branch.is_none() {
        // Servers of old do not say what HEAD names.
        let of_old = head.filter(|_| version != Protocol::V2);
        match of_old.and_then(|head| refs.branches.iter().find(|(_, id)| *id == head)) {
            Some((branch, _)) => refs.default_branch = Some(branch.clone()),
            None => refs.detached = head,
        }
    }
    refs
}
