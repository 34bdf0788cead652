//! What plugins may do, as an operator writes it: one file for the server, its namespaces and its secrets. A flow may say less for itself in
//! `grants:`. Only what is written; what it adds up to for one run is worked out where it is run.
//!
//! A profile is where it begins, and all that is written adds to it: so the line that a refusal tells to add never takes anything away. Who
//! wants less begins again from `strict`.

use std::collections::BTreeMap;

/// What holds where nothing is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Public hosts that the flow itself names, what is stored on this server, no programs, no secrets in the clear.
    #[default]
    Standard,
    /// Nothing.
    Strict,
}

/// How far a thing may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    #[default]
    None,
    Read,
    Write,
}

/// Everything that is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    pub server: Level,
    /// By namespace; one is heard for those below it as well.
    pub namespaces: BTreeMap<String, Level>,
    /// Hosts that a secret is bound to, by its name in upper case.
    pub secrets: BTreeMap<String, Vec<String>>,
}

/// What is written for the server or a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Level {
    pub profile: Option<Profile>,
    /// By plugin; [`EVERY`] stands for all of them.
    pub plugins: BTreeMap<String, Section>,
    /// Requirements by plugin, for flows that ask for nothing.
    pub versions: BTreeMap<String, String>,
}

/// Stands for every plugin.
pub const EVERY: &str = "*";

/// What is written for a plugin. Names may end in `*`: `MAIL_*` stands for all that begin so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// What it begins from, in place of what is written less exactly.
    pub profile: Option<Profile>,
    pub network: Vec<Network>,
    /// TLS without checking certificates.
    pub insecure_tls: bool,
    /// `HOST:PORT`, or `*`.
    pub proxies: Vec<String>,
    /// Files of the internal storage, and the working directory.
    pub files: Access,
    /// The key-value store.
    pub kv: Vec<Keys>,
    /// Secrets by name, without their values.
    pub secrets: Vec<String>,
    /// The same, in the clear.
    pub reveal: Vec<String>,
    /// Programs by name.
    pub processes: Vec<String>,
    /// Documents of the engine by kind.
    pub objects: Vec<String>,
    /// Model providers by type.
    pub models: Vec<String>,
    /// Beyond the usual limits; 0: no more than these.
    pub memory_bytes: u64,
    pub time_ms: u64,
}

impl Section {
    /// Where a profile begins.
    pub fn of(profile: Profile) -> Self {
        let all = || vec![EVERY.to_owned()];
        match profile {
            Profile::Strict => Self::default(),
            Profile::Standard => Self {
                network: vec![Network::Flow, Network::Plugin],
                files: Access::Write,
                kv: vec![Keys { access: Access::Write, keys: EVERY.to_owned() }],
                secrets: all(),
                objects: all(),
                models: all(),
                ..Self::default()
            },
        }
    }

    /// What another section says adds to it, after its profile began again where it has one.
    pub fn add(&mut self, other: &Self) {
        if let Some(profile) = other.profile {
            *self = Self::of(profile);
        }
        self.network.extend(other.network.iter().cloned());
        self.insecure_tls |= other.insecure_tls;
        self.files = self.files.max(other.files);
        self.kv.extend(other.kv.iter().cloned());
        let lists = [
            (&mut self.proxies, &other.proxies),
            (&mut self.secrets, &other.secrets),
            (&mut self.reveal, &other.reveal),
            (&mut self.processes, &other.processes),
            (&mut self.objects, &other.objects),
            (&mut self.models, &other.models),
        ];
        lists.into_iter().for_each(|(all, more)| all.extend(more.iter().cloned()));
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
        self.time_ms = self.time_ms.max(other.time_ms);
    }
}

/// Values of the key-value store, and how far they may be used; written `read`, `write` or `read team.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub access: Access,
    /// A key, what keys begin with (`team.*`), or `*`.
    pub keys: String,
}

/// Hosts that may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// Public ones that the flow names in the task's properties; written `flow`.
    Flow,
    /// Public ones that the plugin's manifest lists; written `plugin`.
    Plugin,
    Host(Host),
}

