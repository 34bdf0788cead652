//! Declared inputs, of flows and of `onResume`: their properties, and rules between them. Values of inputs are read in `typing`.

use std::collections::HashMap;
use std::sync::LazyLock;

use expr::Value;
use regex::Regex;

use super::{Reading, check, control, flow};
use crate::flow::Dynamic;
use crate::input::{Input, InputType, Rules};
use crate::node::{Fields, Node};
use crate::problem::{Problem, Problems, quoted_list, shown, suggest};
use crate::typing;

/// Longest input id, in characters.
const INPUT_ID_MAX: usize = 256;

static INPUT_ID: LazyLock<Regex> = LazyLock::new(|| flow::pattern("^[a-zA-Z0-9][.a-zA-Z0-9_-]*$"));

const TYPES: &[(&str, InputType)] = &[
    ("STRING", InputType::String),
    ("SELECT", InputType::Select),
    ("ENUM", InputType::Select),
    ("MULTISELECT", InputType::Multiselect),
    ("INT", InputType::Int),
    ("FLOAT", InputType::Float),
    ("BOOLEAN", InputType::Boolean),
    ("BOOL", InputType::Bool),
    ("DATETIME", InputType::Datetime),
    ("DATE", InputType::Date),
    ("TIME", InputType::Time),
    ("DURATION", InputType::Duration),
    ("FILE", InputType::File),
    ("JSON", InputType::Json),
    ("YAML", InputType::Yaml),
    ("URI", InputType::Uri),
    ("SECRET", InputType::Secret),
    ("ARRAY", InputType::Array),
    ("EMAIL", InputType::Email),
];

/// Types of newer versions.
const NOT_HERE: &[&str] = &["ION", "TABLE", "FORM", "REUSABLE_INPUTS"];

/// An input's or output's id.
pub(super) fn id(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let rule = "letters, digits, `.`, `_` and `-`, a letter or digit first";
    flow::named(node, &INPUT_ID, INPUT_ID_MAX, "the id of an input or output", rule, problems)
}

/// An input's or output's type.
pub(super) fn kind(node: &Node<'_>, problems: &mut Problems) -> Option<InputType> {
    let text = crate::node::text(node, problems)?;
    let found = TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text));
    if found.is_none() {
        let problem = if NOT_HERE.iter().any(|name| name.eq_ignore_ascii_case(&text)) {
            node.error("flow.not_supported", format!("the type `{text}` is newer than Kestra 1.0"))
                .hint("use `JSON`, or several inputs")
        } else {
            let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).filter(|name| *name != "ENUM").collect();
            let hint =
                suggest(&text, names.iter().copied()).unwrap_or_else(|| format!("known are {}", quoted_list(&names)));
            node.error("flow.unknown_type", format!("unknown type `{}` of an input or output", shown(&text))).hint(hint)
        };
        problems.push(problem);
    }
    found.map(|(_, kind)| *kind)
}

