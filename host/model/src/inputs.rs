//! Provided inputs to typed ones, with everything that is wrong at once.
//!
//! A step machine, because conditions, defaults and choices may be expressions: it hands out what is to be rendered, with the inputs
//! that are visible to it, and goes on with the answer. It renders nothing itself and does no IO; files are stored before, and are URIs here.

use std::collections::HashMap;

use expr::{Map, Value};

use crate::flow::Dynamic;
use crate::input::{Input, InputType};
use crate::typing;

/// Resolves the inputs of a flow, or of a pause that is resumed.
#[derive(Debug)]
pub struct Resolve<'f> {
    inputs: &'f [Input],
    given: Map,
    /// Positions in `inputs`, each after those it depends on.
    order: Vec<usize>,
    /// How many of `order` are done.
    next: usize,
    stage: Stage,
    done: HashMap<usize, Resolved>,
    asked: bool,
    missing: Missing,
}

/// What an input is that is required and has no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// A mistake.
    #[default]
    Wrong,
    /// Not there, as one that is not enabled. So it is for a Flow trigger, which starts its flow whatever that asks for (Kestra's rule).
    LeftOut,
}

/// How far the present input is.
#[derive(Clone, Debug)]
enum Stage {
    Condition,
    Choices,
    Value { choices: Option<Vec<Value>> },
    Default { choices: Option<Vec<Value>> },
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Render this and call [`Resolve::answer`].
    Render(Render),
    Done(Outcome),
}

/// Something to render.
#[derive(Clone, Debug, PartialEq)]
pub struct Render {
    /// The input it is for.
    pub input: String,
    pub purpose: Purpose,
    pub template: Dynamic,
    /// What `inputs` holds while it is rendered: only what the input depends on (Kestra 1.0's rule).
    pub visible: Map,
}

/// What a rendered value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Whether the input is asked for at all; looked at for truth.
    Condition,
    /// A list of choices, or the JSON text of one.
    Choices,
    Default,
}

/// One input after all.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    pub id: String,
    /// Null where it is absent.
    pub value: Value,
    /// False where its condition does not hold; it then has no value.
    pub enabled: bool,
    /// Whether the value is the input's own default.
    pub is_default: bool,
    /// The choices of a SELECT or MULTISELECT.
    pub choices: Vec<Value>,
    pub errors: Vec<String>,
}

/// All inputs, in the order they are declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub inputs: Vec<Resolved>,
    /// Names that were given and are not declared.
    pub undeclared: Vec<String>,
}

/// What is wrong with one input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid value for input `{input}`: {message}")]
pub struct InputError {
    pub input: String,
    pub message: String,
}

impl Outcome {
    /// The values, nested by the dots of their ids, or everything that is wrong. What is not enabled is not in it, and its errors
    /// do not count.
    pub fn values(&self) -> Result<Map, Vec<InputError>> {
        let enabled = || self.inputs.iter().filter(|input| input.enabled);
        let errors: Vec<InputError> = enabled()
            .flat_map(|input| {
                input.errors.iter().map(|message| InputError { input: input.id.clone(), message: message.clone() })
            })
            .collect();
        if errors.is_empty() {
            Ok(nest(enabled().map(|input| (input.id.as_str(), input.value.clone()))))
        } else {
            Err(errors)
        }
    }
}

impl<'f> Resolve<'f> {
    /// `given`: by id, or nested as the ids are; texts are read as the type asks.
    pub fn new(inputs: &'f [Input], given: Map) -> Self {
        let order = order(inputs);
        let done = HashMap::new();
        let missing = Missing::default();
        Self { inputs, given, order, next: 0, stage: Stage::Condition, done, asked: false, missing }
    }

    /// What becomes of inputs that are required and have no value.
    pub fn missing(self, missing: Missing) -> Self {
        Self { missing, ..self }
    }

    /// Goes as far as it gets without rendering.
    pub fn step(&mut self) -> Step {
        while let Some((position, input)) = self.present() {
            match self.work(position, input) {
                Some((purpose, template)) => {
                    self.asked = true;
                    return Step::Render(Render {
                        input: input.id.clone(),
                        purpose,
                        template,
                        visible: self.visible(input),
                    });
                }
                None => continue,
            }
        }
        let inputs = (0..self.inputs.len()).filter_map(|position| self.done.get(&position).cloned()).collect();
        Step::Done(Outcome { inputs, undeclared: self.undeclared() })
    }