/// `[METHOD[,METHOD] ][http://|https://]HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// A name, `*.example.com`, an address, `10.0.0.0/8`, or `*`; in lower case.
    pub host: String,
    pub port: Port,
    /// Upper-case; empty: any.
    pub methods: Vec<String>,
    /// `http` or `https`; `None`: both.
    pub scheme: Option<String>,
}

/// Which port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    Any,
    /// The scheme's own.
    Default,
    One(u16),
}

impl Network {
    /// Reads one entry; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "flow" => Ok(Self::Flow),
            "plugin" => Ok(Self::Plugin),
            other => Host::parse(other).map(Self::Host),
        }
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("`{text}` {what}");
        let (methods, rest) = match text.split_once(char::is_whitespace) {
            Some((methods, rest)) => (methods, rest.trim()),
            None => ("", text),
        };
        let methods: Vec<String> = methods.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect();
        if methods.iter().any(|method| !method.chars().all(|c| c.is_ascii_uppercase())) {
            return Err(wrong("begins with something that is no method in upper case"));
        }
        let (scheme, rest) = match rest.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (Some(scheme.to_owned()), rest),
            Some(_) => return Err(wrong("has a scheme other than `http` and `https`")),
            None => (None, rest),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && (!host.contains(':') || host.ends_with(']')) => {
                let port = match port {
                    "*" => Port::Any,
                    number => Port::One(number.parse().map_err(|_| wrong("has a port that is no port"))?),
                };
                (host, port)
            }
            _ if scheme.is_some() => (rest, Port::Default),
            _ => (rest, Port::Any),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let (name, range) = host.split_once('/').map_or((host.as_str(), None), |(name, bits)| (name, Some(bits)));
        let is_address = name.parse::<std::net::IpAddr>();
        match (range.map(str::parse::<u8>), &is_address) {
            (None, _) => {}
            (Some(Ok(bits)), Ok(address)) if bits <= if address.is_ipv4() { 32 } else { 128 } => {}
            _ => return Err(wrong("has a path; only the range of an address has a `/`, as in `10.0.0.0/8`")),
        }
        let below = name.strip_prefix("*.").unwrap_or(name);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if is_address.is_err() && name != EVERY && (below.is_empty() || !below.chars().all(plain)) {
            return Err(wrong("names no host; a name, `*.example.com`, an address, `10.0.0.0/8` and `*` are hosts"));
        }
        Ok(Self { host, port, methods, scheme })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, host: &str, port: Port, methods: &[&str], scheme: Option<&str>) {
        let expected = Host {
            host: host.to_owned(),
            port,
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            scheme: scheme.map(str::to_owned),
        };
        assert_eq!(Network::parse(text), Ok(Network::Host(expected)), "{text}");
    }

    #[test]
    fn hosts_are_written_short() {
        assert_eq!(Network::parse("flow"), Ok(Network::Flow));
        assert_eq!(Network::parse(" plugin "), Ok(Network::Plugin));
        check("API.internal:8443", "api.internal", Port::One(8443), &[], None);
        check("api.internal", "api.internal", Port::Any, &[], None);
        check("https://api.internal", "api.internal", Port::Default, &[], Some("https"));
        check("GET,POST http://*.b.c:*", "*.b.c", Port::Any, &["GET", "POST"], Some("http"));
        check("[::1]:80", "::1", Port::One(80), &[], None);
        check("fd00::/8", "fd00::/8", Port::Any, &[], None);
        check("10.0.0.0/8:443", "10.0.0.0/8", Port::One(443), &[], None);
        check("*", "*", Port::Any, &[], None);
    }

    #[test]
    fn what_is_no_host_is_told() {
        for text in [
            "",
            "a/b",
            "http://a/b",
            "ftp://a",
            "get a",
            "a:x",
            "a:70000",
            "a b c",
            "10.0.0.0/33",
            "user@a",
            "*.",
            "a.*",
            "https://",
        ] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}
