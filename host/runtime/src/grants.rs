//! What a run may do, and the one granter: every host function asks [`Grants::allow`] before it does anything.
//!
//! Deny by default. A grant is what the manifest asks and the policy allows; whoever builds [`Grants`] has already intersected the two.

use crate::egress::address::{self, Class};
use crate::services::HostError;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// How far a thing may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Not at all.
    #[default]
    None,
    /// Looked at.
    Read,
    /// Changed, too.
    Write,
}

/// Which hosts a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostPattern {
    /// Every host.
    Any,
    /// One name, without regard to case or a final dot.
    Name(String),
    /// Every name below this one (`example.com` for `*.example.com`), not the name itself.
    Below(String),
    /// One address, in whatever spelling it is asked for.
    Address(IpAddr),
    /// Addresses: the first `prefix` bits count.
    Range {
        /// The network.
        network: IpAddr,
        /// Bits that count.
        prefix: u8,
    },
}

/// Which ports a rule is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ports {
    /// 80 for `http`, 443 for `https`.
    #[default]
    Default,
    /// Every port.
    Any,
    /// These.
    Only(Vec<u16>),
}

/// Whether loopback, private, link-local and like ranges may be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpecialRanges {
    /// Public addresses only.
    #[default]
    Refused,
    /// Special ranges too; metadata services only where the rule names their address.
    Allowed,
}

/// One thing the network policy allows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NetworkRule {
    /// Which hosts.
    pub host: HostPattern,
    /// Which ports.
    #[serde(default)]
    pub ports: Ports,
    /// `http`, `https`; `None`: both.
    #[serde(default)]
    pub scheme: Option<String>,
    /// Upper-case methods; `None`: all.
    #[serde(default)]
    pub methods: Option<Vec<String>>,
    /// Which addresses.
    #[serde(default)]
    pub special: SpecialRanges,
}

/// What a run may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Grants {
    /// Outgoing HTTP.
    pub network: Vec<NetworkRule>,
    /// TLS without checking certificates.
    pub insecure_tls: bool,
    /// Proxies, by `host:port` or `*`.
    pub proxies: Vec<String>,
    /// Internal storage.
    pub files: Access,
    /// May change the files of namespaces; the server checks which.
    pub namespace_files: bool,
    /// Key-value store.
    pub kv: Access,
    /// The working directory.
    pub working_dir: Access,
    /// `template.render`.
    pub template: bool,
    /// Secrets by name, or `*`, to use without seeing them.
    pub secrets: Vec<String>,
    /// Secrets by name, or `*`, in the clear.
    pub reveal: Vec<String>,
    /// Programs by name, or `*`.
    pub processes: Vec<String>,
    /// Documents of the engine by kind, or `*`, to read.
    pub objects_read: Vec<String>,
    /// May apply plans; the server checks each document.
    pub objects_apply: bool,
    /// Model providers by type, or `*`.
    pub models: Vec<String>,
}

