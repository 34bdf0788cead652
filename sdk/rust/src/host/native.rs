//! Host calls outside a component: they go to the mock host that this thread runs a task under. Without one they are refused.

use super::{HostError, objects};
use crate::http::{Answer, Exchange, Sink, code};
use crate::testing::{self, LogLine, Metric, Progress, SentRequest, State};
use crate::{Failure, Level};

/// A file being written into the mock host.
pub struct FileWriter {
    target: String,
    bytes: std::cell::RefCell<Vec<u8>>,
}

impl FileWriter {
    pub fn write(&self, bytes: &[u8]) -> Result<(), HostError> {
        self.bytes.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    pub fn finish(self) -> Result<String, HostError> {
        with(|state| Ok(put(state, &self.target, self.bytes.into_inner())))
    }
}

/// What the URIs of a namespace's files begin with.
const NAMESPACE_FILES: &str = "nsfile://";

/// Puts a file where a target says, and gives its URI.
fn put(state: &mut State, target: &str, bytes: Vec<u8>) -> String {
    let uri = match target.starts_with(NAMESPACE_FILES) {
        true => target.to_owned(),
        false => format!("kestra:///mock/{}/{target}", state.files.len()),
    };
    state.files.insert(uri.clone(), bytes);
    uri
}

fn good_target(target: &str) -> Result<(), HostError> {
    if !target.starts_with(NAMESPACE_FILES) && (target.is_empty() || target.contains(['/', '\\'])) {
        return Err(error("BAD_ARGUMENT", format!("`{target}` is no file name")));
    }
    Ok(())
}

fn error(code: &str, message: String) -> HostError {
    HostError { code: code.to_owned(), message }
}

fn not_found(what: &str, name: &str) -> HostError {
    error("NOT_FOUND", format!("the mock host has no {what} `{name}`"))
}

fn with<T>(call: impl FnOnce(&mut State) -> Result<T, HostError>) -> Result<T, HostError> {
    testing::with_state(call).unwrap_or_else(|| {
        Err(error("HOST", "no mock host runs on this thread: call the task through `MockHost`".to_owned()))
    })
}

fn look<T: Default>(call: impl FnOnce(&mut State) -> T) -> T {
    testing::with_state(call).unwrap_or_default()
}

pub fn log(level: Level, message: &str, fields: &[(String, String)]) {
    look(|state| state.logs.push(LogLine { level, message: message.to_owned(), fields: fields.to_vec() }));
}

pub fn metric(kind: &str, name: &str, value: f64, tags: &[(String, String)]) {
    look(|state| {
        state.metrics.push(Metric { kind: kind.to_owned(), name: name.to_owned(), value, tags: tags.to_vec() })
    });
}

pub fn progress(percent: Option<u8>, note: &str) {
    look(|state| state.progress.push(Progress { percent, note: note.to_owned() }));
}

pub fn end_in_warning() {
    look(|state| state.ends_in_warning = true);
}

pub fn context(key: &str) -> Option<String> {
    look(|state| state.context.get(key).cloned())
}

pub fn attempt() -> u32 {
    look(|state| state.attempt)
}

pub fn idempotency_key() -> String {
    look(|state| state.idempotency_key.clone())
}

pub fn remaining_ms() -> Option<u64> {
    look(|state| state.remaining_ms)
}

pub fn cancelled() -> bool {
    look(|state| state.cancelled)
}

pub fn sleep(duration: std::time::Duration) {
    look(|state| state.slept.push(duration));
}

pub fn render(template: &str, _variables: &str) -> Result<String, HostError> {
    with(|state| state.rendered.get(template).cloned().ok_or_else(|| not_found("answer for the template", template)))
}

pub fn render_each(template: &str, variables: &[String]) -> Result<Vec<Result<String, HostError>>, HostError> {
    with(|state| {
        let mut answers = Vec::new();
        for one in variables {
            let known = state.rendered_with.get(&(template.to_owned(), one.clone())).cloned();
            let known = known.or_else(|| state.rendered.get(template).cloned());
            answers.push(known.ok_or_else(|| error("expression.undefined", format!("nothing is known of `{one}`"))));
        }
        Ok(answers)
    })
}

pub fn file_size(uri: &str) -> Result<u64, HostError> {
    with(|state| state.files.get(uri).map(|bytes| bytes.len() as u64).ok_or_else(|| not_found("file", uri)))
}

pub fn file_read(uri: &str, offset: u64, length: u32) -> Result<Vec<u8>, HostError> {
    with(|state| {
        let bytes = state.files.get(uri).ok_or_else(|| not_found("file", uri))?;
        let rest = bytes.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        Ok(rest.get(..length as usize).unwrap_or(rest).to_vec())
    })
}

pub fn file_create(target: &str) -> Result<FileWriter, HostError> {
    good_target(target)?;
    with(|_| Ok(FileWriter { target: target.to_owned(), bytes: Vec::new().into() }))
}

pub fn file_copy(source: &str, target: &str) -> Result<String, HostError> {
    good_target(target)?;
    with(|state| {
        let bytes = state.files.get(source).cloned().ok_or_else(|| not_found("file", source))?;
        Ok(put(state, target, bytes))
    })
}

pub fn file_delete(uri: &str) -> Result<bool, HostError> {
    with(|state| Ok(state.files.remove(uri).is_some()))
}

/// Modes of the machine at hand are not looked at.
pub fn file_make_executable(_path: &str) -> Result<(), HostError> {
    Ok(())
}

pub fn file_find(prefix: &str, after: Option<&str>) -> Result<Vec<String>, HostError> {
    with(|state| {
        let prefix = if prefix.is_empty() { "kestra:///" } else { prefix };
        let uris = state.files.keys().filter(|uri| uri.starts_with(prefix)).cloned();
        Ok(uris.filter(|uri| after.is_none_or(|after| uri.as_str() > after)).take(1_000).collect())
    })
}

fn kv_key(namespace: Option<&str>, key: &str) -> (String, String) {
    (namespace.unwrap_or_default().to_owned(), key.to_owned())
}

pub fn kv_get(namespace: Option<&str>, key: &str) -> Result<Option<String>, HostError> {
    with(|state| Ok(state.kv.get(&kv_key(namespace, key)).cloned()))
}

pub fn kv_set(namespace: Option<&str>, key: &str, value: &str, options: &str) -> Result<(), HostError> {
    with(|state| {
        state.kv_options.insert(kv_key(namespace, key), options.to_owned());
        state.kv.insert(kv_key(namespace, key), value.to_owned());
        Ok(())
    })
}

pub fn kv_delete(namespace: Option<&str>, key: &str) -> Result<bool, HostError> {
    with(|state| Ok(state.kv.remove(&kv_key(namespace, key)).is_some()))
}

pub fn kv_keys(namespace: Option<&str>, prefix: &str, after: Option<&str>) -> Result<Vec<String>, HostError> {
    with(|state| {
        let namespace = namespace.unwrap_or_default();
        let keys = state
            .kv
            .keys()
            .filter(|(owner, key)| owner == namespace && key.starts_with(prefix))
            .map(|(_, key)| key.clone());
        Ok(keys.filter(|key| after.is_none_or(|after| key.as_str() > after)).take(1_000).collect())
    })
}

pub fn kv_find(query: &str) -> Result<String, HostError> {
    with(|state| scripted(state, "kv.find", query))
}

pub fn objects_find(query: &str) -> Result<String, HostError> {
    with(|state| scripted_or(state, "objects.find", query, objects::find))
}

pub fn objects_read(kind: &str, namespace: &str, id: &str) -> Result<Option<String>, HostError> {
    with(|state| Ok(state.objects.get(&(kind.to_owned(), namespace.to_owned(), id.to_owned())).cloned()))
}

pub fn objects_apply(plan: &str) -> Result<String, HostError> {
    with(|state| scripted_or(state, "objects.apply", plan, objects::apply))
}

pub fn objects_act_as(user: &str) -> Result<(), HostError> {
    with(|state| {
        state.asked.push(("objects.act-as".to_owned(), user.to_owned()));
        match state.refuses_users {
            true => Err(error("NOT_GRANTED", "the mock host refuses this user".to_owned())),
            false => Ok(()),
        }
    })
}

/// The next answer that the test prepared for a call, which is remembered.
fn scripted(state: &mut State, call: &str, asked: &str) -> Result<String, HostError> {
    scripted_or(state, call, asked, |_, _| Err(not_found("answer for", call)))
}

/// The same; where none was prepared, the mock host answers from what it keeps.
fn scripted_or(
    state: &mut State,
    call: &str,
    asked: &str,
    kept: impl FnOnce(&mut State, &str) -> Result<String, HostError>,
) -> Result<String, HostError> {
    state.asked.push((call.to_owned(), asked.to_owned()));
    let at = state.answered.iter().position(|(expected, _)| expected == call);
    match at {
        Some(at) => Ok(state.answered.remove(at).1),
        None => kept(state, asked),
    }
}

pub fn secret_handle(name: &str) -> Result<String, HostError> {
    with(
        |state| {
            if state.secrets.contains(name) {
                Ok(format!("mock-secret-{name}"))
            } else {
                Err(not_found("secret", name))
            }
        },
    )
}

pub fn secret_sign(name: &str, algorithm: &str, parameters: &str, data: &[u8]) -> Result<Vec<u8>, HostError> {
    with(|state| {
        state.asked.push(("secrets.sign".to_owned(), parameters.to_owned()));
        if !state.secrets.contains(name) {
            return Err(not_found("secret", name));
        }
        let mut signature = format!("{algorithm}({name})").into_bytes();
        signature.extend_from_slice(data);
        Ok(signature)
    })
}

pub fn secret_field(name: &str, pointer: &str) -> Result<String, HostError> {
    with(|state| {
        state
            .secret_fields
            .get(&(name.to_owned(), pointer.to_owned()))
            .cloned()
            .ok_or_else(|| not_found("secret field", pointer))
    })
}

pub fn egress_options(options: &str) -> Result<String, HostError> {
    with(|state| {
        state.egress_options.push(options.to_owned());
        Ok(format!("mock-egress-{}", state.egress_options.len()))
    })
}

/// A scripted response body, handed out in small pieces, as a network does.
pub struct ResponseBody {
    bytes: std::collections::VecDeque<u8>,
    breaks: Option<Failure>,
}

/// Bytes of a scripted body in one piece: small and odd, so that tests meet borders.
const PIECE_BYTES: usize = 1_021;

impl ResponseBody {
    pub fn next(&mut self, length: usize) -> Result<Vec<u8>, Failure> {
        let count = self.bytes.len().min(length).min(PIECE_BYTES);
        match self.breaks.take() {
            Some(failure) if count == 0 => Err(failure),
            breaks => {
                self.breaks = breaks;
                Ok(self.bytes.drain(..count).collect())
            }
        }
    }
}

pub fn exchange(exchange: Exchange<'_>) -> Result<Answer, Failure> {
    if exchange.deadline.is_some_and(|deadline| deadline <= std::time::Instant::now()) {
        return Err(
            Failure::new(code::TIMEOUT, format!("`{}` took longer than its time limit", exchange.url)).retryable(true)
        );
    }
    let mut body = Vec::new();
    exchange.body.send(&mut |bytes| {
        body.extend_from_slice(bytes);
        Ok(Sink::Open)
    })?;
    let line = format!("{} {}", exchange.method, exchange.url);
    let scripted = look(|state| {
        state.requests.push(SentRequest {
            line: line.clone(),
            headers: exchange.headers.clone(),
            body,
            timeouts: exchange.timeouts,
        });
        let at = state.answers.iter().position(|(expected, _)| *expected == line)?;
        Some(state.answers.remove(at).1)
    });
    let Some(scripted) = scripted else {
        return Err(
            Failure::new(code::NOT_GRANTED, format!("the mock host has no answer for `{line}`")).retryable(false)
        );
    };
    let answer = scripted?;
    Ok(Answer {
        status: answer.status,
        headers: answer.headers,
        body: ResponseBody { bytes: answer.body.into(), breaks: answer.breaks },
    })
}

/// A scripted answer of a model.
pub struct ModelAnswer {
    parts: std::vec::IntoIter<String>,
    whole: Result<String, Failure>,
}

impl ModelAnswer {
    pub fn next(&mut self) -> Option<String> {
        self.parts.next()
    }

    pub fn finish(self) -> Result<String, Failure> {
        self.whole
    }
}

pub fn chat(provider: &str, configuration: &str, request: &str) -> Result<ModelAnswer, Failure> {
    let scripted = look(|state| {
        let provider = serde_json::Value::from(provider).to_string();
        let asked = [("provider", provider.as_str()), ("configuration", configuration), ("request", request)];
        state.asked.extend(asked.map(|(name, text)| (format!("chat.{name}"), text.to_owned())));
        (!state.chats.is_empty()).then(|| state.chats.remove(0))
    });
    let Some((parts, whole)) = scripted else {
        return Err(
            Failure::new("NOT_OFFERED", format!("the mock host has no answer of `{provider}`")).retryable(false)
        );
    };
    Ok(ModelAnswer { parts: parts.into_iter(), whole })
}

pub fn emit_part(part: &str) -> bool {
    look(|state| {
        state.parts.push(part.to_owned());
        state.parts_wanted.is_none_or(|wanted| state.parts.len() < wanted)
    })
}
