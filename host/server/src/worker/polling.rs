//! Polls: a plugin is asked whether something happened, on a worker and with grants as a task is, but for no execution. Nothing is kept of
//! a poll here; what it brought is for the trigger's row.

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::Value;
use model::execution::Failure;
use model::trigger::{Polling, Trigger};
use runtime::{Cancel, Effect, Facts, HostError, Line, Metric, Progress, Request, Secrets, Services, Sink, Soon};
use store::rows::{self, Target};

use super::alarms::Place;
use super::given::{Given, Whose};
use super::outgoing::Outgoing;
use super::reach::Reach;
use super::sink;
use super::templates::{Author, Templates};
use crate::flows::SavedFlow;
use crate::inputs::FlowScope;
use crate::node::Node;

/// Longest a poll may take: the next one waits for it.
const POLL_MAX: std::time::Duration = std::time::Duration::from_secs(300);

/// What a plugin is asked.
pub(crate) struct Question<'a> {
    pub saved: &'a Arc<SavedFlow>,
    pub trigger: &'a Trigger,
    pub polling: &'a Polling,
    /// What the last poll that fired handed back.
    pub cursor: Option<String>,
}

/// Something happened.
pub(crate) struct Happened {
    /// What `trigger` is in expressions.
    pub outputs: expr::Map,
    /// What the next poll is told.
    pub cursor: Option<String>,
}

impl Node {
    /// Asks a plugin; `None`: nothing happened.
    pub(crate) async fn ask_plugin(self: &Arc<Self>, question: Question<'_>) -> Result<Option<Happened>, Failure> {
        let Question { saved, trigger, polling, cursor } = question;
        let Some(locked) = saved.lock.triggers.get(&trigger.id) else {
            let message =
                format!("trigger `{}` is not in the lock of its flow revision; hint: save the flow again", trigger.id);
            return Err(Failure::new("LOCK_MISSING", message));
        };
        let Ok(_slot) = self.workers.slots.clone().acquire_owned().await else {
            return Err(Failure::new("CANCELLED", "the server is shutting down"));
        };
        let key = &saved.flow.key;
        let scope = FlowScope { node: self, flow: &saved.flow };
        let properties = self.render_properties_in(&scope, key, None, &polling.properties, locked).await?;
        let whose = Whose { saved, key, locked, execution: None, task: trigger.id.as_str() };
        let Given { source, properties, grants, mut limits, secrets, outgoing, .. } =
            self.given(&whose, &properties)?;
        limits.wall = Some(limits.wall.map_or(POLL_MAX, |wall| wall.min(POLL_MAX)));
        let facts = [
            ("tenant", key.tenant.to_string()),
            ("flow.namespace", key.namespace.to_string()),
            ("flow.id", key.id.to_string()),
            ("flow.revision", saved.flow.revision.to_string()),
            ("trigger.id", trigger.id.to_string()),
            ("trigger.type", trigger.type_name.clone()),
            ("plugin.name", locked.plugin.clone()),
            ("plugin.version", locked.version.to_string()),
        ];
        let keys: BTreeMap<String, String> = facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect();
        let log = Arc::new(PollLog::default());
        let author = Author::new(grants.clone(), Reach::of(&key.namespace, &properties), &polling.properties);
        let request = Request {
            plugin: source,
            task_type: locked.task_type.clone(),
            input: properties.to_json().to_string(),
            facts: Facts { keys, attempt: 1, idempotency_key: format!("{key}/{}", trigger.id) },
            grants,
            limits,
            working_dir: None,
            services: Arc::new(PollServices {
                outgoing: outgoing.clone(),
                node: self.clone(),
                saved: saved.clone(),
                author,
            }),
            sink: log.clone(),
            cancel: Cancel::new(),
        };
        let outcome = self.runtime.poll(request, cursor).await;
        self.keep_log(saved, trigger, &outgoing, &log).await;
        let answer = outcome.result.map_err(|failure| {
            let hint = failure.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            let (message, retryable) = (format!("{}{hint}", failure.message), failure.retryable);
            outgoing.alarms().hear(&message, Place::Error);
            let message = secrets.masked(&message);
            Failure { code: secrets.masked(&failure.code), message, retryable }
        });
        outgoing.alarms().settle().await;
        let answer = answer?;
        let wrong = |why: String| Failure::new("BAD_OUTPUTS", format!("plugin `{}` gave {why}", locked.plugin));
        let answer =
            Value::parse_json(&answer).map_err(|error| wrong(format!("an answer that is no JSON: {error}")))?;
        if answer.is_null() {
            return Ok(None);
        }
        let outputs = secrets.recognise(answer.get("outputs").unwrap_or(&Value::Null));
        let outputs = match outputs {
            Value::Null => expr::Map::new(),
            Value::Map(outputs) => Arc::unwrap_or_clone(outputs),
            other => return Err(wrong(format!("outputs that are a {}", other.kind()))),
        };
        // A cursor is stored as it is: it may hold no secret, though it may hold its placeholder, which is worth nothing.
        let cursor = answer.get("cursor").and_then(Value::as_str).map(|cursor| secrets.unrevealed(cursor).into_owned());
        Ok(Some(Happened { outputs, cursor }))
    }