/// What a host call needs. The granter answers each with yes or with words.
#[derive(Clone, Copy, Debug)]
pub enum Need<'a> {
    /// Nobody's leave.
    Nothing,
    /// An outgoing request. The address is checked apart, by [`Grants::addresses`].
    Request {
        /// `http` or `https`.
        scheme: &'a str,
        /// As parsed.
        host: &'a url::Host<String>,
        /// Explicit or the scheme's own.
        port: u16,
        /// Upper-case.
        method: &'a str,
    },
    /// TLS without checking.
    InsecureTls,
    /// A proxy, `host:port`.
    Proxy(&'a str),
    /// Internal storage.
    Files(Access),
    /// A change of a namespace's files.
    NamespaceFiles,
    /// Key-value store.
    Kv(Access),
    /// Rendering.
    Template,
    /// A secret without its value.
    Secret(&'a str),
    /// A secret's value.
    Reveal(&'a str),
    /// A program.
    Process(&'a str),
    /// Documents of a kind, to read.
    ObjectsRead(&'a str),
    /// A plan over documents.
    ObjectsApply,
    /// A model provider.
    Model(&'a str),
}

impl Grants {
    /// Nothing at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// The one granter.
    pub fn allow(&self, need: &Need<'_>) -> Result<(), HostError> {
        let granted = match need {
            Need::Nothing => true,
            Need::Request { scheme, host, port, method } => {
                return self.rule_for(scheme, host, *port, method).map(|_| ());
            }
            Need::InsecureTls => self.insecure_tls,
            Need::Proxy(proxy) => names(&self.proxies, proxy),
            Need::Files(access) => self.files >= *access,
            Need::NamespaceFiles => self.namespace_files,
            Need::Kv(access) => self.kv >= *access,
            Need::Template => self.template,
            Need::Secret(name) => secrets(&self.secrets, name),
            Need::Reveal(name) => secrets(&self.reveal, name),
            Need::Process(program) => names(&self.processes, program),
            Need::ObjectsRead(kind) => names(&self.objects_read, kind),
            Need::ObjectsApply => self.objects_apply,
            Need::Model(provider) => names(&self.models, provider),
        };
        if granted { Ok(()) } else { Err(HostError::not_granted(need.refusal())) }
    }

    /// The first rule that allows the request, or the refusal.
    fn rule_for<'a>(
        &'a self,
        scheme: &'a str,
        host: &'a url::Host<String>,
        port: u16,
        method: &'a str,
    ) -> Result<&'a NetworkRule, HostError> {
        self.rules_for(scheme, host, port, method).next().ok_or_else(|| {
            HostError::not_granted(format!(
                "a {method} request to `{scheme}://{host}:{port}` is not granted to this run; hint: grant the network to \
                 `{host}:{port}` (`--allow-net={host}:{port}`)"
            ))
        })
    }

    fn rules_for<'a>(
        &'a self,
        scheme: &'a str,
        host: &'a url::Host<String>,
        port: u16,
        method: &'a str,
    ) -> impl Iterator<Item = &'a NetworkRule> {
        self.network.iter().filter(move |rule| rule.covers(scheme, host, port, method))
    }

    /// Which addresses a request that [`Need::Request`] allows may be sent to: the widest of its rules.
    pub(crate) fn addresses(&self, scheme: &str, host: &url::Host<String>, port: u16, method: &str) -> AddressPolicy {
        let mut policy = AddressPolicy::default();
        for rule in self.rules_for(scheme, host, port, method) {
            match &rule.host {
                HostPattern::Address(address) => policy.named.push((*address, 128)),
                HostPattern::Range { network, prefix } => policy.named.push((*network, *prefix)),
                HostPattern::Any | HostPattern::Name(_) | HostPattern::Below(_) => {}
            }
            if rule.special == SpecialRanges::Allowed {
                policy.special = SpecialRanges::Allowed;
            }
        }
        policy.named.sort_unstable();
        policy.named.dedup();
        policy
    }
}

/// Which resolved addresses may be dialled. One pooled client per policy, hence the hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct AddressPolicy {
    special: SpecialRanges,
    named: Vec<(IpAddr, u8)>,
}

impl AddressPolicy {
    /// Special ranges too, for what an operator granted by name.
    pub(crate) fn special() -> Self {
        Self { special: SpecialRanges::Allowed, named: Vec::new() }
    }

    /// Whether this address may be dialled.
    pub(crate) fn admits(&self, ip: IpAddr) -> bool {
        let exact = |(network, prefix): &(IpAddr, u8)| {
            let width = if network.is_ipv4() { 32 } else { 128 };
            *prefix >= width && address::canonical(*network) == address::canonical(ip)
        };
        match address::classify(ip) {
            Class::Public => true,
            // A metadata service hands out credentials of the machine: only an exact grant counts.
            Class::Metadata => self.named.iter().any(exact),
            // Never meaningful as a destination.
            Class::Unusable => false,
            Class::Special(_) => {
                self.special == SpecialRanges::Allowed
                    || self.named.iter().any(|(network, prefix)| address::within(ip, *network, *prefix))
            }
        }
    }
}

