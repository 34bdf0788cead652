//! A policy file, and the `grants:` of a flow: the same words, and every problem at once with its line.

use std::collections::BTreeMap;

use super::task;
use crate::node::{Fields, Node, text};
use crate::policy::{Access, EVERY, Keys, Level, Network, Policy, Profile, Section};
use crate::problem::{Problem, Problems};
use crate::yaml;

const PROFILES: &[(&str, Profile)] = &[("standard", Profile::Standard), ("strict", Profile::Strict)];
const ACCESS: &[(&str, Access)] = &[("none", Access::None), ("read", Access::Read), ("write", Access::Write)];

/// Reads a policy file.
pub fn policy(source: &str) -> Result<Policy, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut policy = Policy::default();
    if let Some(document) = yaml::read(source, &mut problems)
        && !document.value.is_null()
    {
        let root = Node::root(&document.value, document.outline.as_deref());
        if let Some(mut fields) = Fields::open(root, &mut problems) {
            policy.server = level(&mut fields, &mut problems);
            for (name, node) in entries(&mut fields, "namespaces", "namespace to what it may", &mut problems) {
                if let Some(mut fields) = Fields::open(node, &mut problems) {
                    policy.namespaces.insert(name, level(&mut fields, &mut problems));
                    fields.finish(&mut problems);
                }
            }
            for (name, node) in entries(&mut fields, "secrets", "secret to its hosts", &mut problems) {
                if let Some(mut fields) = Fields::open(node, &mut problems) {
                    let hosts = names(&mut fields, "hosts", &mut problems);
                    policy.secrets.insert(name.to_ascii_uppercase(), hosts);
                    fields.finish(&mut problems);
                }
            }
            fields.finish(&mut problems);
        }
    }
    let problems = problems.finish();
    if problems.iter().any(Problem::is_error) { Err(problems) } else { Ok(policy) }
}

/// Sections by plugin: `plugins:` of a policy, `grants:` of a flow.
pub(super) fn sections(
    fields: &mut Fields<'_>,
    key: &'static str,
    problems: &mut Problems,
) -> BTreeMap<String, Section> {
    let entries = entries(fields, key, "plugin to what it may", problems);
    entries.into_iter().filter_map(|(plugin, node)| Some((plugin, section(node, problems)?))).collect()
}

fn level(fields: &mut Fields<'_>, problems: &mut Problems) -> Level {
    let profile = fields.choice("profile", PROFILES, problems);
    let plugins = sections(fields, "plugins", problems);
    let versions = entries(fields, "versions", "plugin to version requirement", problems);
    let versions =
        versions.into_iter().filter_map(|(plugin, node)| Some((plugin, task::requirement(&node, problems)?)));
    Level { profile, plugins, versions: versions.collect() }
}

fn entries<'a>(
    fields: &mut Fields<'a>,
    key: &'static str,
    of: &str,
    problems: &mut Problems,
) -> Vec<(String, Node<'a>)> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    if node.value.as_map().is_none() {
        problems.push(node.wrong_type(&format!("a map of {of}")));
    }
    node.entries().into_iter().map(|(name, node)| (name.to_string(), node)).collect()
}

fn section(node: Node<'_>, problems: &mut Problems) -> Option<Section> {
    let mut fields = Fields::open(node, problems)?;
    let section = Section {
        profile: fields.choice("profile", PROFILES, problems),
        network: network(&mut fields, problems),
        insecure_tls: fields.boolean("insecureTls", false, problems),
        proxies: names(&mut fields, "proxies", problems),
        files: fields.choice("files", ACCESS, problems).unwrap_or_default(),
        kv: keys(&mut fields, problems),
        secrets: names(&mut fields, "secrets", problems),
        reveal: names(&mut fields, "reveal", problems),
        processes: names(&mut fields, "processes", problems),
        objects: names(&mut fields, "objects", problems),
        models: names(&mut fields, "models", problems),
        memory_bytes: fields.get("memory").and_then(|node| bytes(&node, problems)).unwrap_or(0),
        time_ms: fields
            .duration("time", problems)
            .map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
    };
    fields.finish(problems);
    Some(section)
}

