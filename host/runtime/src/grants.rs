//! What a run may do, and the one granter: every host function asks [`Grants::allow`] before it does anything.
//!
//! Deny by default. A grant is what the policy allows, within what the manifest asks for and what the flow says of itself: each is a
//! [`Grants`], and all of them are asked. The words of a refusal say whose it is, and what to write where.

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

/// How far values may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvRule {
    /// How far.
    pub access: Access,
    /// Which: a key, what keys begin with (`team.*`), or `*`.
    pub keys: String,
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
    pub kv: Vec<KvRule>,
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
    /// What may be done to documents of the engine: `KIND:save`, `KIND:delete`, or `*`; the server checks each document.
    pub objects_change: Vec<String>,
    /// Model providers by type, or `*`.
    pub models: Vec<String>,
    /// Whose word this is.
    pub says: Says,
    /// What must allow it as well. Which addresses may be dialled is not theirs to say.
    pub within: Vec<Grants>,
}

/// Whose word grants are, for the words of a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Says {
    /// Nobody's that could be named.
    #[default]
    Unnamed,
    /// What the manifest of this plugin asks for.
    Manifest(String),
    /// An operator's policy: where to write in it, as in "under `plugins: http:` in `policy.yaml`".
    Policy(String),
    /// A flow's own `grants:`: where to write in it.
    Flow(String),
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
    /// A change in the working directory.
    WorkingDir,
    /// A change of a namespace's files.
    NamespaceFiles,
    /// Key-value store; the key, or what the keys begin with that are looked for.
    Kv(Access, &'a str),
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
    /// A plan that saves or deletes documents of a kind: `KIND:save`, `KIND:delete`.
    ObjectsChange(&'a str),
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
        let refused = std::iter::once(self).chain(&self.within).find(|grants| !grants.allows(need));
        refused.map_or(Ok(()), |grants| Err(HostError::not_granted(grants.says.refusal(need))))
    }

    fn allows(&self, need: &Need<'_>) -> bool {
        match need {
            Need::Nothing => true,
            Need::Request { scheme, host, port, method } => {
                self.rules_for(scheme, host, *port, method).next().is_some()
            }
            Need::InsecureTls => self.insecure_tls,
            Need::Proxy(proxy) => names(&self.proxies, proxy),
            Need::Files(access) => self.files >= *access,
            Need::WorkingDir => self.working_dir == Access::Write,
            Need::NamespaceFiles => self.namespace_files,
            Need::Kv(access, key) => self.kv.iter().any(|rule| rule.access >= *access && is_named(&rule.keys, key)),
            Need::Template => self.template,
            Need::Secret(name) => secrets(&self.secrets, name),
            Need::Reveal(name) => secrets(&self.reveal, name),
            Need::Process(program) => names(&self.processes, program),
            Need::ObjectsRead(kind) => names(&self.objects_read, kind),
            Need::ObjectsChange(word) => names(&self.objects_change, word),
            Need::Model(provider) => names(&self.models, provider),
        }
    }

    /// How far the working directory may be used.
    pub fn working_dir(&self) -> Access {
        self.within.iter().map(Self::working_dir).fold(self.working_dir, Ord::min)
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
    /// Whether it is about a host and port, whatever the scheme and method.
    pub fn reaches(&self, host: &url::Host<String>, port: u16) -> bool {
        self.host.covers(host)
            && match &self.ports {
                Ports::Any => true,
                Ports::Default => matches!(port, 80 | 443),
                Ports::Only(ports) => ports.contains(&port),
            }
    }

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

/// Whether a name is listed, or what it begins with: `MAIL_*`, or `*` for all.
fn names(list: &[String], asked: &str) -> bool {
    list.iter().any(|one| is_named(one, asked))
}

fn is_named(pattern: &str, asked: &str) -> bool {
    pattern == asked || pattern.strip_suffix('*').is_some_and(|begin| asked.starts_with(begin))
}

/// The same for secrets, whose names are not case-sensitive.
fn secrets(list: &[String], asked: &str) -> bool {
    let asked = asked.to_ascii_uppercase();
    list.iter().any(|one| is_named(&one.to_ascii_uppercase(), &asked))
}

impl Says {
    fn refusal(&self, need: &Need<'_>) -> String {
        let what = need.what();
        let line = need.line();
        match self {
            Self::Unnamed => format!("{what} is not granted to this run; hint: grant `{line}`{}", need.or_argument()),
            Self::Manifest(plugin) => format!(
                "{what} is not granted to this run: plugin {plugin} does not ask for it in its manifest; hint: a version of the \
                 plugin that asks for it is needed"
            ),
            Self::Policy(place) => {
                format!("{what} is not granted to this run; hint: add `{line}` {place}{}", need.or_argument())
            }
            Self::Flow(place) => format!("{what} is not granted to this run; hint: add `{line}` {place}"),
        }
    }
}

impl Need<'_> {
    /// What would be done.
    fn what(&self) -> String {
        match self {
            Need::Nothing => "nothing".to_owned(),
            Need::Request { scheme, host, port, method } => format!("a {method} request to `{scheme}://{host}:{port}`"),
            Need::InsecureTls => "TLS without checking certificates".to_owned(),
            Need::Proxy(proxy) => format!("the proxy `{proxy}`"),
            Need::Files(Access::Write) => "writing to the internal storage".to_owned(),
            Need::Files(_) => "reading the internal storage".to_owned(),
            Need::WorkingDir => "writing to the working directory".to_owned(),
            Need::NamespaceFiles => "changing files of namespaces".to_owned(),
            Need::Kv(Access::Read, "") => "reading every key of the key-value store".to_owned(),
            Need::Kv(Access::Write, key) => format!("writing `{key}` to the key-value store"),
            Need::Kv(_, key) => format!("reading `{key}` from the key-value store"),
            Need::Template => "rendering".to_owned(),
            Need::Secret(name) => format!("secret `{name}`"),
            Need::Reveal(name) => format!("secret `{name}` in the clear"),
            Need::Process(program) => format!("program `{program}`"),
            Need::ObjectsRead(kind) => format!("reading documents of kind `{kind}`"),
            Need::ObjectsChange(word) => match word.split_once(':') {
                Some((kind, "save")) => format!("saving documents of kind `{kind}`"),
                Some((kind, "delete")) => format!("deleting documents of kind `{kind}`"),
                _ => format!("changing documents by `{word}`"),
            },
            Need::Model(provider) => format!("model provider `{provider}`"),
        }
    }

    /// The argument that grants it as well, where there is one.
    fn or_argument(&self) -> String {
        match self {
            Need::Request { host, port, .. } => format!(", or start with `--allow-net={host}:{port}`"),
            _ => String::new(),
        }
    }

    /// What to write for it in a policy.
    pub fn line(&self) -> String {
        match self {
            Need::Nothing => String::new(),
            Need::Request { host, port, .. } => listed("network", &format!("{host}:{port}")),
            Need::InsecureTls => "insecureTls: true".to_owned(),
            Need::Proxy(proxy) => listed("proxies", proxy),
            Need::Files(Access::Write) | Need::WorkingDir => "files: write".to_owned(),
            Need::Files(_) => "files: read".to_owned(),
            Need::NamespaceFiles => listed("objects", "file"),
            // What looks for all keys needs all of them.
            Need::Kv(access, key) => {
                let word = if *access == Access::Write { "write" } else { "read" };
                listed("kv", &format!("{word} {}", if key.is_empty() { "*" } else { key }))
            }
            Need::Template => "template: true".to_owned(),
            Need::Secret(name) => listed("secrets", name),
            Need::Reveal(name) => listed("reveal", name),
            Need::Process(program) => listed("processes", program),
            Need::ObjectsRead(kind) => listed("objects", kind),
            Need::ObjectsChange(word) => listed("objects", word),
            Need::Model(provider) => listed("models", provider),
        }
    }
}

/// A line of a policy with one name, quoted: a program may be called `true`.
fn listed(key: &str, name: &str) -> String {
    format!("{key}: [{}]", serde_json::Value::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(grants: &Grants, need: &Need<'_>) -> String {
        grants.allow(need).err().map(|error| error.message).unwrap_or_default()
    }

    #[test]
    fn all_layers_are_asked_and_the_one_that_refuses_says_so() {
        let writing = |keys: &str| vec![KvRule { access: Access::Write, keys: keys.into() }];
        let all = |says| Grants { processes: vec!["*".into()], kv: writing("*"), says, ..Grants::none() };
        let manifest = all(Says::Manifest("`git` 1.0.0".into()));
        let flow = Says::Flow("under `grants: git:` in the flow".into());
        let flow = Grants { processes: vec!["git".into()], kv: writing("a.*"), ..all(flow) };
        let policy = Says::Policy("under `plugins: git:` in `policy.yaml`".into());
        let policy = Grants {
            processes: vec!["gi*".into(), "sh".into()],
            within: vec![Grants { processes: vec!["g*".into(), "sh".into()], ..manifest }, flow],
            ..all(policy)
        };
        let check = |need: Need<'_>, expected: &str| assert_eq!(refusal(&policy, &need), expected);
        check(Need::Process("git"), "");
        check(
            Need::ObjectsChange("flow:save"),
            "saving documents of kind `flow` is not granted to this run; hint: add `objects: [\"flow:save\"]` under `plugins: git:` in `policy.yaml`",
        );
        check(
            Need::Process("rm"),
            "program `rm` is not granted to this run; hint: add `processes: [\"rm\"]` under `plugins: git:` in `policy.yaml`",
        );
        check(
            Need::Process("sh"),
            "program `sh` is not granted to this run; hint: add `processes: [\"sh\"]` under `grants: git:` in the flow",
        );
        assert!(refusal(&policy, &Need::Model("x")).contains("`models: [\"x\"]` under `plugins"));
        check(Need::Kv(Access::Read, "a.b"), "");
        assert!(refusal(&policy, &Need::Kv(Access::Read, "ab")).contains("reading `ab` from the key-value store"));
        let asked = Grants {
            within: vec![Grants { says: Says::Manifest("`x` 1.0.0".into()), ..Grants::none() }],
            ..all(Says::Unnamed)
        };
        assert!(
            refusal(&asked, &Need::Process("git")).contains("plugin `x` 1.0.0 does not ask for it in its manifest")
        );
        assert_eq!(asked.working_dir(), Access::None);
    }
}