    /// What the last [`Step::Render`] came to. Without one it does nothing.
    pub fn answer(&mut self, answer: Result<Value, String>) {
        let Some((position, input)) = self.present().filter(|_| std::mem::take(&mut self.asked)) else { return };
        match (self.stage.clone(), answer) {
            (Stage::Condition, Ok(value)) if value.truthy() => self.stage = Stage::Choices,
            (Stage::Condition, Ok(_)) => self.end(position, disabled(input, Vec::new())),
            (Stage::Condition, Err(error)) => self.end(position, disabled(input, vec![error])),
            (Stage::Choices, answer) => match answer.and_then(|value| choices(&value)) {
                Ok(choices) => self.stage = Stage::Value { choices: Some(choices) },
                Err(error) => self.end(position, failed(input, error)),
            },
            (Stage::Default { choices }, Ok(value)) => self.take(position, input, Some(value), true, choices),
            (Stage::Default { .. }, Err(error)) => self.end(position, failed(input, error)),
            (Stage::Value { .. }, _) => {}
        }
    }

    fn present(&self) -> Option<(usize, &'f Input)> {
        let position = *self.order.get(self.next)?;
        Some((position, self.inputs.get(position)?))
    }

    /// One stage of one input: what must be rendered for it, or `None` when it went on.
    fn work(&mut self, position: usize, input: &'f Input) -> Option<(Purpose, Dynamic)> {
        match self.stage.clone() {
            Stage::Condition => {
                if self.depends_on_disabled(input) {
                    self.end(position, disabled(input, Vec::new()));
                    return None;
                }
                if let Some(condition) = &input.condition {
                    return Some((Purpose::Condition, condition.clone()));
                }
                self.stage = Stage::Choices;
            }
            Stage::Choices => {
                if let Some(expression) = &input.rules.expression {
                    return Some((Purpose::Choices, expression.clone()));
                }
                self.stage = Stage::Value { choices: None };
            }
            Stage::Value { choices } => match (self.provided(input), &input.defaults) {
                (Some(value), _) => self.take(position, input, Some(value), false, choices),
                (None, Some(default)) if typing::holds_expression(&default.0) => {
                    let template = default.clone();
                    self.stage = Stage::Default { choices };
                    return Some((Purpose::Default, template));
                }
                (None, Some(default)) => self.take(position, input, Some(default.0.clone()), true, choices),
                (None, None) => {
                    let first = input
                        .rules
                        .auto_select_first
                        .then(|| choices.as_ref().unwrap_or(&input.rules.values).first().cloned());
                    let first = first.flatten().map(|first| match input.kind {
                        InputType::Multiselect => Value::list([first]),
                        _ => first,
                    });
                    self.take(position, input, first, true, choices);
                }
            },
            // Only reached again when no answer came: ask again.
            Stage::Default { .. } => return input.defaults.clone().map(|default| (Purpose::Default, default)),
        }
        None
    }

    /// Types a value, or finds that there is none.
    fn take(
        &mut self,
        position: usize,
        input: &Input,
        value: Option<Value>,
        is_default: bool,
        choices: Option<Vec<Value>>,
    ) {
        let value = value.filter(|value| !is_absent(input.kind, value));
        let mut enabled = true;
        let (value, errors) = match value {
            None if input.required && self.missing == Missing::LeftOut => {
                enabled = false;
                (Value::Null, Vec::new())
            }
            None if input.required => (Value::Null, vec!["it is required, and no value was given".to_owned()]),
            None => (Value::Null, Vec::new()),
            Some(value) => match typing::read(input, &value, choices.as_deref()) {
                Ok(value) => (value, Vec::new()),
                Err(errors) => (Value::Null, errors),
            },
        };
        let is_default = is_default && !value.is_null();
        let choices = choices.unwrap_or_else(|| input.rules.values.clone());
        self.end(position, Resolved { id: input.id.clone(), value, enabled, is_default, choices, errors });
    }

    fn end(&mut self, position: usize, resolved: Resolved) {
        self.done.insert(position, resolved);
        self.next += 1;
        self.stage = Stage::Condition;
    }

    fn provided(&self, input: &Input) -> Option<Value> {
        let found = self.given.get(input.id.as_str()).or_else(|| {
            let (first, rest) = input.id.split_once('.')?;
            self.given.get(first)?.get_path(rest.split('.'))
        });
        found.filter(|value| !is_absent(input.kind, value)).cloned()
    }

    fn find(&self, id: &str) -> Option<&Resolved> {
        let position = self.inputs.iter().position(|input| input.id == id)?;
        self.done.get(&position)
    }

