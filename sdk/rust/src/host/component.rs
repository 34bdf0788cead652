//! Host calls of a component: the generated bindings, with the types of this crate.

use super::HostError;
use crate::bindings::sluice::{host, llm};
use crate::{Failure, Level};

impl From<host::errors::Error> for HostError {
    fn from(error: host::errors::Error) -> Self {
        Self { code: error.code, message: error.message }
    }
}

/// A file being written.
pub struct FileWriter(host::files::Writer);

impl FileWriter {
    pub fn write(&self, bytes: &[u8]) -> Result<(), HostError> {
        Ok(self.0.write(bytes)?)
    }

    pub fn finish(self) -> Result<String, HostError> {
        Ok(self.0.finish()?)
    }
}

pub fn log(level: Level, message: &str, fields: &[(String, String)]) {
    let level = match level {
        Level::Trace => host::log::Level::Trace,
        Level::Debug => host::log::Level::Debug,
        Level::Info => host::log::Level::Info,
        Level::Warn => host::log::Level::Warn,
        Level::Error => host::log::Level::Error,
    };
    host::log::log(level, message, fields);
}

pub fn metric(kind: &str, name: &str, value: f64, tags: &[(String, String)]) {
    host::report::metric(kind, name, value, tags);
}

pub fn progress(percent: Option<u8>, note: &str) {
    host::report::progress(percent, note);
}

pub fn end_in_warning() {
    host::report::end_in_warning();
}

pub fn context(key: &str) -> Option<String> {
    host::context::get(key)
}

pub fn attempt() -> u32 {
    host::context::attempt()
}

pub fn idempotency_key() -> String {
    host::context::idempotency_key()
}

pub fn remaining_ms() -> Option<u64> {
    host::context::remaining_ms()
}

pub fn cancelled() -> bool {
    host::context::cancelled()
}

pub fn render(template: &str, variables: &str) -> Result<String, HostError> {
    Ok(host::template::render(template, variables)?)
}

pub fn render_each(template: &str, variables: &[String]) -> Result<Vec<Result<String, HostError>>, HostError> {
    let answers = host::template::render_each(template, variables)?;
    Ok(answers.into_iter().map(|answer| answer.map_err(HostError::from)).collect())
}

pub fn file_size(uri: &str) -> Result<u64, HostError> {
    Ok(host::files::size(uri)?)
}

pub fn file_read(uri: &str, offset: u64, length: u32) -> Result<Vec<u8>, HostError> {
    Ok(host::files::read(uri, offset, length)?)
}

pub fn file_create(target: &str) -> Result<FileWriter, HostError> {
    Ok(FileWriter(host::files::create(target)?))
}

pub fn file_copy(source: &str, target: &str) -> Result<String, HostError> {
    Ok(host::files::copy(source, target)?)
}

pub fn file_delete(uri: &str) -> Result<bool, HostError> {
    Ok(host::files::delete(uri)?)
}

pub fn file_make_executable(path: &str) -> Result<(), HostError> {
    Ok(host::files::make_executable(path)?)
}

pub fn file_find(prefix: &str, after: Option<&str>) -> Result<Vec<String>, HostError> {
    Ok(host::files::find(prefix, after)?)
}

pub fn kv_get(namespace: Option<&str>, key: &str) -> Result<Option<String>, HostError> {
    Ok(host::kv::get(namespace, key)?)
}

pub fn kv_set(namespace: Option<&str>, key: &str, value: &str, options: &str) -> Result<(), HostError> {
    Ok(host::kv::set(namespace, key, value, options)?)
}

pub fn kv_delete(namespace: Option<&str>, key: &str) -> Result<bool, HostError> {
    Ok(host::kv::delete(namespace, key)?)
}

pub fn kv_keys(namespace: Option<&str>, prefix: &str, after: Option<&str>) -> Result<Vec<String>, HostError> {
    Ok(host::kv::keys(namespace, prefix, after)?)
}

pub fn kv_find(query: &str) -> Result<String, HostError> {
    Ok(host::kv::find(query)?)
}

pub fn objects_find(query: &str) -> Result<String, HostError> {
    Ok(host::objects::find(query)?)
}

pub fn objects_read(kind: &str, namespace: &str, id: &str) -> Result<Option<String>, HostError> {
    Ok(host::objects::read(kind, namespace, id)?)
}

pub fn objects_apply(plan: &str) -> Result<String, HostError> {
    Ok(host::objects::apply(plan)?)
}

pub fn objects_act_as(user: &str) -> Result<(), HostError> {
    Ok(host::objects::act_as(user)?)
}

pub fn secret_handle(name: &str) -> Result<String, HostError> {
    Ok(host::secrets::handle(name)?)
}

pub fn secret_sign(name: &str, algorithm: &str, parameters: &str, data: &[u8]) -> Result<Vec<u8>, HostError> {
    Ok(host::secrets::sign(name, algorithm, parameters, data)?)
}

pub fn secret_field(name: &str, pointer: &str) -> Result<String, HostError> {
    Ok(host::secrets::field(name, pointer)?)
}

/// An answer of a model on its way.
pub struct ModelAnswer(llm::broker::Answer);

impl ModelAnswer {
    pub fn next(&mut self) -> Option<String> {
        self.0.next()
    }

    pub fn finish(self) -> Result<String, Failure> {
        self.0.finish().map_err(failure)
    }
}

pub fn chat(provider: &str, configuration: &str, request: &str) -> Result<ModelAnswer, Failure> {
    llm::broker::chat(provider, configuration, request).map(ModelAnswer).map_err(failure)
}

fn failure(failure: llm::broker::Failure) -> Failure {
    Failure::of_parts(failure.code, failure.message, failure.retryable, failure.details.as_deref())
}

pub fn emit_part(part: &str) -> bool {
    llm::parts::emit(part)
}
