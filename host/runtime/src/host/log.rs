//! `sluice:host/log`: the log of the task run. Never refuses and never waits; what is over the quota is counted.

use crate::bindings::sluice::host::log;
use crate::calls::cut;
use crate::limits::FIELDS;
use crate::sink::Level;
use crate::state::State;
use crate::tape::Call;

const LOG: Call = Call::new("sluice:host/log", "log");

impl log::Host for State {
    fn log(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        let shared = self.shared.clone();
        self.shared.note(LOG, &[message.as_bytes()], || {
            shared.log(level, message.clone(), bounded(fields, shared.limits.log_line_bytes))
        });
        Ok(())
    }
}

/// Pairs within bounds: so many, and none longer than a line.
pub(super) fn bounded(mut fields: Vec<(String, String)>, most: usize) -> Vec<(String, String)> {
    fields.truncate(FIELDS);
    for (key, value) in &mut fields {
        cut(key, most);
        cut(value, most);
    }
    fields
}
