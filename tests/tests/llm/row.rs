//! One provider in one column of the matrix: asks it through the asker, and looks at what came to the stand-in. What fails says which of both
//! it was.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use serde_json::{Value, json};
use tests::models::{Models, Provider, Script, Seen};
use tests::served::Api;

use super::{model_of, provider, run, world};

/// Flows are named apart, whatever the column.
static FLOWS: AtomicUsize = AtomicUsize::new(0);

/// One field of the matrix.
pub(crate) struct Row<'a> {
    pub api: &'a Api,
    pub models: &'a Models,
    pub provider: Provider,
    pub column: &'static str,
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.provider.name(), self.column)
    }
}

/// Fills a column: all providers at once, on one node and one stand-in with this script.
pub(crate) async fn column(name: &'static str, rules: Value, test: impl AsyncFn(Row<'_>)) {
    column_of(name, &Provider::ALL, rules, test).await;
}

/// The same with some providers.
pub(crate) async fn column_of(name: &'static str, providers: &[Provider], rules: Value, test: impl AsyncFn(Row<'_>)) {
    world(rules, async |api, models| {
        let rows = providers.iter().map(|provider| Row { api, models, provider: *provider, column: name });
        // Each row says for itself what is wrong with it.
        let rows = rows.map(|row| {
            let field = row.to_string();
            AssertUnwindSafe(test(row)).catch_unwind().map(|done| done.err().map(|_| field))
        });
        let wrong: Vec<String> = futures::future::join_all(rows).await.into_iter().flatten().collect();
        assert!(wrong.is_empty(), "wrong: {wrong:?}");
    })
    .await;
}

/// A question of one user's text.
pub(crate) fn question(text: &str) -> Value {
    json!({ "model": "", "messages": [user(text)] })
}

pub(crate) fn user(text: &str) -> Value {
    json!({ "role": "user", "parts": [{ "type": "text", "text": text }] })
}

/// A request with further fields.
pub(crate) fn with(mut request: Value, fields: Value) -> Value {
    let fields = fields.as_object().expect("an object").clone();
    request.as_object_mut().expect("an object").extend(fields);
    request
}

impl Row<'_> {
    /// Adds a rule that answers this provider once.
    pub fn once(&self, mut rule: Value) {
        rule["times"] = json!(1);
        rule["when"]["provider"] = json!(self.provider.name());
        self.models.add(Script::parse(&json!([rule]).to_string()).expect("a script"));
    }

    /// Asks the provider's usual model.
    pub async fn ask(&self, request: Value) -> Value {
        self.ask_of(provider(self.models, self.provider, model_of(self.provider)), request).await
    }

    /// Asks a provider as it is written here.
    pub async fn ask_of(&self, provider: Value, request: Value) -> Value {
        let id = format!("row_{}", FLOWS.fetch_add(1, Ordering::Relaxed));
        run(self.api, &id, json!({ "type": "test.asker.Ask", "provider": provider, "request": request })).await
    }

    /// What came of a question that went well: `parts` and `answer`.
    pub async fn came(&self, request: Value) -> Value {
        self.outputs(&self.ask(request).await)
    }

    #[track_caller]
    pub fn outputs(&self, execution: &Value) -> Value {
        let failure = &execution["taskRunList"][0]["attempts"][0]["failure"];
        assert_eq!(execution["state"]["current"], "SUCCESS", "{self}: {failure:#}");
        self.tried_once(execution);
        execution["taskRunList"][0]["outputs"].clone()
    }

    /// How a question failed that was to fail.
    #[track_caller]
    pub fn failure(&self, execution: &Value) -> Value {
        let outputs = &execution["taskRunList"][0]["outputs"];
        assert_eq!(execution["state"]["current"], "FAILED", "{self}: {outputs:#}");
        self.tried_once(execution);
        execution["taskRunList"][0]["attempts"][0]["failure"].clone()
    }

    /// What the asker was told beside that: `retryable` and `details`, which executions do not keep.
    pub async fn told(&self, execution: &Value) -> Value {
        let lines = self.warnings(execution).await;
        let told = lines.iter().find_map(|line| line.strip_prefix("failed: ")).expect("the asker says how it failed");
        serde_json::from_str(told).expect("JSON")
    }

    /// The warnings in an execution's log.
    pub async fn warnings(&self, execution: &Value) -> Vec<String> {
        let id = execution["id"].as_str().expect("an id");
        let lines = self.api.get(&format!("logs/{id}?minLevel=WARN")).await.ok();
        let lines = lines.as_array().expect("a list").iter();
        lines.filter_map(|line| line["message"].as_str().map(str::to_owned)).collect()
    }

    /// However often a provider was asked, it was one attempt of the task.
    #[track_caller]
    fn tried_once(&self, execution: &Value) {
        assert_eq!(execution["taskRunList"][0]["attempts"].as_array().map(Vec::len), Some(1), "{self}: {execution:#}");
    }

    /// What came to the stand-in, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        let seen = self.models.seen();
        let own: Vec<Seen> = seen.into_iter().filter(|seen| seen.provider == Some(self.provider)).collect();
        assert!(own.iter().all(|seen| seen.authorized), "{self}");
        own
    }

    /// What came with this in its question.
    pub fn seen_with(&self, text: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.body.to_string().contains(text)).collect()
    }

    /// The body of the one request that came.
    #[track_caller]
    pub fn body(&self) -> Value {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "{self}: {seen:?}");
        seen[0].body.clone()
    }
}

/// The texts of an answer's parts of a kind, one behind the other.
pub(crate) fn text_of(parts: &Value, kind: &str) -> String {
    let parts = parts.as_array().into_iter().flatten();
    parts.filter(|part| part["type"] == kind).filter_map(|part| part["text"].as_str()).collect()
}