impl NetworkRule {
    fn covers(&self, scheme: &str, host: &url::Host<String>, port: u16, method: &str) -> bool {
        self.scheme.as_deref().is_none_or(|only| only.eq_ignore_ascii_case(scheme))
            && self.methods.as_ref().is_none_or(|only| only.iter().any(|one| one.eq_ignore_ascii_case(method)))
            && match &self.ports {
                Ports::Any => true,
                Ports::Default => port == if scheme == "https" { 443 } else { 80 },
                Ports::Only(ports) => ports.contains(&port),
            }
            && self.host.covers(host)
    }
}

impl HostPattern {
    /// Whether a host is meant.
    pub fn covers(&self, host: &url::Host<String>) -> bool {
        let ip = match host {
            url::Host::Ipv4(ip) => Some(IpAddr::V4(*ip)),
            url::Host::Ipv6(ip) => Some(IpAddr::V6(*ip)),
            url::Host::Domain(_) => None,
        };
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Name(name), url::Host::Domain(asked)) => plain(name).eq_ignore_ascii_case(plain(asked)),
            (Self::Below(parent), url::Host::Domain(asked)) => {
                let (parent, asked) = (plain(parent).to_ascii_lowercase(), plain(asked).to_ascii_lowercase());
                asked.strip_suffix(&parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Self::Address(address), _) => ip.is_some_and(|ip| address::canonical(ip) == address::canonical(*address)),
            (Self::Range { network, prefix }, _) => ip.is_some_and(|ip| address::within(ip, *network, *prefix)),
            (Self::Name(_) | Self::Below(_), url::Host::Ipv4(_) | url::Host::Ipv6(_)) => false,
        }
    }
}

/// A name without its final dot.
fn plain(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn names(list: &[String], asked: &str) -> bool {
    list.iter().any(|one| one == "*" || one == asked)
}

/// Names of secrets are not case-sensitive.
fn secrets(list: &[String], asked: &str) -> bool {
    list.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(asked))
}

impl Need<'_> {
    fn refusal(&self) -> String {
        match self {
            Need::Nothing => "nothing is refused".to_owned(),
            Need::Request { scheme, host, port, method } => {
                format!("a {method} request to `{scheme}://{host}:{port}` is not granted to this run")
            }
            Need::InsecureTls => {
                "TLS without checking certificates is not granted to this run; hint: grant `insecure-tls`, or give `ca-pem`".to_owned()
            }
            Need::Proxy(proxy) => format!("the proxy `{proxy}` is not granted to this run; hint: grant `proxies: [{proxy}]`"),
            Need::Files(Access::Write) => {
                "writing to the internal storage is not granted to this run; hint: grant `files: write`".to_owned()
            }
            Need::NamespaceFiles => {
                "changing files of namespaces is not granted to this run; hint: grant `namespace-files: true`".to_owned()
            }
            Need::Files(_) => "reading the internal storage is not granted to this run; hint: grant `files: read`".to_owned(),
            Need::Kv(Access::Write) => {
                "writing to the key-value store is not granted to this run; hint: grant `kv: write`".to_owned()
            }
            Need::Kv(_) => "reading the key-value store is not granted to this run; hint: grant `kv: read`".to_owned(),
            Need::Template => "rendering is not granted to this run; hint: grant `template: true`".to_owned(),
            Need::Secret(name) => format!("secret `{name}` is not granted to this run; hint: grant `secrets: [{name}]`"),
            Need::Reveal(name) => {
                format!("secret `{name}` in the clear is not granted to this run; hint: grant `reveal: [{name}]`")
            }
            Need::Process(program) => {
                format!("program `{program}` is not granted to this run; hint: grant `processes: [{program}]`")
            }
            Need::ObjectsRead(kind) => {
                format!("reading documents of kind `{kind}` is not granted to this run; hint: grant `objects-read: [{kind}]`")
            }
            Need::ObjectsApply => {
                "changing documents is not granted to this run; hint: grant `objects-apply: true`".to_owned()
            }
            Need::Model(provider) => {
                format!("model provider `{provider}` is not granted to this run; hint: grant `models: [{provider}]`")
            }
        }
    }
}
