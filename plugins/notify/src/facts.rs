//! What a message says of an execution: of the one it is sent by, or of another. What cannot be known is left out, since a message with fewer
//! facts is worth more than none.

use serde_json::{Value, json};
use sluice_sdk::objects;
use sluice_sdk::prelude::*;

/// Whose facts are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// The execution; this one if not given.
    pub execution_id: Option<&'a str>,
    /// Where the pages of the server are.
    pub server_url: Option<&'a str>,
}

/// How an execution is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It ended well.
    Good,
    /// Somebody should look.
    Uneasy,
    /// It went wrong.
    Bad,
    /// It goes on.
    Neutral,
}

/// What is known of an execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its id.
    pub id: String,
    /// The flow's namespace.
    pub namespace: Option<String>,
    /// The flow.
    pub flow: Option<String>,
    /// The state it is in.
    pub state: Option<String>,
    /// Tasks that failed, where it is the execution that tells.
    pub failed_tasks: Vec<String>,
    /// Its page.
    pub link: Option<String>,
}

impl Facts {
    /// Finds out what can be known.
    pub fn of(cx: &Context, asked: Asked<'_>) -> Self {
        let own = cx.get("execution.id").unwrap_or_default();
        let id = asked.execution_id.map(str::trim).filter(|id| !id.is_empty()).unwrap_or(&own);
        let mut facts = if id == own { Self::own(cx, own) } else { Self::other(cx, id) };
        facts.link = facts.page(cx, asked.server_url);
        facts
    }

    fn own(cx: &Context, id: String) -> Self {
        let failed = cx.render("{{ tasksWithState('FAILED') }}", &json!({})).unwrap_or_default();
        let failed: Vec<Value> = serde_json::from_str(&failed).unwrap_or_default();
        let names = failed.iter().filter_map(|task| task.get("taskId")?.as_str().map(str::to_owned));
        Self {
            id,
            namespace: cx.get("flow.namespace"),
            flow: cx.get("flow.id"),
            state: variable(cx, "execution.state"),
            failed_tasks: names.collect(),
            link: None,
        }
    }

    /// Of the execution that this one was started by, the trigger knows all; it may be of a namespace that this one cannot look into.
    fn other(cx: &Context, id: &str) -> Self {
        if variable(cx, "trigger.executionId").as_deref() == Some(id) {
            return Self {
                id: id.to_owned(),
                namespace: variable(cx, "trigger.namespace"),
                flow: variable(cx, "trigger.flowId"),
                state: variable(cx, "trigger.state"),
                ..Self::default()
            };
        }
        let namespace = cx.get("flow.namespace").unwrap_or_default();
        let problem = match objects::read("execution", &namespace, id) {
            Ok(Some(text)) => return Self::stored(id, &text),
            Ok(None) => format!("namespace `{namespace}` has none of that id"),
            Err(failure) => failure.message().to_owned(),
        };
        cx.warn(format!("the message says nothing of execution `{id}` but its id: {problem}"));
        Self { id: id.to_owned(), ..Self::default() }
    }

    fn stored(id: &str, text: &str) -> Self {
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            id: id.to_owned(),
            namespace: text("namespace"),
            flow: text("flow"),
            state: text("state"),
            ..Self::default()
        }
    }

    fn page(&self, cx: &Context, server_url: Option<&str>) -> Option<String> {
        let server = server_url.map(|url| url.trim().to_owned()).filter(|url| !url.is_empty());
        let server = server.or_else(|| variable(cx, "kestra.url"))?;
        // The host takes a URL in a property for something to call, and refuses one of its own network: there the scheme may be missing.
        let scheme = if server.contains("://") { "" } else { "http://" };
        let (namespace, flow) = (self.namespace.as_ref()?, self.flow.as_ref()?);
        Some(format!("{scheme}{}/ui/executions/{namespace}/{flow}/{}", server.trim_end_matches('/'), self.id))
    }

    /// One line that says what happened.
    pub fn title(&self) -> String {
        let what = match (&self.namespace, &self.flow) {
            (Some(namespace), Some(flow)) => format!("Flow {namespace}.{flow}"),
            _ => format!("Execution {}", self.id),
        };
        match (&self.state, self.failed_tasks.as_slice()) {
            (Some(state), _) if !self.goes_on() => format!("{what}: {state}"),
            (_, [task]) => format!("{what}: task {task} failed"),
            (_, [_, ..]) => format!("{what}: {} tasks failed", self.failed_tasks.len()),
            (Some(state), []) => format!("{what}: {state}"),
            (None, []) => what,
        }
    }

    /// Names and values, for the fields of a message.
    pub fn fields(&self) -> Vec<(String, String)> {
        let failed = (!self.failed_tasks.is_empty()).then(|| self.failed_tasks.join(", "));
        let fields = [
            ("Namespace", self.namespace.clone()),
            ("Flow", self.flow.clone()),
            ("Execution", Some(self.id.clone())),
            ("State", self.state.clone()),
            ("Failed tasks", failed),
        ];
        let known = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        known.filter(|(_, value)| !value.is_empty()).collect()
    }

    /// How the execution is to be looked at.
    pub fn mood(&self) -> Mood {
        match self.state.as_deref().unwrap_or_default() {
            "SUCCESS" => Mood::Good,
            "FAILED" | "KILLED" | "KILLING" | "CANCELLED" => Mood::Bad,
            "WARNING" | "PAUSED" | "RETRYING" | "RETRIED" => Mood::Uneasy,
            _ if !self.failed_tasks.is_empty() => Mood::Bad,
            _ => Mood::Neutral,
        }
    }

    /// A flow that handles its errors still runs: what failed says more than that.
    fn goes_on(&self) -> bool {
        matches!(self.state.as_deref(), None | Some("CREATED" | "RUNNING" | "RESTARTED"))
    }
}

/// A variable of the run, where there is one.
fn variable(cx: &Context, path: &str) -> Option<String> {
    let text = cx.render(&format!("{{{{ {path} ?? '' }}}}"), &json!({})).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
