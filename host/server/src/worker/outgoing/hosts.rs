//! Where a secret may go: to the hosts it is bound to; unbound, to hosts that stand in the flow's source and to those that the manifest of
//! its plugin lists by name; one that is a URL, to its own.
//! Over TLS or within this machine, unless whoever bound it, or the secret itself, says `http`.

use std::collections::BTreeSet;

use expr::Secret;
use runtime::{HostError, HostPattern, NetworkRule};
use url::Url;

use super::super::secret::{name_of, names_of, url_of};
use crate::policy::pattern;

/// Hosts a secret is bound to, by its upper-case name; `None`: it is not bound.
pub(crate) type Bindings<'a> = dyn Fn(&str) -> Option<Vec<Bound>> + 'a;

/// One host a secret is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    written: String,
    /// `http`: without TLS, too.
    scheme: Option<&'static str>,
    host: HostPattern,
    port: Option<u16>,
}

impl Bound {
    /// Reads `HOST`, `*.PARENT` or an address, with a port or not, with a scheme or not.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no host a secret can be bound to\nhint: api.example.com, *.example.com, 10.0.0.5:8443, or http://host:port for one without TLS"
            )
        };
        let (scheme, rest) = match text.trim().split_once("://") {
            None => (None, text.trim()),
            Some(("https", rest)) => (Some("https"), rest),
            Some(("http", rest)) => (Some("http"), rest),
            Some(_) => return Err(wrong()),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| wrong())?))
            }
            _ => (rest, None),
        };
        let name = host.strip_prefix("*.").unwrap_or(host);
        let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_[]:".contains(letter);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(wrong());
        }
        Ok(Self { written: text.trim().to_owned(), scheme, host: pattern(host), port })
    }

    fn takes(&self, url: &Url) -> bool {
        let host = url.host().is_some_and(|host| self.host.covers(&host.to_owned()));
        let port = self.port.is_none_or(|port| url.port_or_known_default() == Some(port));
        let scheme = match self.scheme {
            Some("http") => true,
            Some(_) => url.scheme() == "https",
            None => is_private(url),
        };
        host && port && scheme
    }
}

/// Why a secret may not go somewhere.
pub(in super::super) struct Refused {
    pub error: HostError,
    /// It is the host that is wrong, not the lack of TLS.
    pub astray: bool,
}

/// Where the secrets of one flow may go.
pub(in super::super) struct Hosts {
    /// Hosts that stand in the flow's source, and those that the plugin's manifest lists.
    literal: BTreeSet<String>,
}

impl Hosts {
    /// `source`: of the flow. `listed`: hosts of the plugin's manifest; a plugin that lists patterns may ask there, and is not trusted there
    /// with secrets.
    pub fn of(source: &str, listed: &[NetworkRule]) -> Self {
        let mut literal = literal_hosts(source);
        literal.extend(listed.iter().filter_map(|rule| match &rule.host {
            HostPattern::Name(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        }));
        Self { literal }
    }

    /// Of no flow: hosts that an operator named for what is asked, and `listed`, those of the plugin's manifest.
    pub fn of_configuration<'h>(named: impl Iterator<Item = &'h str>, listed: &[NetworkRule]) -> Self {
        let mut hosts = Self::of("", listed);
        hosts.literal.extend(named.map(str::to_ascii_lowercase));
        hosts
    }

    /// Whether a secret may go there.
    pub fn may_go(&self, bindings: &Bindings<'_>, secret: &Secret, url: &Url) -> Result<(), Refused> {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let name = name_of(secret);
        let mut unbound = false;
        for one in names_of(secret) {
            let Some(hosts) = bindings(&one) else {
                unbound = true;
                continue;
            };
            if !hosts.iter().any(|bound| bound.takes(url)) {
                let to: Vec<&str> = hosts.iter().map(|bound| bound.written.as_str()).collect();
                let to = to.join("`, `");
                let error = HostError::not_granted(format!(
                    "secret `{name}` is not sent to `{host}`: it is bound to `{to}`; hint: have the operator bind it to `{host}` too"
                ));
                return Err(Refused { error, astray: !hosts.iter().any(|bound| bound.host_takes(url)) });
            }
        }
        if !unbound || url_of(secret).is_some_and(|own| own.origin() == url.origin()) {
            return Ok(());
        }
        if !self.literal.contains(&host) {
            let error = HostError::not_granted(format!(
                "secret `{name}` is not sent to `{host}`: neither the flow's source nor the plugin's manifest names it; hint: write the host of the URL into the \
                 flow, or have the operator bind the secret to it"
            ));
            return Err(Refused { error, astray: true });
        }
        if !is_private(url) {
            let error =
                HostError::not_granted(format!("secret `{name}` is not sent to `{host}` without TLS; hint: use https"));
            return Err(Refused { error, astray: false });
        }
        Ok(())
    }

    /// Whether a secret may go to a proxy, which an operator granted by its name.
    pub fn may_go_to_proxy(bindings: &Bindings<'_>, secret: &Secret, proxy: &Url) -> Result<(), Refused> {
        let host = proxy.host_str().unwrap_or_default();
        let elsewhere =
            |one: &String| bindings(one).is_some_and(|hosts| !hosts.iter().any(|bound| bound.host_takes(proxy)));
        match names_of(secret).iter().any(elsewhere) {
            false => Ok(()),
            true => {
                let name = name_of(secret);
                let error = HostError::not_granted(format!(
                    "secret `{name}` is not sent to the proxy `{host}`: it is bound to other hosts; hint: have the operator bind it to \
                     `{host}` too"
                ));
                Err(Refused { error, astray: true })
            }
        }
    }
}

