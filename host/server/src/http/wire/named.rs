//! Schemas of what requests and answers have from `model`, which knows no wire: each is made from the values that there are.

use std::borrow::Cow;

use model::execution::Kind;
use model::state::State;
use model::task::LogLevel;
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

/// A label: `key: value`.
#[derive(ToSchema)]
#[schema(as = Label)]
pub struct LabelBody {
    pub key: String,
    pub value: String,
}

/// The state of an execution or a task run.
pub struct StateName;

impl PartialSchema for StateName {
    fn schema() -> RefOr<Schema> {
        one_of(&State::ALL)
    }
}

impl ToSchema for StateName {
    fn name() -> Cow<'static, str> {
        "State".into()
    }
}

/// What an execution is for.
pub struct KindName;

impl PartialSchema for KindName {
    fn schema() -> RefOr<Schema> {
        one_of(&[Kind::Normal, Kind::Test, Kind::Playground])
    }
}

impl ToSchema for KindName {
    fn name() -> Cow<'static, str> {
        "Kind".into()
    }
}

/// How much a line of a log matters.
pub struct LevelName;

impl PartialSchema for LevelName {
    fn schema() -> RefOr<Schema> {
        one_of(&[LogLevel::Trace, LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error])
    }
}

impl ToSchema for LevelName {
    fn name() -> Cow<'static, str> {
        "Level".into()
    }
}

fn one_of<T: Serialize>(values: &[T]) -> RefOr<Schema> {
    let names = values.iter().map(|value| serde_json::to_value(value).expect("a name is JSON"));
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(names)).build().into()
}