    fn depends_on_disabled(&self, input: &Input) -> bool {
        input.depends_on.iter().any(|id| self.find(id).is_some_and(|resolved| !resolved.enabled))
    }

    fn visible(&self, input: &Input) -> Map {
        let found = input.depends_on.iter().filter_map(|id| self.find(id)).filter(|resolved| resolved.enabled);
        nest(found.map(|resolved| (resolved.id.as_str(), resolved.value.clone())))
    }

    fn undeclared(&self) -> Vec<String> {
        let declared = |key: &str| {
            self.inputs
                .iter()
                .any(|input| input.id == key || input.id.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
        };
        self.given.keys().filter(|key| !declared(key)).map(|key| key.to_string()).collect()
    }
}

fn disabled(input: &Input, errors: Vec<String>) -> Resolved {
    let (id, choices) = (input.id.clone(), input.rules.values.clone());
    Resolved { id, value: Value::Null, enabled: false, is_default: false, choices, errors }
}

fn failed(input: &Input, error: String) -> Resolved {
    Resolved { enabled: true, ..disabled(input, vec![error]) }
}

/// An empty text is a value only where texts are asked for.
fn is_absent(kind: InputType, value: &Value) -> bool {
    let keeps_empty = matches!(kind, InputType::String | InputType::Secret);
    value.is_null() || (!keeps_empty && value.as_str() == Some(""))
}

/// Choices are compared as texts, whatever the expression made.
fn choices(value: &Value) -> Result<Vec<Value>, String> {
    let items = typing::items(value).map_err(|reason| format!("the choices made by `expression` {reason}"))?;
    Ok(items.into_iter().map(|item| Value::from(typing::shown_value(&item))).collect())
}

/// Positions so that each comes after those it depends on. A circle, which parsing refuses, is cut.
fn order(inputs: &[Input]) -> Vec<usize> {
    let positions: HashMap<&str, usize> =
        inputs.iter().enumerate().map(|(position, input)| (input.id.as_str(), position)).collect();
    let mut order = Vec::with_capacity(inputs.len());
    let mut seen = vec![false; inputs.len()];
    for start in 0..inputs.len() {
        // Twice on the stack: once to go down, once to be placed after what it depends on.
        let mut stack = vec![(start, false)];
        while let Some((position, placed)) = stack.pop() {
            let (Some(seen), Some(input)) = (seen.get_mut(position), inputs.get(position)) else { continue };
            if placed {
                order.push(position);
            } else if !std::mem::replace(seen, true) {
                stack.push((position, true));
                let inner = input.depends_on.iter().rev().filter_map(|id| positions.get(id.as_str()));
                stack.extend(inner.map(|inner| (*inner, false)));
            }
        }
    }
    order
}

/// `a.b: 1` as `a: {b: 1}`.
fn nest<'n>(values: impl Iterator<Item = (&'n str, Value)>) -> Map {
    let mut map = Map::new();
    for (id, value) in values {
        insert(&mut map, id, value);
    }
    map
}

