//! Where a provider is, and how it is spoken to.

use std::time::Duration;

use llm::Codec;
use llm::http::Options;
use sluice_sdk::Failure;
use sluice_sdk::http::{Egress, EgressOptions, Timeouts};

use crate::Credential;

/// How long a provider may be silent, where nobody says: what Kestra's agents wait.
pub const TIMEOUT: Duration = Duration::from_secs(120);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// One provider, ready to be asked.
#[derive(Debug, Clone)]
pub struct Connection {
    pub codec: &'static Codec,
    pub options: Options,
    pub credential: Credential,
    /// How long it may be silent.
    pub timeout: Duration,
    /// What it is told of TLS.
    pub egress: Option<Egress>,
    pub log_requests: bool,
    pub log_responses: bool,
    /// Longest answer in tokens where a request says nothing.
    pub max_output_tokens: Option<u32>,
}

/// What every provider may be told beside its own properties.
#[derive(Debug, Clone, Default)]
pub struct Common {
    pub base_url: Option<String>,
    pub ca_pem: Option<String>,
    pub client_pem: Option<String>,
    pub timeout: Option<Duration>,
    pub log_requests: bool,
    pub log_responses: bool,
}

impl Connection {
    pub fn new(codec: &'static Codec, credential: Credential, common: Common) -> Result<Self, Failure> {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let options = EgressOptions {
            ca_pem: given(common.ca_pem),
            client_pem: given(common.client_pem),
            ..EgressOptions::default()
        };
        let needed = options.ca_pem.is_some() || options.client_pem.is_some();
        Ok(Self {
            codec,
            options: Options { base_url: given(common.base_url), credential: credential.kind(), ..Options::default() },
            credential,
            timeout: common.timeout.unwrap_or(TIMEOUT),
            egress: if needed { Some(Egress::new(&options)?) } else { None },
            log_requests: common.log_requests,
            log_responses: common.log_responses,
            max_output_tokens: None,
        })
    }

    /// Changes what only some providers know.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        let silence = Some(self.timeout);
        Timeouts { connect: Some(CONNECT.min(self.timeout)), first_byte: silence, idle: silence, total: None }
    }
}

/// The properties of a provider: what it has of its own, and behind it what every provider may be told; a struct with a method `common`.
/// With `task Name` those of a task that chats with it, too: a struct with a method `split` that gives the provider and what is to be done.
#[macro_export]
macro_rules! provider_properties {
    ($(#[$outer:meta])* $visibility:vis struct $name:ident $own:tt task $task:ident) => {
        $crate::provider_properties! { $(#[$outer])* $visibility struct $name $own }
        $crate::__task_properties! { $visibility $task $name $own }
    };
    ($(#[$outer:meta])* $visibility:vis struct $name:ident { $($own:tt)* }) => {
        $(#[$outer])*
        #[sluice_sdk::properties]
        $visibility struct $name {
            $($own)*
            /// Certificates to trust beside the usual ones, as PEM.
            ca_pem: Option<String>,
            /// Certificate and key of this side, as PEM.
            #[secret]
            client_pem: Option<String>,
            /// How long the provider may be silent. Without it: two minutes.
            timeout: Option<sluice_sdk::duration::IsoDuration>,
            /// Whether what is sent is logged, without keys.
            log_requests: Option<bool>,
            /// Whether what comes back is logged.
            log_responses: Option<bool>,
        }

        impl $name {
            fn common(&self, base_url: Option<&str>) -> $crate::connection::Common {
                $crate::connection::Common {
                    base_url: base_url.map(str::to_owned),
                    ca_pem: self.ca_pem.clone(),
                    client_pem: self.client_pem.clone(),
                    timeout: self.timeout.map(|timeout| timeout.0),
                    log_requests: self.log_requests == Some(true),
                    log_responses: self.log_responses == Some(true),
                }
            }
        }
    };
}

/// The properties of a task that chats with one provider.
#[doc(hidden)]
#[macro_export]
macro_rules! __task_properties {
    ($visibility:vis $task:ident $name:ident { $($(#[$inner:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        #[sluice_sdk::properties]
        $visibility struct $task {
            /// The conversation: at most one message of type SYSTEM, the last one of type USER.
            messages: Vec<$crate::ChatMessage>,
            $($(#[$inner])* $field: $kind,)*
            /// How the model is to answer.
            configuration: Option<$crate::Configuration>,
            /// What question and answer have to pass.
            guardrails: Option<$crate::guardrails::Guardrails>,
            /// Certificates to trust beside the usual ones, as PEM.
            ca_pem: Option<String>,
            /// Certificate and key of this side, as PEM.
            #[secret]
            client_pem: Option<String>,
        }

        impl $task {
            fn split(self) -> ::core::result::Result<($name, $crate::Completion), sluice_sdk::Failure> {
                let configuration = self.configuration.unwrap_or_default();
                let provider = $name {
                    $($field: self.$field,)*
                    ca_pem: self.ca_pem,
                    client_pem: self.client_pem,
                    timeout: None,
                    log_requests: configuration.log_requests,
                    log_responses: configuration.log_responses,
                };
                let completion = $crate::Completion {
                    messages: $crate::conversation(self.messages)?,
                    configuration,
                    guardrails: self.guardrails.unwrap_or_default(),
                    ..$crate::Completion::default()
                };
                Ok((provider, completion))
            }
        }
    };
}
