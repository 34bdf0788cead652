//! Both directions, both sources of truth, three ways with what is missing, over sets of flows and files made at random: the dry run says what then
//! happens, and afterwards both sides are the same where they should be.
#![expect(clippy::print_stdout, reason = "a test says what it counted")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::git::{Commit, Repository, available};
use tests::served::Api;
use tests::simulation::dice::Dice;

use crate::world::{Files, diff, ended, failed, file, flow, flows, namespace_files, put_file, run, world};

/// How many pairs of sides are made.
const PAIRS: u64 = 24;
const NAMESPACE: &str = "team.one";

/// What one side has: flows by id and files by path, with a version each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set {
    flows: BTreeMap<String, u64>,
    files: BTreeMap<String, u64>,
}

impl Set {
    fn random(dice: &Dice) -> Self {
        let mut set = Self::default();
        for number in 0..6 {
            if dice.percent(60) {
                set.flows.insert(format!("flow_{number}"), dice.within(1, 3));
            }
            if dice.percent(60) {
                let path = ["a.txt", "dir/b.bin", "dir/deep/größe", "c with space.md", "d", "e.json"];
                set.files.insert(path[number].to_owned(), dice.within(1, 3));
            }
        }
        set
    }

    fn is_empty(&self) -> bool {
        self.flows.is_empty() && self.files.is_empty()
    }

    fn flow(id: &str, version: u64) -> String {
        flow(NAMESPACE, id, &format!("version {version}"))
    }

    fn file(path: &str, version: u64) -> Vec<u8> {
        let mut bytes = format!("{path} {version}\n").into_bytes();
        if path.ends_with(".bin") {
            bytes.extend((0..20_000_u64).map(|number| (number * version % 256) as u8));
        }
        bytes
    }

    /// As a repository has it.
    fn in_repository(&self) -> Files {
        let flows = self
            .flows
            .iter()
            .map(|(id, version)| (format!("{NAMESPACE}/flows/{id}.yaml"), file(&Self::flow(id, *version))));
        let files = self.files.iter().map(|(path, version)| {
            (format!("{NAMESPACE}/files/{path}"), tests::git::Entry::File(Self::file(path, *version)))
        });
        flows.chain(files).collect()
    }

    async fn put_into_engine(&self, api: &Api) {
        for (id, version) in &self.flows {
            api.save(&Self::flow(id, *version)).await;
        }
        for (path, version) in &self.files {
            put_file(api, NAMESPACE, path, &Self::file(path, *version)).await;
        }
    }
}

/// What the engine has.
async fn engine(api: &Api) -> (BTreeMap<String, String>, BTreeMap<String, Vec<u8>>) {
    (flows(api, NAMESPACE).await, namespace_files(api, NAMESPACE).await)
}

async fn clear(api: &Api) {
    for name in flows(api, NAMESPACE).await.into_keys() {
        api.delete(&format!("flows/{name}")).await;
    }
    for path in namespace_files(api, NAMESPACE).await.into_keys() {
        api.delete(&format!("namespaces/{NAMESPACE}/files?path=/{path}")).await;
    }
}

/// What `source` makes of `target`, with what is missing kept or not.
fn merged(source: &Set, target: &Set, keep: bool) -> Set {
    let mut set = source.clone();
    if keep {
        for (into, from) in [(&mut set.flows, &target.flows), (&mut set.files, &target.files)] {
            for (name, version) in from {
                into.entry(name.clone()).or_insert(*version);
            }
        }
    }
    set
}