fn network(fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<Network> {
    let mut hosts = Vec::new();
    for item in fields.list("network", problems) {
        let Some(text) = text(&item, problems) else { continue };
        match Network::parse(&text) {
            Ok(host) => hosts.push(host),
            Err(wrong) => problems.push(item.error("policy.host", wrong).hint(
                "write `[METHOD ][https://]HOST[:PORT]`, `flow` for the hosts a flow names, or `plugin` for those a manifest lists",
            )),
        }
    }
    hosts
}

/// `write` for all values, or a list of which.
fn keys(fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<Keys> {
    let Some(node) = fields.get("kv") else { return Vec::new() };
    let items = if node.value.as_list().is_some() { node.items() } else { vec![node] };
    let mut read = Vec::new();
    for item in items {
        let Some(written) = text(&item, problems) else { continue };
        let (access, keys) = written.trim().split_once(char::is_whitespace).unwrap_or((written.trim(), EVERY));
        match ACCESS.iter().find(|(name, _)| *name == access) {
            Some((_, access)) => read.push(Keys { access: *access, keys: keys.trim().to_owned() }),
            None => problems.push(item.wrong_type("`read`, `write` or `none`, and which keys, as in `read team.*`")),
        }
    }
    read
}

/// A list of names; `true` stands for all, `false` for none.
fn names(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Vec<String> {
    let Some(node) = fields.get(key) else { return Vec::new() };
    match node.value {
        expr::Value::Bool(true) => return vec![EVERY.to_owned()],
        expr::Value::Bool(false) => return Vec::new(),
        expr::Value::List(_) => {}
        _ => problems.push(node.wrong_type("a list of names, or `true` for all of them")),
    }
    node.items().iter().filter_map(|item| text(item, problems)).collect()
}

/// `512 MiB`, `1GiB`, or a number of bytes.
fn bytes(node: &Node<'_>, problems: &mut Problems) -> Option<u64> {
    const UNITS: &[(&str, u64)] = &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];
    let written = text(node, problems)?;
    let read = UNITS.iter().find_map(|(unit, factor)| {
        let number = written.trim().strip_suffix(unit)?.trim().parse::<u64>().ok()?;
        number.checked_mul(*factor).filter(|bytes| *bytes > 0)
    });
    if read.is_none() {
        problems.push(node.wrong_type("a size, as in `512 MiB`"));
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Host, Port};

    fn refused(source: &str, expected: &[(u32, &str)]) {
        let problems = policy(source).expect_err("it is refused");
        let found: Vec<String> = problems.iter().map(|one| format!("{} {}", one.line, one.message)).collect();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (one, (line, part)) in found.iter().zip(expected) {
            assert!(one.starts_with(&format!("{line} ")) && one.contains(part), "`{one}` is not `{line} {part}`");
        }
    }

    #[test]
    fn a_whole_policy_is_read() {
        let read = policy(
            "profile: strict\nversions: {core: ^1}\nplugins:\n  '*': {files: write}\n  http:\n    network: [flow, 'GET 10.0.0.5:8080']\n    \
             insecureTls: true\n    proxies: ['p:3128']\n    kv: [read, write team.*]\n    secrets: true\n    reveal: [A]\n    \
             processes: false\n    objects: [flow]\n    models: [x.Y]\n    memory: 1 GiB\n    time: PT5M\nnamespaces:\n  a.b: {profile: standard}\n\
             secrets:\n  key: {hosts: ['api.example.com']}\n",
        )
        .unwrap();
        assert_eq!(read.server.profile, Some(Profile::Strict));
        assert_eq!(read.server.versions["core"], "^1");
        assert_eq!(read.server.plugins["*"].files, Access::Write);
        let http = &read.server.plugins["http"];
        let host =
            Host { host: "10.0.0.5".to_owned(), port: Port::One(8080), methods: vec!["GET".to_owned()], scheme: None };
        assert_eq!(http.network, [Network::Flow, Network::Host(host)]);
        assert_eq!((http.insecure_tls, http.profile, http.files), (true, None, Access::None));
        let keys = |access, keys: &str| Keys { access, keys: keys.to_owned() };
        assert_eq!(http.kv, [keys(Access::Read, "*"), keys(Access::Write, "team.*")]);
        assert_eq!((http.secrets.as_slice(), http.processes.len()), (&["*".to_owned()][..], 0));
        assert_eq!((http.memory_bytes, http.time_ms), (1 << 30, 300_000));
        assert_eq!(read.namespaces["a.b"].profile, Some(Profile::Standard));
        assert_eq!(read.secrets["KEY"], ["api.example.com"]);
        assert_eq!(policy("").unwrap(), Policy::default());
    }

    #[test]
    fn every_problem_is_told_with_its_line() {
        refused("- 1", &[(1, "a map")]);
        refused(
            "profile: lax\nplugins:\n  http:\n    network: ['ftp://x']\n    file: write\n    files: all\n    memory: much\n    secrets: A\n    kv: all\n\
             versions: {core: '^x'}\nnamespace: {}\n",
            &[
                (1, "`lax` is none of"),
                (4, "has a scheme other than"),
                (5, "unknown property `file`"),
                (6, "`all` is none of"),
                (7, "expected a size"),
                (8, "a list of names"),
                (9, "and which keys"),
                (10, "^x"),
                (11, "unknown property `namespace`"),
            ],
        );
    }
}
