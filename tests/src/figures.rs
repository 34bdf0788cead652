//! Figures of benches: times by percentiles, beside the bar they are meant to stay under.

use std::time::Duration;

/// Times that were measured.
#[derive(Default)]
pub struct Percentiles(Vec<Duration>);

impl Percentiles {
    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn append(&mut self, other: Percentiles) {
        self.0.extend(other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What so many of a hundred took at most, in milliseconds.
    pub fn ms(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }

    /// p50, p95 and p99, and whether p95 is over a bar.
    pub fn against(&self, bar_ms: f64) -> String {
        let over = if self.ms(95) > bar_ms { format!(" OVER THE BAR of {bar_ms} ms") } else { String::new() };
        format!("p50 {:8.2} p95 {:8.2} p99 {:8.2} ms{over}", self.ms(50), self.ms(95), self.ms(99))
    }
}

/// A size from the environment, or the full one.
pub fn size_from(name: &str, full: i64) -> i64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("`{name}={text}` is no number")),
        Err(_) => full,
    }
}
