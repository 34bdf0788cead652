//! What a plugin may do, added up, and as the runtime's grants.

use catalog::{ANY, Capability, HttpHosts};
use model::policy::{Access, Keys, Network, Section};
use runtime::{Grants, HostPattern, KvRule, NetworkRule, Ports, Says, SpecialRanges};

use super::hosts::{is_special, pattern, rule_of};

/// What a plugin may do.
#[derive(Clone, Debug)]
pub(crate) struct Allowed {
    /// All that was said of it, added up.
    pub has: Section,
    /// Where to write more: "under `plugins: http:` in `policy.yaml`".
    pub place: String,
}

impl Allowed {
    /// Whether all of a capability may be had. Hosts that a flow names are looked at one by one, by who knows them.
    pub fn covers(&self, capability: &Capability) -> bool {
        match capability {
            Capability::HttpNamedByFlow { .. } => true,
            Capability::Http { host, method } => self.has.network.iter().any(|allowed| match allowed {
                Network::Flow => false,
                Network::Plugin => !is_special(host),
                Network::Host(allowed) => {
                    let asked = Capability::Http { host: host.clone(), method: method.clone() };
                    let methods =
                        if allowed.methods.is_empty() { vec![ANY.to_owned()] } else { allowed.methods.clone() };
                    let mut have =
                        methods.into_iter().map(|method| Capability::Http { host: allowed.host.clone(), method });
                    have.any(|have| have.covers(&asked))
                }
            }),
            Capability::Kv { operation, prefix } => {
                let wanted = access_of(operation);
                self.has.kv.iter().any(|rule| {
                    rule.access >= wanted && rule.keys.strip_suffix(ANY).is_some_and(|begin| prefix.starts_with(begin))
                })
            }
            Capability::Process(name) => has_some(&self.has.processes, name),
            Capability::Object(kind) => has_some(&self.has.objects, kind),
            Capability::Secret(name) => has_some(&self.has.secrets, name),
            Capability::Reveal(name) => has_some(&self.has.reveal, name),
            Capability::Model(name) => has_some(&self.has.models, name),
            Capability::Files => self.has.files == Access::Write,
            Capability::MemoryBytes(bytes) => self.has.memory_bytes >= *bytes,
            Capability::TimeMs(ms) => self.has.time_ms >= *ms,
            Capability::Other(_) => false,
        }
    }

    /// As the runtime asks for it: `named` are the hosts that the flow names in the task's properties, `listed` those of the manifest.
    pub fn grants(&self, named: &[NetworkRule], listed: &[NetworkRule], says: Says) -> Grants {
        let mut network = Vec::new();
        for allowed in &self.has.network {
            match allowed {
                Network::Flow => network.extend(named.iter().cloned()),
                Network::Plugin => network.extend(listed.iter().cloned()),
                Network::Host(host) => network.push(rule_of(host)),
            }
        }
        let kv = self.has.kv.iter().map(|rule| KvRule { access: access(rule.access), keys: rule.keys.clone() });
        let is_read = |kind: &&String| !kind.contains(':');
        Grants {
            network,
            insecure_tls: self.has.insecure_tls,
            proxies: self.has.proxies.clone(),
            files: access(self.has.files),
            namespace_files: has(&self.has.objects, "file"),
            kv: kv.collect(),
            working_dir: access(self.has.files),
            template: true,
            secrets: self.has.secrets.clone(),
            reveal: self.has.reveal.clone(),
            processes: self.has.processes.clone(),
            objects_read: self.has.objects.iter().filter(is_read).cloned().collect(),
            objects_change: self.has.objects.clone(),
            models: self.has.models.clone(),
            says,
            within: Vec::new(),
        }
    }
}

/// Whether a name is listed, or what it begins with.
pub(crate) fn has(list: &[String], name: &str) -> bool {
    list.iter().any(|one| one == name || one.strip_suffix(ANY).is_some_and(|begin| name.starts_with(begin)))
}

/// The same, where who asks for any is content with some: which, only a run tells.
fn has_some(list: &[String], name: &str) -> bool {
    if name == ANY { !list.is_empty() } else { has(list, name) }
}