fn lacks(source: &Set, target: &Set) -> bool {
    target.flows.keys().any(|id| !source.flows.contains_key(id))
        || target.files.keys().any(|path| !source.files.contains_key(path))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_what_then_happens() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let (mut changed, mut refused) = (0, 0);
        for seed in 0..PAIRS {
            let dice = Dice::new(seed, 0x7379_6e63);
            let (ours, theirs) = (Set::random(&dice), Set::random(&dice));
            for (source, missing) in [
                ("GIT", "DELETE"),
                ("GIT", "KEEP"),
                ("GIT", "FAIL"),
                ("KESTRA", "DELETE"),
                ("KESTRA", "KEEP"),
                ("KESTRA", "FAIL"),
            ] {
                let what = format!("seed {seed}, {source}, {missing}");
                clear(api).await;
                ours.put_into_engine(api).await;
                let repository = Repository::new();
                let commit = Commit::on("main").file("README.md", "ours");
                let commit =
                    theirs.in_repository().into_iter().fold(commit, |commit, (path, entry)| commit.put(path, entry));
                repository.commit(commit);
                let served = server.add(&format!("{seed}-{source}-{missing}.git"), &repository);
                let name = format!("{seed}-{source}-{missing}.git");
                let properties =
                    json!({ "namespace": NAMESPACE, "sourceOfTruth": source, "whenMissingInSource": missing });
                let (before, head) = (engine(api).await, served.hash("main"));
                let mut dry = properties.clone();
                dry["dryRun"] = json!(true);
                let planned = run(api, server, "NamespaceSync", &name, dry).await;
                assert_eq!(
                    (engine(api).await, served.hash("main")),
                    (before.clone(), head.clone()),
                    "{what}: a dry run changes nothing"
                );
                let done = run(api, server, "NamespaceSync", &name, properties).await;
                let (from, to) = if source == "GIT" { (&theirs, &ours) } else { (&ours, &theirs) };
                if missing == "FAIL" && lacks(from, to) {
                    assert_eq!(failed(&planned).0, "GIT_MISSING", "{what}");
                    assert_eq!(failed(&done).0, "GIT_MISSING", "{what}");
                    assert_eq!((engine(api).await, served.hash("main")), (before, head), "{what}");
                    refused += 1;
                    continue;
                }
                if missing == "DELETE" && from.is_empty() && !to.is_empty() {
                    assert_eq!(failed(&done).0, "GIT_DESTRUCTIVE", "{what}");
                    refused += 1;
                    continue;
                }
                let outputs = ended(&done, "SUCCESS");
                let rows = diff(api, &done, &outputs["diff"]).await;
                let state = if rows.is_empty() { "SUCCESS" } else { "WARNING" };
                let dry = ended(&planned, state);
                let without_revisions = |mut rows: Vec<Value>| {
                    rows.iter_mut().for_each(|row| row["revision"] = Value::Null);
                    rows
                };
                let planned_rows = diff(api, &planned, &dry["diff"]).await;
                assert_eq!(without_revisions(planned_rows), without_revisions(rows.clone()), "{what}");
                assert_eq!((&dry["summary"], &dry["drift"]), (&outputs["summary"], &json!(!rows.is_empty())), "{what}");
                changed += rows.len();
                // Both sides are what the rules make of them.
                let expected = merged(from, to, missing == "KEEP");
                let (in_engine, in_repository) =
                    if source == "GIT" { (&expected, &theirs) } else { (&ours, &expected) };
                let (flows, files) = engine(api).await;
                let wanted: BTreeMap<String, String> = in_engine
                    .flows
                    .iter()
                    .map(|(id, version)| (format!("{NAMESPACE}/{id}"), Set::flow(id, *version).trim().to_owned()))
                    .collect();
                assert_eq!(flows, wanted, "{what}");
                let wanted: BTreeMap<String, Vec<u8>> =
                    in_engine.files.iter().map(|(path, version)| (path.clone(), Set::file(path, *version))).collect();
                assert_eq!(files, wanted, "{what}");
                let mut there = served.checkout("main");
                assert_eq!(there.remove("README.md"), Some(file("ours")), "{what}");
                assert_eq!(there, in_repository.in_repository(), "{what}");
                assert_eq!(served.fsck_strict(), Ok(()), "{what}");
            }
        }
        println!("{} syncs, {changed} things changed as planned, {refused} refused with nothing changed", PAIRS * 6);
    })
    .await;
}
