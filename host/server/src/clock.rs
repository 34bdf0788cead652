//! What time it is. The only clock of the shell; tests put another in its place.

use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;

/// A clock.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Waits until the clock shows `due` or later. May return early: callers look again.
    fn until(&self, due: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// Longest wait in one piece: the wall clock may be set while we wait on the monotonic one.
const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_secs(60);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn until(&self, due: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let wait = std::time::Duration::try_from(due.duration_since(self.now())).unwrap_or_default();
        Box::pin(tokio::time::sleep(wait.min(LONGEST_WAIT)))
    }
}
