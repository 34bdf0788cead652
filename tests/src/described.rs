//! Holds what a server answers against the API's description: every request of a client of `served` passes here, so that no test can see an
//! answer that the description does not have.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::root;

/// The description as it was last read and blessed.
pub const GOLDEN: &str = "tests/openapi.json";
/// What writes it anew.
pub const BLESS: &str = "SLUICE_BLESS=1 cargo test --release --workspace --locked --test api openapi";

static API: LazyLock<Described> = LazyLock::new(|| {
    let text = std::fs::read_to_string(root().join(GOLDEN)).expect("the golden description is there");
    Described {
        document: serde_json::from_str(&text).expect("the golden description is JSON"),
        known: Mutex::default(),
    }
});

/// A request, and what came back.
pub struct Exchange<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// As JSON, if it is.
    pub asked: Option<Value>,
    pub status: u16,
    pub content_type: &'a str,
    pub answer: &'a str,
}

struct Described {
    document: Value,
    known: Mutex<HashMap<String, Arc<Validator>>>,
}

/// Panics where the answer is another than is described.
#[track_caller]
pub fn check(exchange: &Exchange<'_>) {
    if let Err(why) = API.checked(exchange) {
        let Exchange { method, path, status, answer, .. } = exchange;
        panic!("`{method} {path}` answers {status}, and `{GOLDEN}` does not say so: {why}\n{answer}\nhint: `{BLESS}`");
    }
}

impl Described {
    fn checked(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        let Some((path, operation)) = self.operation(exchange.method, exchange.path) else {
            let refused = matches!(exchange.status, 401 | 403 | 404 | 405);
            return if refused { Ok(()) } else { Err("there is no such operation".to_owned()) };
        };
        let responses = &operation["responses"];
        let exact = exchange.status.to_string();
        let status = match responses.get(&exact) {
            Some(_) => exact,
            None => format!("{}XX", exchange.status / 100),
        };
        let response = responses.get(&status).ok_or("no such status")?;
        let response = match response["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')).ok_or("a broken reference")?,
            None => response,
        };
        let at = format!("{} {path} {status}", exchange.method);
        self.body(&at, &response["content"], exchange.content_type, exchange.answer)?;
        let schema = operation.pointer("/requestBody/content/application~1json/schema");
        match (&exchange.asked, schema) {
            (Some(asked), Some(schema)) if exchange.status < 300 => {
                let fits = self.fits(&format!("{} {path}", exchange.method), schema, asked);
                fits.map_err(|why| format!("what was asked: {why}"))
            }
            _ => Ok(()),
        }
    }

    fn body(&self, at: &str, content: &Value, content_type: &str, answer: &str) -> Result<(), String> {
        let Some(content) = content.as_object() else {
            return if answer.is_empty() { Ok(()) } else { Err("it has no body".to_owned()) };
        };
        let found = content.iter().find(|(name, _)| name.as_str() == "*/*" || content_type.starts_with(name.as_str()));
        let (_, media) = found.ok_or_else(|| format!("it is no `{content_type}`"))?;
        if !content_type.starts_with("application/json") {
            return Ok(());
        }
        let answer = serde_json::from_str(answer).map_err(|error| error.to_string())?;
        self.fits(at, &media["schema"], &answer)
    }

    fn fits(&self, at: &str, schema: &Value, value: &Value) -> Result<(), String> {
        let known = self.known.lock().expect("nobody panics here").get(at).cloned();
        let validator = match known {
            Some(known) => known,
            None => {
                let whole = json!({ "allOf": [schema], "components": self.document["components"] });
                let made = Arc::new(jsonschema::validator_for(&whole).map_err(|error| error.to_string())?);
                self.known.lock().expect("nobody panics here").insert(at.to_owned(), made.clone());
                made
            }
        };
        validator.validate(value).map_err(|error| format!("{}: {error}", error.instance_path()))
    }

    /// The operation that a request is for: of several paths that fit the one with the most that is written out.
    fn operation(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let paths = self.document["paths"].as_object()?.iter();
        let fitting =
            paths.filter(|(template, _)| fits(template, path)).map(|(template, item)| (template.as_str(), item));
        let (template, item) = fitting.min_by_key(|(template, _)| template.matches('{').count())?;
        Some((template, item.get(method.to_lowercase())?))
    }
}

/// Whether a path is one of a template's. `{path}` is all that is left.
fn fits(template: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    for wanted in template.split('/') {
        match (wanted, parts.next()) {
            ("{path}", Some(_)) => return true,
            (wanted, Some(part)) if wanted.starts_with('{') && !part.is_empty() || wanted == part => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}
