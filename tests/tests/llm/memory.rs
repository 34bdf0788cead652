//! Keys never enter a guest: while ten providers wait for their answers, the memories of all guests are read, and no key is in them.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tests::models::{Models, Provider};

use crate::{ask, model_of, provider, world};

/// Address space that a memory of a guest keeps free behind it, at least: nothing else of this process keeps as much.
const BEHIND: u64 = 1 << 30;
/// Said in the question, so that it is seen that what is read is the memory of guests.
const MARK: &str = "the-mark-of-this-question";

/// The bytes of the memories of all guests of this process: what can be written, with much that cannot be touched behind it.
fn guest_memories() -> Vec<u8> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("this system shows its maps");
    let lines: Vec<(u64, u64, &str)> = maps
        .lines()
        .filter_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            Some((number(from)?, number(to)?, rest.get(..4)?))
        })
        .collect();
    let memory = File::open("/proc/self/mem").expect("a process may read itself");
    let mut bytes = Vec::new();
    for pair in lines.windows(2) {
        let [(from, to, rights), (next, end, behind)] = pair else { continue };
        if rights.starts_with("rw") && behind.starts_with("---") && to == next && end - next >= BEHIND {
            let mut piece = vec![0; usize::try_from(to - from).expect("it fits")];
            // Another test may have given it back since.
            if memory.read_exact_at(&mut piece, *from).is_ok() {
                bytes.extend(piece);
            }
        }
    }
    bytes
}

/// A key in the spellings that a request may have it in, a long one by its middle: a PEM is broken into lines elsewhere.
fn spellings(key: &str) -> Vec<Vec<u8>> {
    let lines: Vec<&str> = key.lines().filter(|line| !line.starts_with("-----")).collect();
    let middle = lines.get(lines.len() / 2).copied().unwrap_or(key);
    vec![middle.as_bytes().to_vec(), STANDARD.encode(middle).into_bytes()]
}

fn has(memory: &[u8], needle: &[u8]) -> bool {
    memory.windows(needle.len()).any(|window| window == needle)
}

fn keys(models: &Models) -> Vec<(String, String)> {
    let keys = Provider::ALL.iter().map(|one| (one.name().to_owned(), models.key(*one).to_owned()));
    keys.chain([("access key id".to_owned(), models.bedrock_access_key_id().to_owned())]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_in_the_memory_of_a_guest() {
    world(json!([{ "faults": ["hang"] }]), async |api, models| {
        let mut paths = Vec::new();
        for one in Provider::ALL {
            let id = format!("hang_{}", one.name().replace('-', "_"));
            let mut task = ask(provider(models, one, model_of(one)), MARK);
            task["id"] = json!("t");
            api.save(&json!({ "id": id, "namespace": "tests.llm", "tasks": [task] }).to_string()).await;
            let started = api.post(&format!("executions/tests.llm/{id}"), "application/json", "{}").await.ok();
            paths.push(format!("executions/{}/kill", started["id"].as_str().expect("an id")));
        }
        // Each has sent its question, Vertex AI its assertion before that: the keys were of use.
        let asked = || models.seen().iter().filter(|seen| seen.provider.is_some()).count();
        while asked() < Provider::ALL.len() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(models.seen().iter().all(|seen| seen.authorized), "every key was the right one");
        let memory = guest_memories();
        assert!(has(&memory, MARK.as_bytes()), "what was read is the memory of guests");
        assert!(has(&memory, b"sluicesecret"), "guests have placeholders");
        for (whose, key) in keys(models) {
            for spelling in spellings(&key) {
                assert!(!has(&memory, &spelling), "the key of {whose} is in the memory of a guest");
            }
        }
        for path in paths {
            api.delete(&path).await;
        }
    })
    .await;
}

#[test]
fn a_key_that_is_there_is_found() {
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA1\nBBBB2\nCCCC3\n-----END PRIVATE KEY-----\n";
    assert!(spellings(key).iter().any(|spelling| has(b"xx BBBB2 xx", spelling)));
    assert!(spellings("sk-1234").iter().any(|spelling| has(b"Bearer sk-1234", spelling)));
}
