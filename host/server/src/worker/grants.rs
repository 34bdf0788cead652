//! What one run may do: what its plugin's manifest asks for, and the standard profile allows. Deny by default.

use std::collections::BTreeSet;

use catalog::{Capabilities, HttpHosts};
use expr::{Span, Value};
use runtime::{Access, Grants, HostPattern, NetworkRule, Ports, SpecialRanges};

use super::secret::url_of;
use crate::node::Node;

/// Most hosts taken from one task's properties.
const HOSTS_MAX: usize = 256;

/// The kind of documents whose asking is the asking to change files of namespaces.
const NAMESPACE_FILES: &str = "file";
/// What the kinds end with that a plugin asks to delete.
pub(super) const DELETE: &str = ":delete";

/// The grants of a run with these rendered properties, secrets and all: a secret that is a URL names a host.
pub(super) fn of_run(node: &Node, plugin: &str, capabilities: &Capabilities, properties: &Value) -> Grants {
    let mut network = Vec::new();
    for access in &capabilities.http {
        let methods = (!access.methods.is_empty()).then(|| access.methods.clone());
        let hosts: Vec<(HostPattern, Ports)> = match &access.hosts {
            HttpHosts::NamedByFlow(_) => named(properties),
            HttpHosts::Only(hosts) => hosts.iter().map(|host| (pattern(host), Ports::Any)).collect(),
        };
        for (host, ports) in hosts {
            network.push(NetworkRule {
                host,
                ports,
                scheme: None,
                methods: methods.clone(),
                special: SpecialRanges::Refused,
            });
        }
    }
    // What the operator opened is open to plugins that ask for the network at all.
    if !capabilities.http.is_empty() {
        network.extend(node.config.allow_net.iter().cloned());
    }
    let kv = match capabilities.kv.as_slice() {
        [] => Access::None,
        wanted if wanted.iter().all(|operation| matches!(operation.as_str(), "get" | "keys")) => Access::Read,
        _ => Access::Write,
    };
    let objects = &capabilities.objects;
    Grants {
        network,
        namespace_files: objects.iter().any(|kind| kind == NAMESPACE_FILES),
        objects_read: objects.iter().filter(|kind| !kind.contains(':')).cloned().collect(),
        // Which kinds is checked where the plan is read.
        objects_apply: objects.iter().any(|kind| kind.ends_with(DELETE)),
        files: if capabilities.files { Access::Write } else { Access::None },
        kv,
        working_dir: if capabilities.files { Access::Write } else { Access::None },
        template: true,
        reveal: match node.config.reveal.get(plugin) {
            Some(names) if capabilities.reveal => names.clone(),
            _ => Vec::new(),
        },
        secrets: if capabilities.secrets { vec!["*".to_owned()] } else { Vec::new() },
        ..Grants::none()
    }
}

/// The hosts of the URLs in a task's rendered properties: what the flow itself names.
fn named(properties: &Value) -> Vec<(HostPattern, Ports)> {
    let mut found = BTreeSet::new();
    collect(properties, &mut found);
    let rules = found.into_iter().take(HOSTS_MAX);
    // To grant an address is to grant it whatever its range; a flow that names one of a special range does not grant it.
    let special = |host: &HostPattern| match host {
        HostPattern::Address(ip) => runtime::address::classify(*ip) != runtime::address::Class::Public,
        _ => false,
    };
    rules.map(|(host, port)| (pattern(&host), Ports::Only(vec![port]))).filter(|(host, _)| !special(host)).collect()
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

pub(super) fn pattern(host: &str) -> HostPattern {
    if let Some(parent) = host.strip_prefix("*.") {
        return HostPattern::Below(parent.to_owned());
    }
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(address) => HostPattern::Address(address),
        Err(_) => HostPattern::Name(host.to_owned()),
    }
}

/// A rule from what an operator writes: `HOST:PORT`, `HOST:*` or `HOST`. Special ranges are meant when they are named.
pub fn allow_net(text: &str) -> Result<NetworkRule, String> {
    let wrong =
        || format!("`{text}` is not HOST:PORT\n  hint: 127.0.0.1:8000, api.internal:443, or 10.0.0.5:* for every port");
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && (!host.contains(':') || host.ends_with(']')) => (host, port),
        _ => (text, "*"),
    };
    let ports = match port {
        "*" => Ports::Any,
        number => Ports::Only(vec![number.parse().map_err(|_| wrong())?]),
    };
    if host.is_empty() || host.contains(['/', ' ', '@']) {
        return Err(wrong());
    }
    Ok(NetworkRule { host: pattern(host), ports, scheme: None, methods: None, special: SpecialRanges::Allowed })
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
            named(&properties).into_iter().map(|(host, ports)| format!("{host:?} {ports:?}")).collect();
        assert_eq!(hosts, ["Address(192.0.32.10) Only([80])", "Name(\"api.example.com\") Only([443])"]);
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
            named(&properties).into_iter().map(|(host, ports)| format!("{host:?} {ports:?}")).collect();
        let expected = [
            "Name(\"hooks.example.com\") Only([8443])",
            "Name(\"hooks.example.org\") Only([80])",
            "Name(\"plain.example.com\") Only([443])",
        ];
        assert_eq!(hosts, expected);
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
    }
}
