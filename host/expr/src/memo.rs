//! Calls that the evaluator cannot answer itself, and their answers. Serialised with a decision, the memo makes it
//! replayable. Never performs a call.
//!
//! What a shell has to answer (arguments that were not given are absent):
//! - `now()`: a date; `random(bytes)`: so many bytes as lower-case hex text, drawn anew for each `nth`;
//! - `secret(key, namespace)`: `Text::secret(name, value)`; `kv(key, namespace, errorOnMissing)`: the value;
//! - `read(path, namespace, version)`: text; `fileSize`, `fileExists`, `isFileEmpty`, `fileURI(path, namespace)`;
//! - `errorLogs()`, `http(uri, method, query, body, contentType, headers, options, accept)`, `appLink(..)`,
//!   `subflow(namespace, id, inputs, revision, labels, timeout)`.
//!
//! All else that looks random or like a clock (`uuid`, `id`, `ksuid`, `nanoId`, `randomInt`, `randomPort`, `encrypt`)
//! is made of `random` and `now`.
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Problem};
use crate::value::Value;

/// Calls one rendering may make: enough for a loop over a page of keys, too few to hold a worker for long.
pub const MAX_CALLS: usize = 1_000;

/// A call that needs IO or is impure. Equal calls have equal answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Call {
    /// Name as in the expression: `kv`, `read`, `secret`, `now`, `uuid`.
    pub function: Arc<str>,
    /// Given arguments in the order of the function's parameters, each under its parameter's name.
    pub args: Vec<(Arc<str>, Value)>,
    /// Tells repeated calls of a random source apart; 0 for all others.
    #[serde(default)]
    pub nth: u64,
}

impl Call {
    pub fn new(function: impl Into<Arc<str>>) -> Self {
        Call { function: function.into(), args: Vec::new(), nth: 0 }
    }

    /// The argument `name`, if given.
    pub fn arg(&self, name: &str) -> Option<&Value> {
        self.args.iter().find(|(given, _)| given.as_ref() == name).map(|(_, value)| value)
    }

    /// The clear text of the argument `name`, if given as text.
    pub fn arg_text(&self, name: &str) -> Option<String> {
        self.arg(name)?.as_text()?.reveal().ok().map(|text| text.into_owned())
    }
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    Value(Value),
    /// There is nothing (no such key, file, secret): null for `??`, an error with this message elsewhere.
    Absent(String),
    /// The call failed; the message is shown.
    Failed(String),
}

/// Answers by call, in the order they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memo {
    answers: IndexMap<Call, Answer>,
}

impl Memo {
    pub fn new() -> Self {
        Memo::default()
    }

    pub fn get(&self, call: &Call) -> Option<&Answer> {
        self.answers.get(call)
    }

    pub fn insert(&mut self, call: Call, answer: Answer) {
        self.answers.insert(call, answer);
    }

    pub fn len(&self) -> usize {
        self.answers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Call, &Answer)> {
        self.answers.iter()
    }
}

impl Serialize for Memo {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.answers.iter())
    }
}

impl<'de> Deserialize<'de> for Memo {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let answers = Vec::<(Call, Answer)>::deserialize(deserializer)?;
        Ok(Memo { answers: answers.into_iter().collect() })
    }
}

/// Evaluates again and again, answering missing calls, until there is a result. For callers whose answers are at
/// hand; the server has an asynchronous loop of its own.
pub fn drive<T>(
    memo: &mut Memo,
    mut answer: impl FnMut(&Call) -> Answer,
    mut evaluate: impl FnMut(&Memo) -> Result<T, Error>,
) -> Result<T, Error> {
    for _ in 0..MAX_CALLS {
        match evaluate(memo) {
            Err(Error::Missing(call)) => {
                let given = answer(&call);
                memo.insert(*call, given);
            }
            result => return result,
        }
    }
    Err(Error::Limit {
        limit: "expression.limit.calls",
        problem: Box::new(Problem {
            message: format!("the expression makes more than {MAX_CALLS} calls"),
            hint: Some("read many values with one task and use its outputs".into()),
            excerpt: String::new(),
            position: Default::default(),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_in_order() {
        let mut memo = Memo::new();
        assert!(memo.is_empty());
        let calls = ["b", "a"].map(Call::new);
        for (call, number) in calls.iter().zip(1..) {
            memo.insert(call.clone(), Answer::Value(Value::Int(number)));
        }
        assert!(!memo.is_empty());
        assert_eq!(memo.get(&calls[1]), Some(&Answer::Value(Value::Int(2))));
        assert_eq!(memo.get(&Call { nth: 1, ..calls[1].clone() }), None);
        let names: Vec<_> = memo.iter().map(|(call, _)| call.function.as_ref()).collect();
        assert_eq!(names, ["b", "a"]);
        let stored = serde_json::to_string(&memo).unwrap();
        assert_eq!(
            stored,
            r#"[[{"function":"b","args":[],"nth":0},{"value":1}],[{"function":"a","args":[],"nth":0},{"value":2}]]"#
        );
        assert_eq!(serde_json::from_str::<Memo>(&stored).unwrap(), memo);
    }

    #[test]
    fn arguments_are_found_by_name() {
        let args = vec![("a".into(), "x".into()), ("b".into(), Value::Int(1))];
        let call = Call { args, ..Call::new("f") };
        assert_eq!((call.arg("b"), call.arg("c")), (Some(&Value::Int(1)), None));
        assert_eq!((call.arg_text("a").as_deref(), call.arg_text("b"), call.arg_text("c")), (Some("x"), None, None));
    }

    #[test]
    fn as_many_calls_as_allowed_are_answered() {
        let run = |wanted: usize| {
            let mut asked = 0;
            let evaluate = |_: &Memo| {
                asked += 1;
                match asked > wanted {
                    true => Ok(asked),
                    false => Err(Error::Missing(Box::new(Call { nth: asked as u64, ..Call::new("f") }))),
                }
            };
            drive(&mut Memo::new(), |_| Answer::Value(Value::Null), evaluate)
        };
        assert_eq!(run(MAX_CALLS - 1).ok(), Some(MAX_CALLS));
        assert_eq!(run(MAX_CALLS).unwrap_err().code(), "expression.limit.calls");
        let failed = drive(&mut Memo::new(), |_| Answer::Value(Value::Null), |_| Err::<(), _>(Error::invalid("bad")));
        assert_eq!(failed.unwrap_err().code(), "expression.invalid");
    }
}
