//! Keys of all providers, after everything that may happen to a question: each is where its provider wants it, and in no other place, however
//! it is spelled.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::bytes::Regex;
use serde_json::{Value, json};
use store::embedded::{EmbeddedStore, Options as StoreOptions};
use tests::models::{Models, Provider, Script};
use tests::served::{Api, Options, serving_with};

use crate::row::{Row, question, with};
use crate::{ask, model_of, options, provider, run, secrets};

/// What goes wrong beside what goes well.
const FAULTS: [&str; 8] = [
    "wrongKey",
    "unknownModel",
    "badRequest",
    "contextTooLong",
    "quotaExhausted",
    "contentFilter",
    "errorInStream",
    "notJson",
];
/// The shortest secret that is looked for: what is shorter stands anywhere by chance.
const LEAST: usize = 16;

/// All that nobody may see, by a name that may be told.
fn hidden(models: &Models) -> BTreeMap<String, String> {
    let mut hidden = BTreeMap::new();
    for (name, value) in secrets(models) {
        // Of a key in lines each is enough.
        for (at, line) in value.split(['\n', '"', '\\']).filter(|line| line.len() >= 40 && *line != value).enumerate() {
            hidden.insert(format!("{name} line {at}"), line.to_owned());
        }
        hidden.insert(name, value);
    }
    // A service account is all but its key known to whoever has the flow.
    hidden.retain(|name, value| {
        value.len() >= LEAST && !value.starts_with("n-----") && !name.starts_with("GOOGLE_SA line")
    });
    hidden.remove("GOOGLE_SA");
    for seen in models.seen().iter().filter(|seen| seen.provider == Some(Provider::VertexAi)) {
        let token = seen.headers.iter().find_map(|(name, value)| (name == "authorization").then_some(value));
        hidden.extend(
            token.and_then(|token| token.strip_prefix("Bearer ")).map(|token| ("token".to_owned(), token.to_owned())),
        );
    }
    hidden
}

/// How a value may be spelled.
fn spellings(value: &str) -> Vec<String> {
    let quoted = json!(value).to_string();
    let percent = |byte: &u8| match byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
        true => char::from(*byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    let mut all =
        vec![value.to_owned(), quoted.trim_matches('"').to_owned(), value.bytes().map(|byte| percent(&byte)).collect()];
    all.push(value.bytes().map(|byte| format!("{byte:02x}")).collect());
    // One letter after the other.
    all.push(value.chars().map(|letter| format!("{letter} ")).collect());
    for before in ["", "x", "xx"] {
        let text = STANDARD.encode([before, value].concat());
        let text = text.trim_end_matches('=');
        // Without what has bits of neighbours.
        let end = text.len() - usize::from(!(before.len() + value.len()).is_multiple_of(3));
        let text = &text[[0, 2, 3][before.len()]..end];
        all.extend([text.to_owned(), text.replace('+', "-").replace('/', "_")]);
    }
    all
}

/// Finds values, however they are spelled.
struct Search {
    all: Regex,
    names: BTreeMap<String, String>,
}

impl Search {
    fn new(hidden: &BTreeMap<String, String>) -> Self {
        let spelled = |(name, value): (&String, &String)| {
            spellings(value).into_iter().map(|text| (text, name.clone())).collect::<Vec<_>>()
        };
        let names: BTreeMap<String, String> = hidden.iter().flat_map(spelled).collect();
        let all: Vec<String> = names.keys().map(|text| regex::escape(text)).collect();
        Self { all: Regex::new(&all.join("|")).expect("an expression"), names }
    }

    /// What is found in a place, by its name.
    fn look(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let found = self.all.find_iter(bytes).map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned());
        found.map(|text| format!("{} in {place}", self.names.get(&text).unwrap_or(&text))).collect()
    }
}

fn files(folder: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files(&path, all),
            false => all.push((format!("file {}", path.display()), std::fs::read(&path).expect("a file"))),
        }
    }
}

/// Asks a provider in every way; the executions.
async fn all_that_may_happen(api: &Api, models: &Models, of: Provider) -> Vec<Value> {
    let row = Row { api, models, provider: of, column: "leaks" };
    let mut talkative = provider(models, of, model_of(of));
    (talkative["logRequests"], talkative["logResponses"]) = (json!(true), json!(true));
    let mut ended = Vec::new();
    for marker in FAULTS.iter().chain(&["echo", "plain"]) {
        let asked = with(question(&format!("<{marker}>")), json!({ "stream": *marker != "notJson" }));
        ended.push(row.ask_of(talkative.clone(), asked).await);
    }
    let mut wrong = talkative.clone();
    wrong["modelName"] = "{{ secret('OPENAI_KEY') }}".into();
    ended.push(row.ask_of(wrong, question("<plain>")).await);
    ended.push(run(api, &format!("task_{}", of.name().replace('-', "_")), ask(talkative, "<echo>")).await);
    ended
}

