//! Five hundred secrets in assorted shapes: each reaches its host as it should, and none is found anywhere else, in any spelling.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::bytes::Regex;
use serde_json::{Value, json};
use store::embedded::{EmbeddedStore, Options as StoreOptions};
use store::{Page, Query, Store, View, rows};
use tests::mirror::Exchange;
use tests::served::Options;

use super::{alarms, logs, world};

const CANARIES: usize = 500;
/// Tasks of one flow, so requests of one execution.
const TASKS: usize = 25;
/// Longest the store may take to be let go of.
const CLOSE_MAX: Duration = Duration::from_secs(30);
/// Letters of values: all that a header may have, but for the dot, which in a path has a meaning of its own.
const LETTERS: &[u8] =
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!\"#$%&'()*+,-/:;<=>?@[\\]^_`{|}~";

/// A number nobody knows beforehand.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

fn random_text(letters: &[u8], length: usize) -> String {
    (0..length).map(|_| char::from(letters[random() as usize % letters.len()])).collect()
}

#[derive(Clone, Copy)]
enum Shape {
    Whole,
    Path,
    Query,
    Header,
    Basic,
    Json,
    Form,
}

const SHAPES: [Shape; 7] =
    [Shape::Whole, Shape::Path, Shape::Query, Shape::Header, Shape::Basic, Shape::Json, Shape::Form];

struct Canary {
    name: String,
    value: String,
    shape: Shape,
}

impl Canary {
    fn new(index: usize, origin: &str) -> Self {
        let shape = SHAPES[index % SHAPES.len()];
        let length = 12 + random() as usize % 40;
        let value = match shape {
            Shape::Whole => format!(
                "{origin}/hooks/{}?key={}",
                random_text(&LETTERS[..62], length),
                random_text(&LETTERS[..62], 20)
            ),
            // Slashes beside each other would be an empty segment, which is one like another.
            _ => random_text(LETTERS, length),
        };
        Self { name: format!("CANARY_{index}"), value, shape }
    }

    /// A task that sends it.
    fn task(&self, index: usize, origin: &str) -> Value {
        let secret = format!("{{{{ secret('{}') }}}}", self.name);
        let own = match self.shape {
            Shape::Whole => json!({ "uri": secret }),
            Shape::Path => json!({ "uri": format!("{origin}/path/{secret}/end") }),
            Shape::Query => json!({ "uri": format!("{origin}/query?a=1"), "params": { "key": secret } }),
            Shape::Header => {
                json!({ "uri": format!("{origin}/header"), "headers": { "x-canary": index, "x-key": secret } })
            }
            Shape::Basic => {
                json!({ "uri": format!("{origin}/basic"), "options": { "auth": { "type": "BASIC", "username": "me", "password": secret } } })
            }
            Shape::Json => {
                json!({ "uri": format!("{origin}/json"), "method": "POST", "body": format!("{{\"key\": \"{secret}\"}}") })
            }
            Shape::Form => {
                json!({ "uri": format!("{origin}/form"), "method": "POST", "formData": { "a": "1", "key": secret } })
            }
        };
        let mut task = json!({ "id": format!("t{index}"), "type": "io.kestra.plugin.core.http.Request", "headers": { "x-canary": index } });
        task.as_object_mut().expect("an object").extend(own.as_object().expect("an object").clone());
        task
    }

    /// What the host got of it.
    fn received(&self, exchange: &Exchange) -> String {
        let decoded = |text: &str| {
            let text = text.replace('+', "%2B");
            let text = format!("k={}", text.replace('&', "%26").replace('=', "%3D"));
            url_decoded(text.strip_prefix("k=").unwrap_or_default())
        };
        let body = exchange.body.clone().unwrap_or_default();
        match self.shape {
            Shape::Whole => exchange.uri.to_string(),
            Shape::Path => decoded(
                exchange
                    .uri
                    .path()
                    .strip_prefix("/path/")
                    .and_then(|path| path.strip_suffix("/end"))
                    .unwrap_or_default(),
            ),
            Shape::Query => {
                decoded(exchange.uri.query().unwrap_or_default().strip_prefix("a=1&key=").unwrap_or_default())
            }
            Shape::Header => exchange.header("x-key").to_owned(),
            Shape::Basic => {
                let encoded = exchange.header("authorization").strip_prefix("Basic ").unwrap_or_default();
                let plain = String::from_utf8(STANDARD.decode(encoded).expect("base64")).expect("text");
                plain.strip_prefix("me:").unwrap_or_default().to_owned()
            }
            Shape::Json => {
                serde_json::from_str::<Value>(&body).expect("JSON")["key"].as_str().unwrap_or_default().to_owned()
            }
            Shape::Form => decoded(body.strip_prefix("a=1&key=").unwrap_or_default()),
        }
    }

