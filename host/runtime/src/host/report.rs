//! `sluice:host/report`: measurements and progress. Never refuses; what is not finite or over the quota is dropped.

use crate::bindings::sluice::host::report;
use crate::calls::cut;
use crate::limits;
use crate::sink::{Metric, MetricKind, Progress};
use crate::state::State;
use crate::tape::Call;
use std::sync::atomic::Ordering;

/// A name of a measurement; longer ones are cut.
const NAME_BYTES: usize = 256;
/// A progress note; longer ones are cut.
const NOTE_BYTES: usize = 1_024;

impl report::Host for State {
    fn metric(&mut self, kind: String, name: String, value: f64, tags: Vec<(String, String)>) -> wasmtime::Result<()> {
        const METRIC: Call = Call::new("sluice:host/report", "metric");
        let shared = &self.shared;
        shared.note(METRIC, &[kind.as_bytes(), name.as_bytes(), &value.to_bits().to_le_bytes()], || {
            let kind = match kind.as_str() {
                "counter" => MetricKind::Counter,
                "gauge" => MetricKind::Gauge,
                "timer" => MetricKind::Timer,
                _ => return,
            };
            if !value.is_finite() || shared.marks.metrics.fetch_add(1, Ordering::Relaxed) >= limits::METRICS {
                return;
            }
            let mut name = name.clone();
            cut(&mut name, NAME_BYTES);
            shared.sink.metric(Metric { kind, name, value, tags: super::log::bounded(tags, NAME_BYTES) });
        });
        Ok(())
    }

    fn end_in_warning(&mut self) -> wasmtime::Result<()> {
        const WARNING: Call = Call::new("sluice:host/report", "end-in-warning");
        let shared = &self.shared;
        shared.note(WARNING, &[], || shared.marks.ends_in_warning.store(true, Ordering::Relaxed));
        Ok(())
    }

    fn progress(&mut self, percent: Option<u8>, note: String) -> wasmtime::Result<()> {
        const PROGRESS: Call = Call::new("sluice:host/report", "progress");
        let shared = &self.shared;
        shared.note(PROGRESS, &[&percent.map_or([255], |value| [value]), note.as_bytes()], || {
            if shared.marks.progress.fetch_add(1, Ordering::Relaxed) < limits::PROGRESS {
                let mut note = note.clone();
                cut(&mut note, NOTE_BYTES);
                shared.sink.progress(Progress { percent: percent.map(|value| value.min(100)), note });
            }
        });
        Ok(())
    }
}
