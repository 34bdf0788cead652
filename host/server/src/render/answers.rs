//! What expressions ask of the world: time, randomness, values, secrets, files, logs. Every answer is bounded.

use expr::{Answer, Call, Value};
use model::ids::{ExecutionId, FlowKey, Namespace};
use store::View;
use store::rows::{self, Key, NamespaceKey};

use crate::kv::ancestors;
use crate::node::Node;
use crate::readable::{NAMESPACE_SCHEME, namespace_file, namespace_folder};
use crate::secrets::no_secret;
use crate::worker::reach;

/// Largest file `read()` gives: it becomes part of one text.
const READ_MAX_BYTES: u64 = 1 << 20;
/// Most lines `errorLogs()` gives.
const ERROR_LINES: usize = 25;
/// Most random bytes of one call.
const RANDOM_MAX: i64 = 4_096;

impl Node {
    /// Makes one call.
    pub(crate) async fn answer(&self, call: &Call, flow: &FlowKey, execution: Option<&ExecutionId>) -> Answer {
        match &*call.function {
            "now" => Answer::Value(Value::time(expr::Time::Instant(self.now()))),
            "random" => random(call, || self.entropy.number()),
            "secret" => self.answer_secret(call, flow),
            "kv" => self.answer_kv(call, flow).await,
            engine::view::STORED_OUTPUTS => self.answer_outputs(call).await,
            "errorLogs" => self.answer_error_logs(execution).await,
            "read" | "fileSize" | "fileExists" | "isFileEmpty" | "fileURI" => {
                self.answer_file(call, flow, execution).await
            }
            other => Answer::Failed(format!("function `{other}` is not offered by this server")),
        }
    }

    fn answer_secret(&self, call: &Call, flow: &FlowKey) -> Answer {
        let name = call.arg_text("key").unwrap_or_default();
        let own = flow.namespace.as_str();
        let namespace = call.arg_text("namespace").unwrap_or_else(|| own.to_owned());
        // Of a namespace that is not on the way up only what may be said of secrets at all: that there is none.
        let may = namespace == own || reach::below(own, &namespace);
        let Some(found) = self.find_secret(&namespace, &name).filter(|_| may) else {
            return Answer::Absent(no_secret(&namespace, &name));
        };
        // A `subkey` is taken out by the language itself, which keeps it a secret.
        Answer::Value(Value::Text(expr::Text::secret(found.called, found.value)))
    }

    async fn answer_kv(&self, call: &Call, flow: &FlowKey) -> Answer {
        let key = call.arg_text("key").unwrap_or_default();
        // A namespace that is named is looked at alone; the flow's own is looked at with its parents (Kestra's rule).
        let places = match call.arg_text("namespace") {
            Some(named) => vec![NamespaceKey::main(Namespace::trusted(named))],
            None => ancestors(&flow.namespace),
        };
        for place in places {
            match self.kv_value(&place, &key).await {
                Ok(Some(value)) => return Answer::Value(value),
                Ok(None) => {}
                Err(error) => return Answer::Failed(error.to_string()),
            }
        }
        let quiet = call.arg("errorOnMissing").is_some_and(|flag| flag.as_bool() == Some(false));
        match quiet {
            true => Answer::Value(Value::Null),
            // Kestra's words: people look for them in logs.
            false => {
                let place = call.arg_text("namespace").unwrap_or_else(|| flow.namespace.to_string());
                Answer::Absent(format!("The key '{key}' does not exist in the namespace '{place}'."))
            }
        }
    }