    /// What it must be.
    fn expected(&self, origin: &str) -> &str {
        match self.shape {
            Shape::Whole => self.value.strip_prefix(origin).expect("a URL of the host"),
            _ => &self.value,
        }
    }

    /// What may be shown nowhere.
    fn hidden(&self, origin: &str) -> &str {
        self.expected(origin)
    }
}

fn url_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, more)) = rest.split_first() {
        let digits = more.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).expect("text")
}

/// Every spelling of a value, written here once more so that a mistake there is seen here.
fn spellings(value: &str) -> Vec<String> {
    let bytes = value.as_bytes();
    let quoted = serde_json::to_string(value).expect("text");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let percent = |stays: &[u8]| -> String {
        let one = |byte: &u8| match byte.is_ascii_alphanumeric() || stays.contains(byte) {
            true => char::from(*byte).to_string(),
            false => format!("%{byte:02X}"),
        };
        bytes.iter().map(one).collect()
    };
    let mut all = vec![value.to_owned(), quoted[1..quoted.len() - 1].to_owned(), hex.to_uppercase(), hex];
    all.extend([percent(b"-._~"), percent(b"-._~").to_lowercase(), percent(b"-._~!$&'()*+,;=:@/")]);
    for before in ["", "x", "xx"] {
        // Without the characters that have bits of neighbours.
        let text = STANDARD.encode([before.as_bytes(), bytes].concat());
        let text = text.trim_end_matches('=');
        let start = [0, 2, 3][before.len()];
        let end = text.len() - usize::from(!(before.len() + bytes.len()).is_multiple_of(3));
        let text = &text[start..end];
        all.extend([text.to_owned(), text.replace('+', "-").replace('/', "_")]);
    }
    all.sort();
    all.dedup();
    all
}

/// Finds values in whatever it is shown.
struct Search {
    all: Regex,
    found: BTreeMap<String, Vec<String>>,
}

impl Search {
    fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let all: Vec<String> = values.into_iter().flat_map(spellings).map(|text| regex::escape(&text)).collect();
        let all = regex::bytes::RegexBuilder::new(&all.join("|")).size_limit(1 << 30).unicode(true).build();
        Self { all: all.expect("an expression"), found: BTreeMap::new() }
    }

    fn look(&mut self, place: &str, bytes: &[u8]) {
        let found = self.all.find_iter(bytes).map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned());
        let found: Vec<String> = found.take(10).collect();
        if !found.is_empty() {
            self.found.entry(place.to_owned()).or_default().extend(found);
        }
    }

    fn look_in_folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                self.look_in_folder(&path);
                continue;
            }
            let content = std::fs::read(&path).expect("a file");
            self.look(&format!("file {}", path.file_name().unwrap_or_default().to_string_lossy()), &content);
        }
    }
}

fn close(store: Arc<EmbeddedStore>) {
    let began = Instant::now();
    while Arc::strong_count(&store) > 1 && began.elapsed() < CLOSE_MAX {
        std::thread::sleep(Duration::from_millis(20));
    }
    Arc::into_inner(store).expect("nobody else has it").close().expect("it closes");
}