impl Bound {
    fn host_takes(&self, url: &Url) -> bool {
        url.host().is_some_and(|host| self.host.covers(&host.to_owned()))
    }
}

/// TLS, or not out of this machine.
fn is_private(url: &Url) -> bool {
    let local = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "https" || local
}

/// Hosts of the URLs that stand in a source as they are.
fn literal_hosts(source: &str) -> BTreeSet<String> {
    let starts = source.match_indices("://").map(|(at, _)| at);
    starts
        .filter_map(|at| {
            let scheme = source.get(..at)?.rsplit(|c: char| !c.is_ascii_alphanumeric()).next()?;
            let rest = source.get(at..)?;
            let end = rest.get(3..)?.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '/' | '?' | '#'))?;
            let url = Url::parse(&format!("{scheme}{}", rest.get(..end + 3)?)).ok()?;
            // Only names and addresses: an expression in the place of a host names nothing.
            let plain = |host: &&str| host.chars().all(|c| c.is_ascii_alphanumeric() || ".-[]:".contains(c));
            url.host_str().filter(plain).map(str::to_ascii_lowercase)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expr::Origin;

    #[test]
    fn hosts_in_the_source_are_found() {
        let check = |source: &str, expected: &[&str]| {
            assert_eq!(literal_hosts(source).iter().map(String::as_str).collect::<Vec<_>>(), expected);
        };
        check("uri: https://api.example.com/v1/{{ inputs.id }}\n", &["api.example.com"]);
        check("uri: \"https://API.example.com:8443?x=1\"\n", &["api.example.com"]);
        check("uri: \"https://{{ inputs.host }}/x\"\n", &[]);
        check("uri: https://user@evil.example/\n", &["evil.example"]);
        check("nothing here", &[]);
    }

    #[test]
    fn secrets_go_where_they_may() {
        let written = std::collections::BTreeMap::from([
            ("BOUND".to_owned(), vec!["api.example.com".to_owned(), "*.internal.example:8443".to_owned()]),
            ("PLAIN".to_owned(), vec!["http://10.0.0.5:80".to_owned()]),
        ]);
        let bindings = |name: &str| {
            let hosts = written.get(name)?.iter().map(|host| Bound::parse(host).expect("a host"));
            Some(hosts.collect())
        };
        let listed = ["api.listed.example", "*.below.example"].map(|host| NetworkRule {
            host: pattern(host),
            ports: runtime::Ports::Any,
            scheme: None,
            methods: None,
            special: runtime::SpecialRanges::Refused,
        });
        let hosts = Hosts::of("uri: https://named.example/ and http://127.0.0.1:9/ \n", &listed);
        let check = |name: &str, value: &str, url: &str, expected: bool| {
            let secret = Secret::new(Origin::Named(name.into()), value);
            let url = Url::parse(url).expect("a URL");
            assert_eq!(hosts.may_go(&bindings, &secret, &url).is_ok(), expected, "{name} {url}");
        };
        check("bound", "x", "https://api.example.com/", true);
        check("BOUND", "x", "http://api.example.com/", false);
        check("BOUND", "x", "https://a.internal.example:8443/", true);
        check("BOUND", "x", "https://a.internal.example/", false);
        check("BOUND", "x", "https://named.example/", false);
        check("PLAIN", "x", "http://10.0.0.5/", true);
        check("FREE", "x", "https://named.example/", true);
        check("FREE", "x", "http://named.example/", false);
        check("FREE", "x", "http://127.0.0.1:9/", true);
        check("FREE", "x", "https://api.example.com/", false);
        check("FREE", "x", "https://api.listed.example/", true);
        check("FREE", "x", "http://api.listed.example/", false);
        check("BOUND", "x", "https://api.listed.example/", false);
        check("FREE", "x", "https://a.below.example/", false);
        // A URL may go to itself, and nowhere else.
        check("HOOK", "http://hooks.example/T", "http://hooks.example/T/x", true);
        check("HOOK", "https://hooks.example/T", "http://hooks.example/T", false);
        check("BOUND", "https://hooks.example/T", "https://hooks.example/T", false);
    }

    #[test]
    fn hosts_are_read_or_refused_with_words() {
        let check = |text: &str, expected: &str| {
            let shown = Bound::parse(text)
                .map_or_else(|error| error, |bound| format!("{:?} {:?} {:?}", bound.scheme, bound.host, bound.port));
            assert!(shown.starts_with(expected), "{text}: {shown}");
        };
        check("api.example.com", "None Name(\"api.example.com\") None");
        check("https://*.example.com:444/", "Some(\"https\") Below(\"example.com\") Some(444)");
        check("[::1]:80", "None Address(::1) Some(80)");
        check("ftp://x", "`ftp://x` is no host");
        check("*", "`*` is no host");
        check("a b", "`a b` is no host");
        check("host:port", "`host:port` is no host");
    }
}
