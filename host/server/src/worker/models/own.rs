//! The server's own questions to providers of its configuration: the same door as of tasks, with what the operator wrote down for a grant.

use std::sync::Arc;

use catalog::Catalog;
use expr::Value;
use model::execution::Failure;
use model::ids::{FlowId, FlowKey, Namespace, TENANT};
use runtime::{
    Cancel, Facts, Grants, Level, Line, Metric, NetworkRule, Ports, Progress, Request, Says, Sink, SpecialRanges,
};
use tokio::sync::mpsc;

use super::ProviderServices;
use crate::ai::ModelProvider;
use crate::node::Node;
use crate::policy;
use crate::worker::alarms::{About, Place};
use crate::worker::outgoing::{Hosts, Outgoing};
use crate::worker::secret;
use crate::worker::secrets::RunSecrets;

/// Where it is said what the server's providers may do.
const PLACE: &str = "in `kestra.ai` of the configuration";
/// Whose question it is in the audit log.
const ASKER: (&str, &str) = ("system", "ai");

impl Node {
    /// Has a provider of the server's configuration answer a request of the message model; both are JSON.
    pub async fn ask_provider(
        self: &Arc<Self>,
        provider: &ModelProvider,
        mut request: serde_json::Value,
    ) -> Result<serde_json::Value, Failure> {
        if let (Some(request), serde_json::Value::Object(sampling)) =
            (request.as_object_mut(), Value::from(provider.sampling.clone()).to_json())
        {
            request.insert("sampling".to_owned(), sampling.into());
        }
        let (outgoing, run) = self.own_question(&self.catalog(), provider)?;
        let outcome = self.runtime.chat(run, request.to_string()).await;
        let secrets = outgoing.secrets();
        let answer = outcome.result.map_err(|failure| {
            let hint = failure.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            let message = format!("{}{hint}", failure.message);
            outgoing.alarms().hear(&message, Place::Error);
            Failure {
                code: secrets.masked(&failure.code),
                message: secrets.masked(&message),
                retryable: failure.retryable,
            }
        });
        outgoing.alarms().settle().await;
        let answer = Value::parse_json(&answer?).map_err(|error| {
            Failure::new("BAD_OUTPUTS", format!("provider `{}` gave an answer that is no JSON: {error}", provider.id))
        })?;
        Ok(secrets.recognise(&answer).to_json())
    }

    fn own_question(
        self: &Arc<Self>,
        catalog: &Catalog,
        provider: &ModelProvider,
    ) -> Result<(Arc<Outgoing>, Request), Failure> {
        let unusable = crate::plugins::unusable;
        let resolution = catalog.resolve(&provider.type_name, &[]).map_err(unusable)?;
        let (locked, manifest) = (&resolution.locked, resolution.package.manifest());
        let capabilities = manifest.capabilities_of(&locked.task_type);
        let seal = |clear: &str| self.config.sealer.seal(clear, self.entropy.number());
        let properties = Value::from(provider.properties.clone());
        let rendered = secret::marked(&properties, &resolution.task().markers.secret, &seal);
        let secrets = Arc::new(RunSecrets::default());
        let concealed = secrets.conceal(&rendered);
        let named = policy::check_hosts(&rendered);
        let mut listed = policy::listed(capabilities);
        let hosts = Hosts::of_configuration(named.iter().map(|(host, _)| host.as_str()), &listed);
        // What an operator names is meant, whatever its range.
        listed.extend(named.iter().map(|(host, port)| NetworkRule {
            host: policy::pattern(host),
            ports: Ports::Only(vec![*port]),
            scheme: None,
            methods: None,
            special: SpecialRanges::Allowed,
        }));
        let asked = policy::asked(capabilities, Says::Manifest(format!("`{}` {}", locked.plugin, locked.version)));
        let grants =
            Grants { network: listed, says: Says::Policy(PLACE.to_owned()), within: vec![asked], ..Grants::none() };
        let (namespace, id) = (Namespace::trusted(ASKER.0), FlowId::trusted(ASKER.1));
        let about = About {
            plugin: locked.plugin.as_str().into(),
            version: locked.version.to_string().into(),
            flow: FlowKey { tenant: TENANT.into(), namespace, id },
            execution: None,
            task: provider.id.clone(),
        };
        let outgoing = Arc::new(Outgoing::new(self.clone(), Arc::new(hosts), secrets, about));
        // Nobody waits for parts.
        let (parts, _) = mpsc::channel(1);
        let run = Request {
            plugin: crate::plugins::source_of(catalog, locked).map_err(unusable)?,
            task_type: locked.task_type.clone(),
            input: concealed.to_json().to_string(),
            facts: Facts { idempotency_key: format!("ai/{}", uuid::Uuid::new_v4()), ..Facts::default() },
            grants: Arc::new(grants),
            limits: self.config.limits.clone(),
            working_dir: None,
            services: Arc::new(ProviderServices { outgoing: outgoing.clone(), effects: None, parts }),
            sink: Arc::new(ServerLog { outgoing: outgoing.clone(), provider: provider.id.clone() }),
            cancel: Cancel::new(),
        };
        Ok((outgoing, run))
    }
}

/// What a provider says when the server itself asks it: the server's own log.
struct ServerLog {
    outgoing: Arc<Outgoing>,
    provider: String,
}

impl Sink for ServerLog {
    fn log(&self, line: Line) {
        self.outgoing.alarms().hear(&line.message, Place::Log);
        let message = self.outgoing.secrets().masked(&line.message);
        match line.level {
            Level::Error | Level::Warn => tracing::warn!(provider = self.provider, "{message}"),
            Level::Info => tracing::info!(provider = self.provider, "{message}"),
            Level::Debug | Level::Trace => tracing::debug!(provider = self.provider, "{message}"),
        }
    }

    fn metric(&self, _: Metric) {}

    fn progress(&self, _: Progress) {}
}
