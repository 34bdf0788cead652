//! The power supply of the simulated machine, and its clock. Once the power is off nothing inside makes another step: every call to the
//! store and every move of a guest waits for ever, until the machine is thrown away.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use server::Clock;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::dice::Dice;

/// The power of one life of the machine.
pub struct Power {
    inner: Mutex<Inner>,
    dice: Dice,
    bell: Notify,
}

struct Inner {
    steps: u64,
    /// The step before which it goes off.
    off_at: u64,
    off: bool,
}

impl Power {
    /// Power that goes off before a step.
    pub fn new(off_at: Option<u64>, dice: Dice) -> Arc<Self> {
        let inner = Inner { steps: 0, off_at: off_at.unwrap_or(u64::MAX), off: false };
        Arc::new(Self { inner: Mutex::new(inner), dice, bell: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_off(&self) -> bool {
        self.lock().off
    }

    /// Steps made so far.
    pub fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// Switches it off.
    pub fn cut(&self) {
        self.lock().off = true;
        self.bell.notify_one();
    }

    /// Returns when it is off. For one who waits.
    pub async fn gone(&self) {
        while !self.is_off() {
            self.bell.notified().await;
        }
    }

    /// One step of the machine: may take a moment, may let others go first, may be the last.
    pub async fn step(&self) {
        let goes_off = {
            let mut inner = self.lock();
            inner.steps += 1;
            inner.steps >= inner.off_at && !inner.off
        };
        if goes_off {
            self.cut();
        }
        if !self.is_off() {
            match self.dice.below(48) {
                0 => tokio::time::sleep(Duration::from_millis(self.dice.within(1, 25))).await,
                1..6 => tokio::task::yield_now().await,
                _ => {}
            }
        }
        if self.is_off() {
            std::future::pending::<()>().await;
        }
    }
}

/// The clock of one life: goes on from where the last one stood, as fast as nothing happens.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedClock {
    base: Timestamp,
    started: Instant,
}

impl SimulatedClock {
    /// A clock that shows `base` now. Only within a runtime whose time is paused.
    pub fn starting_at(base: Timestamp) -> Self {
        Self { base, started: Instant::now() }
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let elapsed = self.started.elapsed();
        self.base.saturating_add(elapsed).expect("a life is shorter than the calendar")
    }

    fn until(&self, due: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let wait = Duration::try_from(due.duration_since(self.now())).unwrap_or_default();
        Box::pin(tokio::time::sleep(wait))
    }
}
