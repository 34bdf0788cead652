//! Inputs of a flow: their types and rules. Typing and validating values is here too, and is pure.

use expr::Value;
use serde::{Deserialize, Serialize};

use crate::flow::Dynamic;

/// One declared input.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Dots nest: `a.b` is read as `inputs.a.b`.
    pub id: String,
    pub kind: InputType,
    pub required: bool,
    pub defaults: Option<Dynamic>,
    pub prefill: Option<Value>,
    pub display_name: Option<String>,
    pub description: Option<String>,
    /// Inputs this one depends on, and when it is asked for at all.
    pub depends_on: Vec<String>,
    pub condition: Option<Dynamic>,
    pub rules: Rules,
}

/// The types of inputs and outputs (Kestra's names; parsed without regard to case).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum InputType {
    String,
    /// `ENUM` is its deprecated name.
    Select,
    Multiselect,
    Int,
    Float,
    Boolean,
    Bool,
    Datetime,
    Date,
    Time,
    Duration,
    File,
    Json,
    Yaml,
    Uri,
    Secret,
    Array,
    Email,
    /// Outputs only: any value.
    Any,
}

/// What a value must satisfy beyond its type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Must match fully.
    pub validator: Option<String>,
    /// Inclusive, as written: a number, or text of the input's type.
    pub min: Option<Value>,
    pub max: Option<Value>,
    pub after: Option<Value>,
    pub before: Option<Value>,
    /// SELECT and MULTISELECT: the choices, as text.
    pub values: Vec<Value>,
    pub expression: Option<Dynamic>,
    pub allow_custom_value: bool,
    pub auto_select_first: bool,
    /// ARRAY and MULTISELECT.
    pub item_type: Option<InputType>,
    /// FILE: the ending of the stored file where the upload has none. No rule.
    pub extension: Option<String>,
    /// FILE: the only endings taken; empty: any.
    pub extensions: Vec<String>,
}
