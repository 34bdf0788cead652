//! Where random numbers come from: ids, boots, `random()`. The only source of the shell; a simulation puts its dice in its place.

/// A source of random numbers.
pub trait Entropy: Send + Sync + 'static {
    /// The next number; at least 122 of its bits are random.
    fn number(&self) -> u128;
}

/// The machine's.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn number(&self) -> u128 {
        uuid::Uuid::new_v4().as_u128()
    }
}