/// A model that says the key it is asked with.
fn rules(models: &Models) -> Value {
    // Who is shown a signature or a token never gets the key, and Ollama has none here.
    let told = Provider::ALL
        .iter()
        .filter(|provider| !matches!(provider, Provider::VertexAi | Provider::Bedrock | Provider::Ollama));
    let echo = told.map(|provider| {
        let when = json!({ "provider": provider.name(), "says": "<echo>" });
        json!({ "when": when, "answer": { "thinking": models.key(*provider), "text": models.key(*provider) } })
    });
    let faults = FAULTS.iter().map(|fault| json!({ "when": { "says": format!("<{fault}>") }, "faults": [fault] }));
    echo.chain(faults).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_nowhere_but_with_their_providers() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open_folder(folder.path(), StoreOptions::default()).expect("the folder opens").0;
    let models = Models::start(Script::default()).await;
    models.add(Script::parse(&rules(&models).to_string()).expect("a script"));
    let control = "control-of-the-search-4711";
    serving_with(Options { store: Arc::new(store), ..options(&models) }, async |api| {
        let all = Provider::ALL.iter().map(|provider| all_that_may_happen(api, &models, *provider));
        let ended: Vec<Value> = futures::future::join_all(all).await.into_iter().flatten().collect();
        let message = json!({ "type": "io.kestra.plugin.core.log.Log", "message": control });
        run(api, "control", message).await;

        // Before a checkpoint the journal has every row as it was written.
        let mut written = Vec::new();
        files(folder.path(), &mut written);
        files(&api.folder, &mut written);
        let mut shown = Vec::new();
        for execution in &ended {
            let id = execution["id"].as_str().expect("an id");
            shown.push((format!("execution {id}"), execution.to_string()));
            for path in [format!("logs/{id}?minLevel=TRACE"), format!("executions/{id}"), format!("metrics/{id}")] {
                shown.push((path.clone(), api.get(&path).await.text));
            }
            let events = api.events(&format!("executions/{id}/follow"), None).await;
            shown.push((format!("events of {id}"), events.into_iter().map(|event| event.data).collect()));
        }
        for path in ["executions?size=200", "flows/search?size=200", "/api/v1/cluster/versioned-plugins/audit"] {
            shown.push((path.to_owned(), api.get(path).await.text));
        }

        let hidden = hidden(&models);
        assert!(hidden.len() > Provider::ALL.len(), "{:?}", hidden.keys());
        let everywhere = shown.iter().map(|(place, text)| (place, text.as_bytes()));
        let everywhere = everywhere.chain(written.iter().map(|(place, bytes)| (place, bytes.as_slice())));
        let search = Search::new(&hidden);
        let leaks: Vec<String> = everywhere.flat_map(|(place, bytes)| search.look(place, bytes)).collect();
        assert!(leaks.is_empty(), "{leaks:#?}");
        // What is there is found.
        let search = Search::new(&BTreeMap::from([("control".to_owned(), control.to_owned())]));
        let control = written.iter().flat_map(|(place, bytes)| search.look(place, bytes));
        assert!(control.count() > 0, "the store has no control");
    })
    .await;
    for seen in models.seen() {
        let told = format!("{} {} {}", seen.path, seen.query, seen.body);
        let own = seen.provider.filter(|of| *of != Provider::OpenAi).map(|of| models.key(of).to_owned());
        assert!(own.is_none_or(|key| !told.contains(&key)), "{} is told its key beside its place", seen.name);
    }
    models.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_have_placeholders_in_place_of_keys() {
    crate::world(json!([]), async |api, models| {
        for of in Provider::ALL {
            let asked = provider(models, of, model_of(of));
            let has_key = asked.to_string().contains("secret(");
            let task = json!({ "type": "test.asker.Tell", "provider": asked, "request": {} });
            let told = run(api, &format!("tell_{}", of.name().replace('-', "_")), task).await;
            let given = crate::outputs(&told)["given"].as_str().expect("a text");
            let spaced = |text: &str| text.chars().map(|letter| format!("{letter} ")).collect::<String>();
            assert_eq!(given.contains(&spaced("sluicesecret")), has_key, "{}: {given}", of.name());
            assert!(!given.contains(&spaced(models.key(of).trim())), "{}", of.name());
        }
    })
    .await;
}
