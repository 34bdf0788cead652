//! The property `options` of tasks that call a webhook.

use std::time::Duration;

use serde_json::{Map, Value};
use sluice_sdk::duration::IsoDuration;
use sluice_sdk::http::Timeouts;
use sluice_sdk::prelude::*;

/// Longest wait for a response where the flow names none: a webhook answers at once or not at all.
const DEFAULT_READ: Duration = Duration::from_secs(10);
/// Longest silence within a response where the flow names none.
const DEFAULT_READ_IDLE: Duration = Duration::from_secs(300);
/// Longest response where the flow names none.
const DEFAULT_MAX_CONTENT_BYTES: u64 = 10 * 1024 * 1024;

/// How to send a request to a webhook.
#[properties]
#[derive(Default)]
pub struct RequestOptions {
    /// Longest wait for a connection.
    connect_timeout: Option<IsoDuration>,
    /// Longest wait for the response to begin. Without it: PT10S.
    read_timeout: Option<IsoDuration>,
    /// Longest silence within a response. Without it: PT5M.
    read_idle_timeout: Option<IsoDuration>,
    /// Without effect: the host keeps the connections.
    #[serde(rename = "connectionPoolIdleTimeout")]
    _connection_pool_idle_timeout: Option<IsoDuration>,
    /// Bytes of a response that are looked at. Without it: 10 MiB.
    max_content_length: Option<u64>,
    /// Without effect: JSON is always UTF-8.
    #[serde(rename = "defaultCharset")]
    _default_charset: Option<String>,
    /// Header fields beside those of the message.
    pub(crate) headers: Option<Map<String, Value>>,
}

impl RequestOptions {
    pub(crate) fn timeouts(&self) -> Timeouts {
        let or = |written: Option<IsoDuration>, default: Duration| Some(written.map_or(default, |written| written.0));
        Timeouts {
            connect: self.connect_timeout.map(|connect| connect.0),
            first_byte: or(self.read_timeout, DEFAULT_READ),
            idle: or(self.read_idle_timeout, DEFAULT_READ_IDLE),
            total: None,
        }
    }

    pub(crate) fn max_content_bytes(&self) -> usize {
        usize::try_from(self.max_content_length.unwrap_or(DEFAULT_MAX_CONTENT_BYTES)).unwrap_or(usize::MAX)
    }
}
