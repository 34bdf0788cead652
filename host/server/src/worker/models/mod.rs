//! The way from a task to a provider of models: the component that the flow's lock names answers, with its own grants, on behalf of the
//! task. What it says goes into the task's log; its secrets are those that the flow gave the task for it.

mod budget;
mod own;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use expr::Value;
use model::lock::Locked;
use runtime::{Answer, Cancel, Effect, Facts, HostError, Outcome, Request, Secrets, Services, Sink, Soon};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::alarms::Place;
use super::outgoing::Outgoing;
use super::services::Effects;
use crate::flows::SavedFlow;
use crate::node::Node;

pub(super) use budget::Spent;

/// Answers on their way to one run at one time: each is a guest of its own.
const ANSWERS_MAX: usize = 8;
/// Parts that wait for the one who asked. A provider that is faster waits.
const PARTS_MAX: usize = 64;

/// What one run asks providers with.
pub(super) struct Models {
    /// Its properties, with the secrets in them.
    rendered: Value,
    facts: Facts,
    sink: Arc<dyn Sink>,
    cancel: Cancel,
    asked: AtomicU64,
    answers: Arc<Semaphore>,
    untold: Arc<budget::Untold>,
}

/// One question.
pub(super) struct Question {
    pub provider: String,
    /// A JSON object.
    pub configuration: String,
    pub request: String,
}

/// Whose run asks.
pub(super) struct Asking<'a> {
    pub node: &'a Arc<Node>,
    pub saved: &'a SavedFlow,
    pub outgoing: &'a Outgoing,
    pub effects: Arc<Effects>,
}

impl Models {
    pub fn new(rendered: Value, facts: Facts, sink: Arc<dyn Sink>, cancel: Cancel) -> Self {
        let answers = Arc::new(Semaphore::new(ANSWERS_MAX));
        Self { rendered, facts, sink, cancel, asked: AtomicU64::new(0), answers, untold: Arc::default() }
    }

    /// What the run has spent and not yet told.
    pub fn untold(&self) -> budget::Spent {
        self.untold.so_far()
    }

    /// Starts the provider's run; it goes on while somebody waits for it.
    pub fn ask(&self, asking: Asking<'_>, question: Question) -> Result<Box<dyn Answer>, Box<runtime::Failure>> {
        let Question { provider, configuration, request } = question;
        let Asking { node, saved, outgoing, effects } = asking;
        let denied = |error: HostError| Box::new(runtime::Failure::denied(error));
        let Some(locked) = saved.lock.providers.get(&provider) else {
            let message = format!(
                "provider `{}` is not in the lock of its flow revision; hint: name it in a property of the task, as `type` of a map, and \
                 save the flow",
                provider.escape_debug()
            );
            return Err(denied(HostError::not_found(message)));
        };
        let Ok(permit) = self.answers.clone().try_acquire_owned() else {
            let message = format!("at most {ANSWERS_MAX} answers of models are on their way to one run");
            return Err(denied(HostError::limit(message)));
        };
        let failed = |failure: model::execution::Failure| {
            let error = HostError::new(&failure.code, failure.message);
            Box::new(runtime::Failure { retryable: failure.retryable, ..*denied(error) })
        };
        let standing = node.standing(&saved.standings, &saved.flow, locked).map_err(failed)?;
        // The hosts are those that the flow names in the task, whatever the task's plugin makes of them.
        let grants = standing.layers.of_run(&self.rendered).map_err(failed)?;
        let (plugin, version) = (standing.plugin.clone(), standing.version.clone());
        let outgoing = Arc::new(outgoing.of_provider(standing.hosts.clone(), plugin, version));
        let (hand, parts) = mpsc::channel(PARTS_MAX);
        let run = Request {
            plugin: standing.source.clone(),
            task_type: locked.task_type.clone(),
            input: configuration,
            facts: self.facts_for(locked, &provider),
            grants,
            limits: standing.layers.limits.clone(),
            working_dir: None,
            services: Arc::new(ProviderServices { outgoing: outgoing.clone(), effects: Some(effects), parts: hand }),
            sink: self.sink.clone(),
            cancel: self.cancel.clone(),
        };
        let runs = node.runtime.clone();
        let run = Box::pin(async move { runs.chat(run, request).await });
        let untold = self.untold.clone();
        Ok(Box::new(Asked { run: Some(run), parts, ended: None, outgoing, untold, _permit: permit }))
    }

    fn facts_for(&self, locked: &Locked, provider: &str) -> Facts {
        let mut facts = self.facts.clone();
        facts.keys.remove("working-dir");
        let own = [
            ("plugin.name", locked.plugin.clone()),
            ("plugin.version", locked.version.to_string()),
            ("provider.type", provider.to_owned()),
        ];
        facts.keys.extend(own.map(|(key, value)| (key.to_owned(), value)));
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        facts.idempotency_key = format!("{}/chat/{number}", facts.idempotency_key);
        facts
    }
}

/// An answer on its way: the provider's run, which is driven by who waits, and ends when it is dropped.
struct Asked {
    run: Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>,
    parts: mpsc::Receiver<String>,
    ended: Option<Result<String, runtime::Failure>>,
    outgoing: Arc<Outgoing>,
    untold: Arc<budget::Untold>,
    _permit: OwnedSemaphorePermit,
}

impl Asked {
    /// The next part, or the end of the run.
    async fn go_on(&mut self) -> Option<String> {
        let Some(run) = &mut self.run else { return self.parts.try_recv().ok() };
        let outcome = tokio::select! {
            biased;
            Some(part) = self.parts.recv() => return Some(part),
            outcome = run => outcome,
        };
        self.run = None;
        if let Err(failure) = &outcome.result {
            self.outgoing.alarms().hear(&failure.message, Place::Error);
        }
        self.outgoing.alarms().settle().await;
        if let Ok(answer) = &outcome.result {
            self.untold.add(answer);
        }
        self.ended = Some(outcome.result.map_err(|mut failure| {
            if let Some(hint) = failure.hint.take() {
                failure.message = format!("{}\nhint: {hint}", failure.message);
            }
            failure
        }));
        // What was handed over last.
        self.parts.try_recv().ok()
    }
}

impl Answer for Asked {
    fn next<'a>(&'a mut self) -> Soon<'a, Option<String>> {
        Box::pin(self.go_on())
    }

    fn finish<'a>(&'a mut self) -> Soon<'a, Result<String, runtime::Failure>> {
        Box::pin(async move {
            while self.run.is_some() {
                self.go_on().await;
            }
            match self.ended.take() {
                Some(ended) => ended,
                None => Err(runtime::Failure::denied(HostError::bad_argument("the answer was handed out already"))),
            }
        })
    }
}

/// What a provider may ask of the server.
struct ProviderServices {
    outgoing: Arc<Outgoing>,
    /// Of the attempt that asks; the server's own questions are no attempt's.
    effects: Option<Arc<Effects>>,
    parts: mpsc::Sender<String>,
}

impl Services for ProviderServices {
    fn emit_part<'a>(&'a self, part: String) -> Soon<'a, bool> {
        Box::pin(async move { self.parts.send(part).await.is_ok() })
    }

    fn before_effect<'a>(&'a self, _: Effect) -> Soon<'a, Result<(), HostError>> {
        Box::pin(async move {
            if let Some(effects) = &self.effects {
                effects.begin().await?;
            }
            self.outgoing.gate().await
        })
    }

    fn secrets(&self) -> &dyn Secrets {
        self.outgoing.as_ref()
    }
}
