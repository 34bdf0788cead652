//! A table of plugin types for tests: some tasks of the core plugin with the schemas their properties have, and two made up.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Role, TypeInfo, Types, Unknown};
use serde_json::{Value as Json, json};

pub struct Table {
    types: BTreeMap<&'static str, Arc<TypeInfo>>,
}

/// The versions of every plugin in the table.
const VERSIONS: &[&str] = &["1.0.0", "1.2.0"];

fn text() -> Json {
    json!({"type": "string"})
}

fn schema(properties: Json, required: &[&str]) -> Json {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn http() -> Json {
    json!({
        "uri": text(), "method": {"type": "string", "enum": ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"]},
        "body": text(), "formData": {"type": "object"}, "contentType": text(),
        "headers": {"type": "object", "additionalProperties": {"type": "string"}},
        "options": {"$ref": "#/$defs/Options"}, "allowFailed": {"type": "boolean"}, "encryptBody": {"type": "boolean"},
    })
}

fn with_options(mut schema: Json) -> Json {
    schema["$defs"] = json!({"Options": {"type": "object", "properties": {
        "connectTimeout": {"type": ["string", "null"], "format": "duration"}, "followRedirects": {"type": "boolean"}, "maxContentLength": {"type": "integer", "minimum": 1},
        "auth": {"oneOf": [
            {"type": "object", "properties": {"type": {"const": "BASIC"}, "username": text(), "password": text()}, "required": ["type"]},
            {"type": "object", "properties": {"type": {"const": "BEARER"}, "token": text()}, "required": ["type", "token"]},
        ]},
    }}});
    schema
}

impl Table {
    pub fn core() -> Self {
        let mut table = Self { types: BTreeMap::new() };
        let level = json!({"enum": ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]});
        let message = json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]});
        let log = schema(json!({"message": message, "level": level}), &["message"]);
        table.task("io.kestra.plugin.core.log.Log", log.clone());
        table.task("io.kestra.core.tasks.log.Log", log);
        table.task("io.kestra.plugin.core.log.Fetch", schema(json!({"namespace": text(), "flowId": text(), "executionId": text(), "tasksId": {"type": "array", "items": text()}, "level": level}), &[]));
        table.task("io.kestra.plugin.core.debug.Return", schema(json!({"format": text()}), &[]));
        table.task("io.kestra.plugin.core.debug.Echo", schema(json!({"format": text(), "level": level}), &["format"]));
        table.task("io.kestra.plugin.core.output.OutputValues", schema(json!({"values": {"type": "object"}}), &[]));
        table.task(
            "io.kestra.plugin.core.execution.Fail",
            schema(json!({"condition": text(), "errorMessage": text()}), &[]),
        );
        table.task("io.kestra.plugin.core.http.Request", with_options(schema(http(), &["uri"])));
        table.task("io.kestra.plugin.core.state.Set", schema(json!({"name": text(), "data": {"type": "object"}, "namespace": {"type": "boolean"}, "taskrunValue": {"type": "boolean"}}), &[]));
        for class in ["Get", "Delete"] {
            let name: &'static str = Box::leak(format!("io.kestra.plugin.core.state.{class}").into_boxed_str());
            table.task(name, schema(json!({"name": text(), "errorOnMissing": {"type": "boolean"}, "namespace": {"type": "boolean"}, "taskrunValue": {"type": "boolean"}}), &[]));
        }
        table.task(
            "io.kestra.plugin.core.storage.LocalFiles",
            schema(json!({"inputs": {}, "outputs": {"type": "array", "items": text()}}), &[]),
        );
        table.task("io.kestra.plugin.core.kv.PurgeKV", schema(json!({"expiredOnly": {"type": "boolean"}}), &[]));
        table.insert(
            "com.example.Poll",
            Role::Trigger,
            schema(json!({"interval": text(), "uri": text()}), &["uri"]),
            &[],
        );
        table.task(
            "com.example.Ask",
            schema(
                json!({"description": text(), "provider": {"type": "object", "x-sluice-provider": true}}),
                &["provider"],
            ),
        );
        table.insert(
            "com.example.Model",
            Role::Provider,
            schema(json!({"modelName": text(), "tries": {"type": "integer"}}), &["modelName"]),
            &[],
        );
        table.insert(
            "com.example.Script",
            Role::Task,
            schema(json!({"script": text(), "tries": {"type": ["integer", "null"], "maximum": 9}}), &["script"]),
            &["script"],
        );
        table
    }

    pub fn task(&mut self, name: &'static str, schema: Json) {
        self.insert(name, Role::Task, schema, &[]);
    }

    pub fn trigger(&mut self, name: &'static str, schema: Json) {
        self.insert(name, Role::Trigger, schema, &[]);
    }

    fn insert(&mut self, name: &'static str, role: Role, properties: Json, unrendered: &[&str]) {
        let unrendered = unrendered.iter().map(|name| (*name).to_owned()).collect();
        let plugin = match name {
            name if name.starts_with("io.kestra.plugin.core.kv.") => "kv",
            name if name.starts_with("io.kestra.") => "core",
            _ => "example",
        };
        self.types.insert(
            name,
            Arc::new(TypeInfo { name: name.into(), plugin: plugin.into(), role, properties, unrendered }),
        );
    }
}

impl Types for Table {
    fn lookup(&self, type_name: &str, requirement: Option<&str>) -> Result<Arc<TypeInfo>, Unknown> {
        let Some(info) = self.types.get(type_name) else {
            return Err(Unknown::Type { nearest: self.types.keys().map(|name| (*name).to_owned()).collect() });
        };
        let fits = |wanted: &str| match semver::VersionReq::parse(wanted) {
            Ok(range) => VERSIONS.iter().any(|version| range.matches(&version.parse().unwrap())),
            Err(_) => true,
        };
        if requirement.is_some_and(|wanted| !fits(wanted)) {
            let available = VERSIONS.iter().map(|version| (*version).to_owned()).collect();
            return Err(Unknown::Version { plugin: info.plugin.clone(), available });
        }
        Ok(info.clone())
    }

    fn has_plugin(&self, plugin: &str) -> bool {
        self.types.values().any(|info| info.plugin == plugin)
    }
}