    async fn answer_error_logs(&self, execution: Option<&ExecutionId>) -> Answer {
        let Some(id) = execution else { return Answer::Value(Value::list([])) };
        match self.error_lines(id, ERROR_LINES).await {
            Ok(lines) => Answer::Value(Value::list(lines.iter().map(|line| {
                Value::map([
                    ("taskId", line.task.as_ref().map_or(Value::Null, |task| Value::from(task.as_str()))),
                    ("message", Value::from(line.message.as_ref())),
                    ("timestamp", Value::from(line.at.to_string())),
                ])
            }))),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    async fn answer_file(&self, call: &Call, flow: &FlowKey, execution: Option<&ExecutionId>) -> Answer {
        let asked = call.arg_text("path").unwrap_or_default();
        let namespace = call.arg_text("namespace").unwrap_or_else(|| flow.namespace.to_string());
        let mut path = stored_path(&asked, &namespace, flow);
        if let (None, Some(id)) = (&path, execution) {
            path = match self.readable(&asked, id).await {
                Ok(readable) => readable.map(|path| format!("{}/{path}", flow.tenant)),
                Err(error) => return Answer::Failed(error.to_string()),
            };
        }
        let Some(path) = path else {
            return Answer::Failed(format!("`{asked}` is not a file this flow may read"));
        };
        let found = match self.store.find::<rows::File>(View::Newest, Key::File(path.as_str().into())).await {
            Ok(found) => found,
            Err(error) => return Answer::Failed(error.to_string()),
        };
        let missing = || Answer::Absent(format!("there is no file `{asked}`"));
        match (&*call.function, found) {
            ("fileExists", found) => Answer::Value(Value::Bool(found.is_some())),
            (_, None) => missing(),
            ("fileSize", Some(file)) => {
                Answer::Value(Value::Int(file.content.size_bytes.try_into().unwrap_or(i64::MAX)))
            }
            ("isFileEmpty", Some(file)) => Answer::Value(Value::Bool(file.content.size_bytes == 0)),
            ("fileURI", Some(_)) => {
                Answer::Value(Value::from(format!("nsfile://{namespace}/{}", asked.trim_start_matches('/'))))
            }
            (_, Some(file)) if file.content.size_bytes > READ_MAX_BYTES => Answer::Failed(format!(
                "`{asked}` has {} bytes, read() takes {READ_MAX_BYTES}",
                file.content.size_bytes
            )),
            (_, Some(file)) => self.text_of(&asked, &file).await,
        }
    }

    async fn text_of(&self, asked: &str, file: &rows::File) -> Answer {
        let read = async {
            let mut bytes = Vec::new();
            if let Some(mut reader) = self.store.read_blob(file.content.id.clone(), 0).await? {
                while let Some(piece) = reader.read().await? {
                    bytes.extend_from_slice(&piece);
                }
            }
            Ok::<_, store::Error>(bytes)
        };
        match read.await.map(String::from_utf8) {
            Ok(Ok(text)) => Answer::Value(Value::from(text)),
            Ok(Err(_)) => Answer::Failed(format!("`{asked}` is not UTF-8 text")),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
}

/// Where a file is kept: `kestra:///…` of this flow's executions, or a namespace file by its path.
fn stored_path(asked: &str, namespace: &str, flow: &FlowKey) -> Option<String> {
    let clean = |path: &str| !path.split('/').any(|part| matches!(part, "." | ".."));
    if let Some(path) = asked.strip_prefix("kestra:///") {
        let own = format!("{}/{}/executions/", flow.namespace.as_str().replace('.', "/"), flow.id);
        return (clean(path) && path.starts_with(&own)).then(|| format!("{}/{path}", flow.tenant));
    }
    let namespace = Namespace::trusted(namespace);
    let uri = match asked.starts_with(NAMESPACE_SCHEME) {
        true => asked.to_owned(),
        false if asked.contains("://") => return None,
        false => format!("{NAMESPACE_SCHEME}/{}", asked.trim_start_matches('/')),
    };
    let (namespace, path) = namespace_file(&uri, &namespace).filter(|(_, path)| !path.is_empty())?;
    Some(format!("{}/{}{path}", flow.tenant, namespace_folder(&namespace)))
}

fn random(call: &Call, number: impl Fn() -> u128) -> Answer {
    let count = call.arg("bytes").and_then(Value::as_i64).unwrap_or(0).clamp(0, RANDOM_MAX);
    let mut hex = String::new();
    while (hex.len() as i64) < count * 2 {
        // The six bits of a number that may be fixed are in its upper nine bytes, as in a version-4 UUID.
        for byte in number().to_be_bytes().iter().skip(9) {
            hex.push_str(&format!("{byte:02x}"));
        }
    }
    hex.truncate(usize::try_from(count * 2).unwrap_or(0));
    Answer::Value(Value::from(hex))
}