fn insert(map: &mut Map, id: &str, value: Value) {
    match id.split_once('.') {
        None => {
            map.insert(id.into(), value);
        }
        Some((first, rest)) => {
            let mut inner = map.get(first).and_then(Value::as_map).cloned().unwrap_or_default();
            insert(&mut inner, rest, value);
            map.insert(first.into(), inner.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    /// Resolves against a flow made of the given inputs. An answer is taken from `answers` by input and purpose.
    fn resolve(inputs: &str, given: &[(&str, &str)], answers: &[(&str, Result<Value, String>)]) -> Outcome {
        let flow = flow(inputs);
        let given = given.iter().map(|(key, value)| ((*key).into(), Value::text(*value))).collect();
        let mut resolve = Resolve::new(&flow.inputs, given);
        loop {
            match resolve.step() {
                Step::Done(outcome) => return outcome,
                Step::Render(render) => {
                    let key =
                        format!("{} {:?} {}", render.input, render.purpose, Value::from(render.visible).to_json());
                    let answer = answers.iter().find(|(name, _)| *name == key);
                    resolve.answer(answer.unwrap_or_else(|| panic!("nobody answers `{key}`")).1.clone());
                }
            }
        }
    }

    fn flow(inputs: &str) -> crate::flow::Flow {
        let source = format!(
            "id: f\nnamespace: n\ninputs:\n{inputs}\ntasks: [{{id: s, type: io.kestra.plugin.core.flow.Sleep, duration: PT1S}}]\n"
        );
        parse(&source, &crate::lookup::Nothing).unwrap().flow
    }

    fn values(outcome: &Outcome) -> String {
        match outcome.values() {
            Ok(map) => Value::from(map).to_json().to_string(),
            Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    }

    #[test]
    fn values_are_typed_and_nested() {
        let inputs = "- {id: a.n, type: INT}\n- {id: a.on, type: boolean}\n- {id: s, type: STRING}\n- {id: o, type: INT, required: false}\n- {id: d, type: DURATION}";
        let outcome = resolve(inputs, &[("a.n", "42"), ("a.on", "TRUE"), ("s", ""), ("d", "pt5m6s"), ("x", "y")], &[]);
        assert_eq!(values(&outcome), r#"{"a":{"n":42,"on":true},"s":"","o":null,"d":"PT5M6S"}"#);
        assert_eq!(outcome.undeclared, ["x"]);
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let inputs = "- {id: n, type: INT, min: 10}\n- {id: m, type: INT}\n- {id: c, type: SELECT, values: [a, b]}\n- {id: u, type: URI}";
        let outcome = resolve(inputs, &[("n", "9"), ("m", ""), ("c", "z"), ("u", "nothing")], &[]);
        let told = values(&outcome);
        for part in [
            "input `n`: it must be more than `10`",
            "input `m`: it is required",
            "input `c`: it must match the values `a`, `b`",
            "input `u`: must be a URI",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert_eq!(told.lines().count(), 4);
    }

    #[test]
    fn defaults_are_rendered_with_what_they_depend_on_only() {
        let inputs = "- {id: b, type: STRING, defaults: '{{ inputs.a }}!', dependsOn: {inputs: [a]}}\n- {id: a, type: STRING, defaults: \"{{ 'x' }}\"}\n- {id: z, type: STRING, defaults: z}";
        let answers = [("a Default {}", Ok(Value::text("x"))), (r#"b Default {"a":"x"}"#, Ok(Value::text("x!")))];
        let outcome = resolve(inputs, &[], &answers);
        assert_eq!(values(&outcome), r#"{"b":"x!","a":"x","z":"z"}"#);
        assert!(outcome.inputs.iter().all(|input| input.is_default));
    }

    #[test]
    fn disabled_inputs_are_dropped_with_all_that_depends_on_them() {
        let inputs = "- {id: a, type: STRING}\n- {id: b, type: INT, dependsOn: {inputs: [a], condition: '{{ inputs.a }}'}}\n- {id: c, type: INT, dependsOn: {inputs: [b]}}\n- {id: d, type: INT, dependsOn: {inputs: [a], condition: '{{ wrong }}'}}";
        let answers = [
            (r#"b Condition {"a":"x"}"#, Ok(Value::Bool(false))),
            (r#"d Condition {"a":"x"}"#, Err("no `wrong`".to_owned())),
        ];
        let outcome = resolve(inputs, &[("a", "x"), ("b", "no number")], &answers);
        assert_eq!(values(&outcome), r#"{"a":"x"}"#);
        let enabled: Vec<bool> = outcome.inputs.iter().map(|input| input.enabled).collect();
        assert_eq!(enabled, [true, false, false, false]);
        assert_eq!(outcome.inputs.last().unwrap().errors, ["no `wrong`"]);
    }

    #[test]
    fn choices_of_expressions_are_texts_and_the_first_may_select_itself() {
        let inputs = "- {id: c, type: SELECT, expression: '{{ x }}', autoSelectFirst: true}\n- {id: m, type: MULTISELECT, values: [1, 2, 3], itemType: INT}";
        let answers = [("c Choices {}", Ok(Value::list([Value::Int(7), Value::Int(8)])))];
        let outcome = resolve(inputs, &[("m", "[\"1\", 3]")], &answers);
        assert_eq!(values(&outcome), r#"{"c":"7","m":[1,3]}"#);
        let outcome = resolve(inputs, &[("c", "8"), ("m", "[4]")], &answers);
        assert_eq!(
            values(&outcome),
            "invalid value for input `m`: it must match the values `1`, `2`, `3`, but received `4`"
        );
    }

    #[test]
    fn an_answer_nobody_asked_for_changes_nothing() {
        let flow = flow("- {id: a, type: STRING}");
        let mut resolve = Resolve::new(&flow.inputs, Map::new());
        resolve.answer(Ok(Value::text("x")));
        let Step::Done(outcome) = resolve.step() else { panic!("nothing is to be rendered") };
        assert!(outcome.values().is_err());
    }
}