    /// What the plugin said goes into the log of the trigger.
    async fn keep_log(&self, saved: &SavedFlow, trigger: &Trigger, outgoing: &Outgoing, log: &PollLog) {
        let secrets = outgoing.secrets();
        let said = std::mem::take(&mut *log.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let key = &saved.flow.key;
        let least = trigger.log_level.unwrap_or(model::task::LogLevel::Trace);
        said.iter().for_each(|line| outgoing.alarms().hear(&line.message, Place::Log));
        let lines = said.into_iter().map(|line| rows::LogLine {
            of: Target::Trigger(key.clone(), trigger.id.clone()),
            position: 0,
            at: self.now(),
            level: sink::level_of(line.level),
            flow: Some(key.clone()),
            task: None,
            task_run: None,
            attempt: 0,
            message: secrets.masked(&line.message).into(),
            fields: line.fields.iter().map(|(name, field)| (secrets.masked(name), secrets.masked(field))).collect(),
        });
        let lines: Vec<rows::LogLine> = lines.filter(|line| line.level >= least).collect();
        if !lines.is_empty()
            && let Err(error) = self.store.append_logs(lines).await
        {
            tracing::warn!(flow = %key, trigger = %trigger.id, %error, "log lines were lost");
        }
    }
}

/// Lines a poll may leave: it comes again soon.
const LINES_MAX: usize = 1_000;

/// What a plugin says while it is asked.
#[derive(Default)]
struct PollLog(std::sync::Mutex<Vec<Line>>);

impl Sink for PollLog {
    fn log(&self, line: Line) {
        let mut lines = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if lines.len() < LINES_MAX {
            lines.push(line);
        }
    }

    fn metric(&self, _: Metric) {}

    fn progress(&self, _: Progress) {}
}

/// What a plugin may ask of the server while it is asked.
struct PollServices {
    outgoing: Arc<Outgoing>,
    node: Arc<Node>,
    saved: Arc<SavedFlow>,
    author: Author,
}

impl Services for PollServices {
    // External synchrony: nothing leaves before the cursor it goes on from is durable.
    fn before_effect<'a>(&'a self, _: Effect) -> Soon<'a, Result<(), HostError>> {
        Box::pin(self.outgoing.gate())
    }

    // In the eyes of the flow, with what the plugin has seen in front.
    fn render<'a>(&'a self, template: String, variables: String) -> Soon<'a, Result<String, HostError>> {
        Box::pin(async move { self.templates(&self.scope()).render(&template, &variables).await })
    }

    fn render_each<'a>(
        &'a self,
        template: String,
        variables: Vec<String>,
    ) -> Soon<'a, Result<Vec<Result<String, HostError>>, HostError>> {
        Box::pin(async move { self.templates(&self.scope()).render_each(&template, &variables).await })
    }

    fn secrets(&self) -> &dyn Secrets {
        self.outgoing.as_ref()
    }
}

impl PollServices {
    fn scope(&self) -> FlowScope<'_> {
        FlowScope { node: &self.node, flow: &self.saved.flow }
    }

    fn templates<'a>(&'a self, back: &'a dyn expr::Scope) -> Templates<'a> {
        let (secrets, flow) = (self.outgoing.secrets(), &self.saved.flow.key);
        Templates { node: &self.node, secrets, back, flow, execution: None, author: &self.author }
    }
}