/// A policy that binds all of them to one host.
fn bound_to(canaries: &[Canary], host: &str) -> String {
    let lines = canaries.iter().map(|canary| format!("  {}: {{hosts: ['{host}']}}\n", canary.name));
    format!("secrets:\n{}", lines.collect::<String>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_secrets_reach_their_hosts_and_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open_folder(folder.path(), StoreOptions::default()).expect("the folder opens").0;
    let store = Arc::new(store);
    let mirror = tests::mirror::Mirror::open().await;
    let origin = format!("http://{}", mirror.address);
    let canaries: Vec<Canary> = (0..CANARIES).map(|index| Canary::new(index, &origin)).collect();
    let control = format!("control-{}", random_text(&LETTERS[..62], 24));
    let options = Options {
        store: store.clone(),
        outside: vec![mirror.address],
        secrets: canaries.iter().map(|canary| (canary.name.clone(), canary.value.clone())).collect(),
        policy: Some(bound_to(&canaries, &mirror.address.to_string())),
        ..Options::default()
    };
    let hidden = canaries.iter().map(|canary| canary.hidden(&origin)).chain([control.as_str()]);
    let mut search = Search::new(hidden);
    world(options, async |api, _, _| {
        let mut answers = String::new();
        for (at, group) in canaries.chunks(TASKS).enumerate() {
            let tasks: Vec<Value> =
                group.iter().enumerate().map(|(own, canary)| canary.task(at * TASKS + own, &origin)).collect();
            let id = format!("canaries{at}");
            let saved = api.save(&json!({ "id": id, "namespace": "tests.secrets", "tasks": tasks }).to_string()).await;
            let ended = api.run(&format!("tests.secrets/{id}")).await;
            assert_eq!(ended["state"]["current"], "SUCCESS", "{ended:#}");
            answers.push_str(&format!("{saved}{ended}{}", logs(api, &ended).await));
            let execution = model::ids::ExecutionId::trusted(ended["id"].as_str().expect("an id"));
            let metrics = Query::Metrics { execution, after: 0 };
            let rows: &dyn Store = store.as_ref();
            let metrics = rows.list::<rows::Metric>(View::Newest, metrics, Page::first(1_000)).await.expect("metrics");
            assert!(!metrics.items.is_empty());
            metrics.items.iter().for_each(|row| answers.push_str(&format!("{row:?}")));
        }
        // By the test's own hand: it must be found, or nothing of this proves anything.
        let said = json!({ "id": "control", "namespace": "tests.secrets", "tasks": [
            { "id": "t", "type": "io.kestra.plugin.core.log.Log", "message": control }] });
        api.save(&said.to_string()).await;
        let ended = api.run("tests.secrets/control").await;
        search.look("control", logs(api, &ended).await.as_bytes());
        search.look("answers", answers.as_bytes());
        for path in ["executions?size=100", "flows/search?size=100", "flows/tests.secrets"] {
            let answer = api.get(path).await;
            search.look(path, answer.text.replace(&control, "").as_bytes());
        }
        let audit = api.get("/api/v1/cluster/versioned-plugins/audit").await;
        search.look("audit", audit.text.as_bytes());
        assert_eq!(alarms(api).await, [""; 0]);
        // While it is open the journal has every row as it was written; once it is closed all is compressed.
        search.look_in_folder(folder.path());
        let journal = search.found.iter().filter(|(place, _)| place.starts_with("file "));
        assert!(
            journal.flat_map(|(_, found)| found).any(|found| *found == control),
            "the control is in no file of the store"
        );
    })
    .await;

    let seen = mirror.seen();
    assert_eq!(seen.len(), CANARIES);
    for exchange in &seen {
        let index: usize = match exchange.header("x-canary") {
            "" => panic!("a request without its number: {exchange:?}"),
            number => number.parse().expect("a number"),
        };
        let canary = &canaries[index];
        assert_eq!(canary.received(exchange), canary.expected(&origin), "{}", canary.name);
    }
    mirror.end().await;
    close(store);
    search.look_in_folder(folder.path());
    let said = search.found.remove("control").expect("the control is found");
    assert_eq!(said, [control.as_str()]);
    let elsewhere = search.found.iter().flat_map(|(place, found)| found.iter().map(move |found| (place, found)));
    let elsewhere: Vec<_> = elsewhere.filter(|(_, found)| **found != control).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}
