//! Hosts: those that a flow names in a task's properties, those that a manifest lists, and those that somebody wrote down.

use std::collections::BTreeSet;

use catalog::{ANY, HttpHosts};
use expr::{Span, Value};
use model::policy::{Host, Network, Port};
use runtime::{HostPattern, NetworkRule, Ports, SpecialRanges};

use crate::worker::url_of;

/// The public hosts that a manifest lists.
pub(crate) fn listed(capabilities: &catalog::Capabilities) -> Vec<NetworkRule> {
    let hosts = capabilities.http.iter().filter_map(|access| match &access.hosts {
        HttpHosts::Only(hosts) => Some(hosts),
        HttpHosts::NamedByFlow(_) => None,
    });
    hosts.flatten().map(|host| public(pattern(host), Ports::Any)).collect()
}

/// The public hosts of the URLs in a task's properties: what the flow itself names.
pub(crate) fn named(properties: &Value) -> Vec<NetworkRule> {
    let hosts = check_hosts(properties).into_iter();
    let rules = hosts.map(|(host, port)| (pattern(&host), Ports::Only(vec![port])));
    // To grant an address is to grant it whatever its range; a flow that names one of a special range does not grant it.
    let special = |host: &HostPattern| match host {
        HostPattern::Address(ip) => runtime::address::classify(*ip) != runtime::address::Class::Public,
        _ => false,
    };
    rules.filter(|(host, _)| !special(host)).map(|(host, ports)| public(host, ports)).collect()
}

/// Most hosts taken from one task's properties.
const HOSTS_MAX: usize = 256;

/// Hosts and ports of the URLs in a task's properties.
pub(crate) fn check_hosts(properties: &Value) -> Vec<(String, u16)> {
    let mut found = BTreeSet::new();
    collect(properties, &mut found);
    found.into_iter().take(HOSTS_MAX).collect()
}

fn collect(value: &Value, found: &mut BTreeSet<(String, u16)>) {
    match value {
        Value::Text(text) => {
            if let Some(url) = url_in(text)
                && matches!(url.scheme(), "http" | "https")
                && let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default())
            {
                found.insert((host.to_ascii_lowercase(), port));
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Map(entries) => entries.values().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// The URL a text is. A secret that is one counts where it begins the text; elsewhere a secret says nothing of the host.
fn url_in(text: &expr::Text) -> Option<url::Url> {
    if let Some(plain) = text.as_plain() {
        return url::Url::parse(plain.trim()).ok();
    }
    let mut shown = String::new();
    for (at, span) in text.spans().enumerate() {
        match &*span {
            Span::Plain(plain) => shown.push_str(plain),
            Span::Secret(secret) if at == 0 => return url_of(secret),
            // No host has it, so a URL with a secret in its host is none.
            Span::Secret(_) => shown.push_str("%20"),
        }
    }
    url::Url::parse(shown.trim()).ok()
}

fn public(host: HostPattern, ports: Ports) -> NetworkRule {
    NetworkRule { host, ports, scheme: None, methods: None, special: SpecialRanges::Refused }
}

/// What an operator names is meant, whatever its range.
pub(super) fn rule_of(host: &Host) -> NetworkRule {
    NetworkRule {
        host: pattern(&host.host),
        ports: match host.port {
            Port::Any => Ports::Any,
            Port::Default => Ports::Default,
            Port::One(port) => Ports::Only(vec![port]),
        },
        scheme: host.scheme.clone(),
        methods: (!host.methods.is_empty()).then(|| host.methods.clone()),
        special: SpecialRanges::Allowed,
    }
}

/// A host as it is written.
pub(crate) fn pattern(host: &str) -> HostPattern {
    if host == ANY {
        return HostPattern::Any;
    }
    if let Some(parent) = host.strip_prefix("*.") {
        return HostPattern::Below(parent.to_owned());
    }
    if let Some((network, prefix)) = host.split_once('/')
        && let (Ok(network), Ok(prefix)) = (network.parse(), prefix.parse())
    {
        return HostPattern::Range { network, prefix };
    }
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(address) => HostPattern::Address(address),
        Err(_) => HostPattern::Name(host.to_owned()),
    }
}

/// Whether a host is known to be in a special range from its text alone.
pub(crate) fn is_special(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    match pattern(host) {
        HostPattern::Address(ip) => runtime::address::classify(ip) != runtime::address::Class::Public,
        _ => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// A rule from what an operator writes as an argument: `HOST:PORT`, `HOST:*` or `HOST`. Special ranges are meant when they are named.
pub fn allow_net(text: &str) -> Result<NetworkRule, String> {
    match Network::parse(text) {
        Ok(Network::Host(host)) if host.scheme.is_none() && host.methods.is_empty() => Ok(rule_of(&host)),
        _ => Err(format!(
            "`{text}` is not HOST:PORT\n  hint: 127.0.0.1:8000, api.internal:443, or 10.0.0.5:* for every port"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_come_from_urls_in_properties() {
        let properties = Value::map([
            ("uri", Value::from("https://API.example.com/v1?x=1")),
            ("body", Value::from("see https://not.a.url.property/ please")),
            ("options", Value::map([("proxy", Value::from("http://10.0.0.1:3128"))])),
            ("other", Value::from("http://[::ffff:127.0.0.1]/ ")),
            ("public", Value::from("http://192.0.32.10/")),
        ]);
        let hosts: Vec<String> =
            named(&properties).into_iter().map(|rule| format!("{:?} {:?}", rule.host, rule.ports)).collect();
        assert_eq!(hosts, ["Address(192.0.32.10) Only([80])", "Name(\"api.example.com\") Only([443])"]);
    }

    #[test]
    fn allowed_addresses_are_parsed() {
        let check = |text: &str, expected: &str| {
            let shown = allow_net(text).map_or_else(|error| error, |rule| format!("{:?} {:?}", rule.host, rule.ports));
            assert!(shown.starts_with(expected), "{text}: {shown}");
        };
        check("127.0.0.1:8000", "Address(127.0.0.1) Only([8000])");
        check("[::1]:80", "Address(::1) Only([80])");
        check("api.internal:*", "Name(\"api.internal\") Any");
        check("api.internal", "Name(\"api.internal\") Any");
        check("host:port", "`host:port` is not HOST:PORT");
        check("http://x:1", "`http://x:1` is not HOST:PORT");
        check("flow", "`flow` is not HOST:PORT");
    }

    #[test]
    fn a_secret_that_is_a_url_names_its_host() {
        let secret = |value: &str| expr::Text::secret("S", value);
        let joined = |before: &str, value: &str, after: &str| {
            let mut text = expr::TextBuilder::default();
            text.push_str(before);
            text.push_text(&secret(value));
            text.push_str(after);
            Value::Text(text.finish())
        };
        let properties = Value::map([
            ("a", Value::Text(secret("https://hooks.example.com:8443/T"))),
            ("b", joined("", "http://hooks.example.org/T", "/more")),
            ("c", joined("https://plain.example.com/?k=", "https://not.a.host/", "")),
            ("d", joined("https://", "host", ".example.com/")),
        ]);
        let hosts: Vec<String> =
            named(&properties).into_iter().map(|rule| format!("{:?} {:?}", rule.host, rule.ports)).collect();
        let expected = [
            "Name(\"hooks.example.com\") Only([8443])",
            "Name(\"hooks.example.org\") Only([80])",
            "Name(\"plain.example.com\") Only([443])",
        ];
        assert_eq!(hosts, expected);
    }
}
