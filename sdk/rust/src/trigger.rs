//! Polling triggers: the host asks in intervals whether something happened.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::plugin::{read_properties, write_outputs};
use crate::{Context, Failure, TaskDefinition, from_rendered};

/// A polling trigger type. `#[trigger]` writes it.
///
/// ```
/// use sluice_sdk::prelude::*;
/// #[properties] struct Inbox { /** Which one. */ folder: String }
/// #[outputs] struct Mail { subject: String }
/// /// Fires when a mail comes.
/// #[trigger("com.example.mail.Inbox")]
/// fn inbox(inbox: Inbox, cursor: Option<&str>, cx: &Context) -> Result<Option<Fired<Mail>>, Failure> {
///     let last: u64 = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
///     cx.debug(format!("looking into {} behind {last}", inbox.folder));
///     Ok(Some(Fired::new(Mail { subject: "Hello".to_owned() }).cursor((last + 1).to_string())))
/// }
/// # #[task("com.example.mail.Send")] /** x */ fn send(_: Inbox) -> Result<(), Failure> { Ok(()) }
/// plugin! { tasks: [send], triggers: [inbox] }
/// # fn main() {
/// let fired = sluice_sdk::testing::MockHost::new().poll::<Plugin>("com.example.mail.Inbox", r#"{"folder": "in"}"#, Some("7"));
/// assert_eq!(fired.unwrap().unwrap(), r#"{"outputs":{"subject":"Hello"},"cursor":"8"}"#);
/// # }
/// ```
pub trait Trigger {
    /// Type, aliases, documentation.
    const DEFINITION: TaskDefinition;
    /// What a flow sets.
    type Properties: DeserializeOwned + JsonSchema;
    /// What `trigger` is in the expressions of the execution that starts.
    type Outputs: Serialize + JsonSchema;

    /// Whether something happened. `cursor` is what the last poll that fired handed back.
    fn poll(
        properties: Self::Properties,
        cursor: Option<&str>,
        context: &Context,
    ) -> Result<Option<Fired<Self::Outputs>>, Failure>;
}

/// Something happened: one execution starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fired<O> {
    outputs: O,
    cursor: Option<String>,
}

impl<O> Fired<O> {
    /// What happened.
    pub fn new(outputs: O) -> Self {
        Self { outputs, cursor: None }
    }

    /// What the next poll is told, so that nothing fires twice. It is kept in the commit that starts the execution.
    #[must_use]
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }
}

/// What a trigger function may return: a result whose error becomes a [`Failure`].
pub trait PollResult {
    /// What `trigger` is in expressions.
    type Outputs: Serialize + JsonSchema;

    /// The result with the one kind of error.
    fn into_result(self) -> Result<Option<Fired<Self::Outputs>>, Failure>;
}

impl<O: Serialize + JsonSchema, E: Into<Failure>> PollResult for Result<Option<Fired<O>>, E> {
    type Outputs = O;

    fn into_result(self) -> Result<Option<Fired<O>>, Failure> {
        self.map_err(Into::into)
    }
}

/// Reads the properties, polls, writes what happened.
pub fn run_trigger<T: Trigger>(input: &str, cursor: Option<&str>) -> Result<Option<String>, Failure> {
    let fired = T::poll(from_rendered(read_properties(input)?)?, cursor, &Context::of_this_run())?;
    fired.map(|fired| write_outputs(serde_json::to_string(&fired))).transpose()
}

/// The failure of a trigger type this plugin does not have: the catalog asked the wrong component.
pub fn unknown_trigger(trigger: &str) -> Failure {
    Failure::new("UNKNOWN_TASK", format!("this plugin has no trigger type `{trigger}`")).retryable(false)
}