/// What an operation on values does to them.
pub(crate) fn access_of(operation: &str) -> Access {
    if matches!(operation, "get" | "keys") { Access::Read } else { Access::Write }
}

fn access(access: Access) -> runtime::Access {
    match access {
        Access::None => runtime::Access::None,
        Access::Read => runtime::Access::Read,
        Access::Write => runtime::Access::Write,
    }
}

/// What a manifest asks for, as grants: whatever its hosts, whether they may be dialled is the policy's to say.
pub(crate) fn asked(capabilities: &catalog::Capabilities, says: Says) -> Grants {
    let everything = [String::new()];
    let prefixes = if capabilities.kv_prefixes.is_empty() { &everything[..] } else { &capabilities.kv_prefixes };
    let kv = capabilities.kv.iter().flat_map(|operation| {
        let keys = |prefix: &String| Keys { access: access_of(operation), keys: format!("{prefix}{ANY}") };
        prefixes.iter().map(keys)
    });
    let asked = Section {
        files: if capabilities.files { Access::Write } else { Access::None },
        kv: kv.collect(),
        secrets: capabilities.secrets.clone(),
        reveal: capabilities.reveal.clone(),
        processes: capabilities.process.clone(),
        objects: capabilities.objects.clone(),
        models: capabilities.models.clone(),
        // Who asks for the network may ask for how it is used.
        insecure_tls: !capabilities.http.is_empty(),
        proxies: if capabilities.http.is_empty() { Vec::new() } else { vec![ANY.to_owned()] },
        ..Section::default()
    };
    let mut grants = Allowed { has: asked, place: String::new() }.grants(&[], &[], says);
    for access in &capabilities.http {
        let methods = (!access.methods.is_empty()).then(|| access.methods.clone());
        let hosts: Vec<HostPattern> = match &access.hosts {
            HttpHosts::NamedByFlow(_) => vec![HostPattern::Any],
            HttpHosts::Only(hosts) => hosts.iter().map(|host| pattern(host)).collect(),
        };
        grants.network.extend(hosts.into_iter().map(|host| NetworkRule {
            host,
            ports: Ports::Any,
            scheme: None,
            methods: methods.clone(),
            special: SpecialRanges::Allowed,
        }));
    }
    grants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_covers_what_a_manifest_asks_or_does_not() {
        let read = |text: &str| {
            let policy = model::read_policy(&format!("plugins: {{x: {text}}}")).expect("a policy");
            Allowed { has: policy.server.plugins["x"].clone(), place: String::new() }
        };
        let check = |text: &str, capability: Capability, expected: bool| {
            assert_eq!(read(text).covers(&capability), expected, "{text} {capability}");
        };
        let http = |host: &str, method: &str| Capability::Http { host: host.to_owned(), method: method.to_owned() };
        check("{network: [plugin]}", http("a.b", "*"), true);
        check("{network: [plugin]}", http("10.0.0.1", "*"), false);
        check("{network: [plugin]}", http("localhost", "*"), false);
        check("{network: [flow]}", http("a.b", "*"), false);
        check("{network: ['*.b']}", http("a.b", "GET"), true);
        check("{network: ['GET a.b']}", http("a.b", "POST"), false);
        let kv = |operation: &str, prefix: &str| Capability::Kv { operation: operation.into(), prefix: prefix.into() };
        check("{kv: read}", kv("keys", ""), true);
        check("{kv: read}", kv("set", "a."), false);
        check("{kv: [write a.*]}", kv("delete", "a.b"), true);
        check("{kv: [write a.*]}", kv("get", ""), false);
        check("{files: read}", Capability::Files, false);
        check("{files: write}", Capability::Files, true);
        check("{secrets: ['A_*']}", Capability::Secret("A_B".into()), true);
        check("{secrets: ['A_*']}", Capability::Secret("*".into()), true);
        check("{secrets: false}", Capability::Secret("*".into()), false);
        check("{secrets: true}", Capability::Secret("*".into()), true);
        check("{memory: 1GiB}", Capability::MemoryBytes(1 << 30), true);
        check("{memory: 1GiB}", Capability::MemoryBytes((1 << 30) + 1), false);
        check("{objects: true}", Capability::Other("moon".into()), false);
    }
}
