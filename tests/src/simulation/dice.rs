//! The dice of a world. Every choice of a simulation falls here; nothing else in it is left to chance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use server::Entropy;
use store::embedded::disk::simulated;

/// Shared dice. Cloned, they are the same ones.
#[derive(Clone, Debug)]
pub struct Dice(Arc<Mutex<simulated::Dice>>);

impl Dice {
    /// Dice of a seed and a purpose: a choice more in one place changes nothing in another.
    pub fn new(seed: u64, purpose: u64) -> Self {
        let mut dice = simulated::Dice::new(seed.rotate_left(17) ^ purpose.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ seed);
        // Seeds that are close to each other begin alike.
        for _ in 0..4 {
            dice.roll();
        }
        Self(Arc::new(Mutex::new(dice)))
    }

    fn lock(&self) -> MutexGuard<'_, simulated::Dice> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Any number.
    pub fn roll(&self) -> u64 {
        self.lock().roll()
    }

    /// A number below `limit`.
    pub fn below(&self, limit: u64) -> u64 {
        self.lock().below(limit)
    }

    /// A number in `from..upto`.
    pub fn within(&self, from: u64, upto: u64) -> u64 {
        from + self.below(upto.saturating_sub(from))
    }

    /// Whether something happens that happens so often in a hundred times.
    pub fn percent(&self, often: u64) -> bool {
        self.below(100) < often
    }

    /// One of several.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        of.get(self.below(of.len() as u64) as usize).expect("there is something to pick from")
    }

    /// A number of which small ones are as likely as large ones: half of them have half the digits.
    pub fn spread(&self, limit: u64) -> u64 {
        let digits = u64::from(limit.max(1).ilog2()) + 1;
        let upto = 1u64 << self.within(1, digits + 1);
        self.below(upto.min(limit.max(1)))
    }
}

impl Entropy for Dice {
    fn number(&self) -> u128 {
        u128::from(self.roll()) << 64 | u128::from(self.roll())
    }
}
