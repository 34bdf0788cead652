//! The alarm of a canary: a placeholder is worth nothing, so one that turns up where no secret belongs says that somebody tries.
//!
//! It is raised for a request to a host the secret may not go to, for a URL's host, for a body that is too long, and for what a plugin says
//! (log, metric, progress, error) unless the flow's author or a server said it first, or it stands in the URL of a request it may be in.
//! Never with a value; once for each secret and place of a run.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use expr::Secret;
use model::ids::{ExecutionId, FlowKey};
use runtime::HostError;
use runtime::placeholder::{self, LENGTH};
use tokio::task::JoinHandle;

use super::outgoing::Hosts;
use super::secret::name_of;
use super::secrets::RunSecrets;
use crate::node::Node;

/// Most alarms of one run: each is an entry of the audit log.
const ALARMS_MAX: usize = 100;
/// What ends the word a URL is.
const AROUND_URLS: [char; 12] = ['"', '\'', '`', '<', '>', '(', ')', '[', ']', '{', '}', ','];

/// Where a placeholder turned up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Request,
    UrlHost,
    Body,
    Log,
    Metric,
    Progress,
    Error,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::UrlHost => "url-host",
            Self::Body => "body",
            Self::Log => "log",
            Self::Metric => "metric",
            Self::Progress => "progress",
            Self::Error => "error",
        }
    }
}

/// Whose run it is.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub plugin: Arc<str>,
    pub version: Arc<str>,
    pub flow: FlowKey,
    /// A poll has none.
    pub execution: Option<ExecutionId>,
    /// Or the trigger.
    pub task: String,
}

/// The alarms of one run.
pub(super) struct Alarms {
    node: Arc<Node>,
    secrets: Arc<RunSecrets>,
    hosts: Arc<Hosts>,
    about: About,
    raised: Mutex<Raised>,
}

#[derive(Default)]
struct Raised {
    known: BTreeSet<(String, Place)>,
    /// Entries on their way into the audit log.
    writing: Vec<JoinHandle<()>>,
}

impl Alarms {
    /// Whose run it is.
    pub fn about(&self) -> &About {
        &self.about
    }

    pub fn new(node: Arc<Node>, secrets: Arc<RunSecrets>, hosts: Arc<Hosts>, about: About) -> Self {
        Self { node, secrets, hosts, about, raised: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Raised> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises an alarm, the first time. `host`: where it would have gone.
    pub fn raise(&self, secret: &Secret, place: Place, host: Option<&str>) {
        let name = name_of(secret);
        let mut raised = self.lock();
        if raised.known.len() >= ALARMS_MAX || !raised.known.insert((name.clone(), place)) {
            return;
        }
        let About { plugin, version, flow, execution, task } = &self.about;
        let execution = execution.as_ref().map(ToString::to_string);
        tracing::warn!(secret = %name, place = place.name(), host, %plugin, %version, %flow, execution, %task,
            "a plugin put a secret's placeholder where no secret belongs");
        let details = serde_json::json!({
            "place": place.name(), "host": host, "plugin": plugin, "version": version, "flow": flow.to_string(),
            "execution": execution, "task": task,
        });
        let (node, actor) = (self.node.clone(), format!("plugin {plugin} {version}"));
        raised.writing.push(self.node.tasks.spawn(async move {
            let entry = node.audited(&actor, "secret.alarm", &name, &details);
            let kept = match entry {
                Ok(entry) => node.keep(entry).await,
                Err(error) => Err(error),
            };
            if let Err(error) = kept {
                tracing::error!(secret = %name, %error, "an alarm is not in the audit log");
            }
        }));
    }

    /// Writes down what is done with a secret, before it is done.
    pub async fn note(&self, secret: &Secret, action: &str) -> Result<(), HostError> {
        let About { plugin, version, flow, execution, task } = &self.about;
        let details = serde_json::json!({
            "plugin": plugin, "version": version, "flow": flow.to_string(),
            "execution": execution.as_ref().map(ToString::to_string), "task": task,
        });
        let failed =
            |error: crate::error::Error| HostError::host(format!("the audit log could not be written: {error}"));
        let entry = self.node.audited(&format!("plugin {plugin} {version}"), action, &name_of(secret), &details);
        self.node.keep(entry.map_err(failed)?).await.map_err(failed)
    }

    /// Looks through what a plugin says.
    pub fn hear(&self, said: &str, place: Place) {
        let (bytes, mut from) = (said.as_bytes(), 0);
        while let Some(at) = placeholder::find(bytes, from) {
            from = at + LENGTH;
            let Some(word) = said.get(at..from) else { continue };
            let Some(secret) = self.secrets.behind(word) else { continue };
            let line = line_at(said, at);
            if !self.secrets.is_expected(line, word) && !self.is_in_request(said, at, &secret) {
                self.raise(&secret, place, None);
            }
        }
    }

    /// Whether the placeholder is part of a URL that it may be sent in.
    fn is_in_request(&self, said: &str, at: usize, secret: &Secret) -> bool {
        let ends = |letter: char| letter.is_whitespace() || AROUND_URLS.contains(&letter);
        let (before, after) = said.split_at(at);
        let start = before.rfind(ends).map_or(0, |start| {
            start + before.get(start..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
        });
        let end = after.find(ends).map_or(said.len(), |end| at + end);
        let Some(url) = said.get(start..end).and_then(|word| url::Url::parse(word).ok()) else { return false };
        match super::secret::url_of(secret) {
            // The placeholder is the host: it is the URL of the request itself.
            Some(_) if url.host_str().is_some_and(|host| self.secrets.behind(host).is_some()) => true,
            _ => self.hosts.may_go(&|name| self.node.bound_hosts(name), secret, &url).is_ok(),
        }
    }

    /// Waits until all alarms so far are in the audit log.
    pub async fn settle(&self) {
        let writing = std::mem::take(&mut self.lock().writing);
        for one in writing {
            let _ = one.await;
        }
    }
}

/// The line of a text that has this place.
fn line_at(text: &str, at: usize) -> &str {
    let (before, after) = text.split_at(at);
    let start = before.rfind('\n').map_or(0, |start| start + 1);
    let end = after.find('\n').map_or(text.len(), |end| at + end);
    text.get(start..end).unwrap_or_default()
}