/// Reads the inputs of a flow or of a pause.
pub(super) fn read_all(nodes: Vec<Node<'_>>, reading: &mut Reading<'_>) -> Vec<Input> {
    let problems = &mut reading.problems;
    let read: Vec<(Node<'_>, Option<Input>)> =
        nodes.into_iter().map(|node| (node.clone(), read(node, problems))).collect();
    let read: Vec<(Node<'_>, Input)> = read.into_iter().filter_map(|(node, input)| Some((node, input?))).collect();
    check::unique("input", read.iter().map(|(node, input)| (input.id.as_str(), node)), problems);
    check_nesting(&read, problems);
    check_dependencies(&read, problems);
    read.into_iter().map(|(_, input)| input).collect()
}

fn read(node: Node<'_>, problems: &mut Problems) -> Option<Input> {
    let at = node.clone();
    let mut fields = Fields::open(node, problems)?;
    let id = match fields.get_renamed("id", "name", problems) {
        Some(node) => id(&node, problems),
        None => {
            problems.push(fields.missing("id"));
            None
        }
    };
    let kind = fields.require("type", problems).and_then(|node| kind(&node, problems));
    let (depends_on, condition) = depends_on(&mut fields, problems);
    let mut input = Input {
        id: id.clone().unwrap_or_default(),
        kind: kind.unwrap_or(InputType::Any),
        required: fields.boolean("required", true, problems),
        defaults: fields.dynamic("defaults"),
        prefill: fields.get("prefill").map(|node| node.value.clone()),
        display_name: fields.text("displayName", problems),
        description: fields.text("description", problems),
        depends_on,
        condition,
        rules: Rules::default(),
    };
    let kind = kind?;
    input.rules = rules(kind, &mut fields, problems);
    // Says how a client shows it, which is not ours.
    fields.get("isRadio");
    fields.get("accept");
    fields.finish(problems);
    check_default(&at, &input, problems);
    id.map(|_| input)
}

fn depends_on(fields: &mut Fields<'_>, problems: &mut Problems) -> (Vec<String>, Option<Dynamic>) {
    let Some(node) = fields.get("dependsOn") else { return (Vec::new(), None) };
    let Some(mut fields) = Fields::open(node, problems) else { return (Vec::new(), None) };
    let inputs = fields.list("inputs", problems);
    let inputs = inputs.into_iter().filter_map(|node| crate::node::text(&node, problems)).collect();
    let condition = fields.dynamic("condition");
    fields.finish(problems);
    (inputs, condition)
}

fn rules(kind: InputType, fields: &mut Fields<'_>, problems: &mut Problems) -> Rules {
    use InputType::*;
    let mut rules = Rules::default();
    match kind {
        String | Secret => {
            if let Some(node) = fields.get("validator") {
                rules.validator = crate::node::text(&node, problems);
                if let Some(Err(error)) = rules.validator.as_deref().map(typing::full_match) {
                    problems.push(invalid_pattern(&node, &error));
                }
            }
        }
        Int | Float | Duration => {
            (rules.min, rules.max) = (bound(kind, "min", fields, problems), bound(kind, "max", fields, problems));
            ordered(kind, ("min", &rules.min), ("max", &rules.max), fields, problems);
        }
        Date | Datetime | Time => {
            (rules.after, rules.before) =
                (bound(kind, "after", fields, problems), bound(kind, "before", fields, problems));
            ordered(kind, ("after", &rules.after), ("before", &rules.before), fields, problems);
        }
        Select | Multiselect => select(kind, &mut rules, fields, problems),
        Array => rules.item_type = item_type(fields, &[Array], true, problems),
        File => {
            rules.extension = fields.text("extension", problems);
            let allowed = fields.list("allowedFileExtensions", problems);
            rules.extensions.extend(allowed.into_iter().filter_map(|node| crate::node::text(&node, problems)));
        }
        Boolean | Bool | Json | Yaml | Uri | Email | Any => {}
    }
    rules
}

fn invalid_pattern(node: &Node<'_>, error: &str) -> Problem {
    // Kestra's patterns may have both: what is wrong then is not the flow.
    let not_here = ["look-around", "backreference"].iter().any(|feature| error.contains(feature));
    let code = if not_here { "flow.not_supported" } else { "flow.pattern" };
    let message = format!("invalid pattern `{}`: {error}", shown(node.value.as_str().unwrap_or_default()));
    node.error(code, message).hint("patterns are linear-time: no look-around and no back-references")
}

fn bound(kind: InputType, key: &'static str, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Value> {
    let node = fields.get(key)?;
    match typing::of_type(kind, node.value) {
        Ok(_) => Some(node.value.clone()),
        Err(reason) => {
            problems.push(node.error("flow.wrong_type", format!("`{key}` {reason}")));
            None
        }
    }
}

fn ordered(
    kind: InputType,
    (low, least): (&'static str, &Option<Value>),
    (high, greatest): (&'static str, &Option<Value>),
    fields: &Fields<'_>,
    problems: &mut Problems,
) {
    let (Some(least), Some(greatest)) = (least, greatest) else { return };
    if typing::compare(kind, least, greatest) == Some(std::cmp::Ordering::Greater) {
        let node = fields.node.get(low).unwrap_or_else(|| fields.node.clone());
        problems.push(node.error("flow.bounds", format!("`{low}` is greater than `{high}`, so that no value fits")));
    }
}

fn select(kind: InputType, rules: &mut Rules, fields: &mut Fields<'_>, problems: &mut Problems) {
    let values = fields.get("values");
    let options = if kind == InputType::Multiselect { fields.get("options") } else { None };
    rules.expression = fields.dynamic("expression");
    rules.allow_custom_value = fields.boolean("allowCustomValue", false, problems);
    rules.auto_select_first = fields.boolean("autoSelectFirst", false, problems);
    if kind == InputType::Multiselect {
        rules.item_type = item_type(fields, &[InputType::Array, InputType::Multiselect], false, problems);
    }
    let conflict = |node: &Node<'_>, one: &str, other: &str| {
        node.error("flow.conflict", format!("`{one}` and `{other}` cannot both be given")).hint("remove one of them")
    };
    if let (Some(_), Some(node)) = (&values, &options) {
        problems.push(conflict(node, "values", "options"));
    }
    let list = values.or(options);
    if let (Some(node), Some(_)) = (&list, &rules.expression) {
        problems.push(conflict(node, "values", "expression"));
    }
    match list {
        Some(node) if node.value.as_list().is_none() => problems.push(node.wrong_type("a list")),
        Some(node) if node.items().is_empty() => {
            problems.push(node.error("flow.required", "`values` must not be empty"))
        }
        Some(node) => {
            // The choices are texts, whatever they are written as; MULTISELECT types them by its `itemType` when they are chosen.
            let texts = node.items().into_iter().filter_map(|node| crate::node::text(&node, problems));
            rules.values = texts.map(Value::from).collect();
        }
        None if rules.expression.is_none() => {
            problems.push(fields.missing("values").hint("give it `values`, or an `expression` that makes them"));
        }
        None => {}
    }
}

fn item_type(
    fields: &mut Fields<'_>,
    refused: &[InputType],
    required: bool,
    problems: &mut Problems,
) -> Option<InputType> {
    let node = if required { fields.require("itemType", problems) } else { fields.get("itemType") }?;
    let found = kind(&node, problems)?;
    if refused.contains(&found) {
        let message = format!("`itemType` cannot be `{}`", node.text().unwrap_or_default());
        problems.push(node.error("flow.item_type", message).hint("use an input of type `JSON` for lists of lists"));
        return None;
    }
    Some(found)
}

/// A default that the input itself would refuse.
fn check_default(node: &Node<'_>, input: &Input, problems: &mut Problems) {
    let Some(default) = node.get("defaults").filter(|default| !default.value.is_null()) else { return };
    if typing::holds_expression(default.value) {
        return;
    }
    if let Err(reasons) = typing::read(input, default.value, None) {
        for reason in reasons {
            problems
                .push(default.error("flow.default", format!("the default of `{}` does not fit: {reason}", input.id)));
        }
    }
}

/// `a` and `a.b`: the second would have to stand inside the first.
fn check_nesting(read: &[(Node<'_>, Input)], problems: &mut Problems) {
    for (node, input) in read {
        let mut outer = input.id.as_str();
        while let Some((head, _)) = outer.rsplit_once('.') {
            outer = head;
            if read.iter().any(|(_, other)| other.id == outer) {
                let message =
                    format!("`{}` would have to be inside the input `{outer}`, which has a value of its own", input.id);
                problems.push(node.error("flow.input_nesting", message).hint("rename one of them"));
            }
        }
    }
}

fn check_dependencies(read: &[(Node<'_>, Input)], problems: &mut Problems) {
    let positions: HashMap<&str, usize> =
        read.iter().enumerate().map(|(index, (_, input))| (input.id.as_str(), index)).collect();
    let mut edges = Vec::new();
    for (node, input) in read {
        let mut found = Vec::new();
        for name in &input.depends_on {
            match positions.get(name.as_str()) {
                Some(index) => found.push(*index),
                None => {
                    let at = node.get("dependsOn").unwrap_or_else(|| node.clone());
                    let problem =
                        at.error("flow.unknown_input", format!("there is no input `{}` to depend on", shown(name)));
                    problems.push(problem.hints(suggest(name, positions.keys().copied())));
                }
            }
        }
        edges.push(found);
    }
    if let Some(cycle) = control::cycle(&edges) {
        let names: Vec<&str> =
            cycle.iter().filter_map(|index| read.get(*index)).map(|(_, input)| input.id.as_str()).collect();
        let Some((node, _)) = cycle.first().and_then(|index| read.get(*index)) else { return };
        let problem =
            node.error("flow.cycle", format!("inputs depend on each other in a circle: {}", quoted_list(&names)));
        problems.push(problem.hint("remove one of their `dependsOn`"));
    }
}
