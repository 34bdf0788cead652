//! Ids that follow from what they name: deciding the same twice gives the same ids, so nothing is created twice.

use model::ids::{ExecutionId, TaskId, TaskRunId};
use sha2::{Digest, Sha256};

/// Base-62 digits that hold 128 bits.
const DIGITS: usize = 22;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What makes a task run the one it is. The attempt is no part of it; the parent's id stands for the path and the outer iterations.
#[derive(Clone, Copy, Debug)]
pub struct RunKey<'a> {
    pub execution: &'a ExecutionId,
    pub parent: Option<&'a TaskRunId>,
    pub task: &'a TaskId,
    /// Position and value of the iteration it belongs to.
    pub iteration: Option<(u32, &'a str)>,
    /// The iteration of the enclosing loop, 0 outside of loops.
    pub loop_count: u32,
}

/// The id of a task run.
pub fn run_id(key: RunKey<'_>) -> TaskRunId {
    let mut hash = Hash::new("run");
    hash.part(key.execution.as_str());
    hash.part(key.parent.map_or("", TaskRunId::as_str));
    hash.part(key.task.as_str());
    match key.iteration {
        Some((index, value)) => {
            hash.part(&index.to_string());
            hash.part(value);
        }
        None => hash.part("-"),
    }
    hash.part(&key.loop_count.to_string());
    TaskRunId::trusted(hash.text())
}

/// The id of the execution that attempt `attempt` of a task run starts; `item` tells several apart.
pub fn child_id(execution: &ExecutionId, run: &TaskRunId, attempt: u32, item: u32) -> ExecutionId {
    let mut hash = Hash::new("child");
    hash.part(execution.as_str());
    hash.part(run.as_str());
    hash.part(&attempt.to_string());
    hash.part(&item.to_string());
    ExecutionId::trusted(hash.text())
}

/// The id of the execution that takes the place of one that is retried as a whole. Who waits for the one can tell the other.
pub fn retry_id(execution: &ExecutionId) -> ExecutionId {
    let mut hash = Hash::new("retry");
    hash.part(execution.as_str());
    ExecutionId::trusted(hash.text())
}

/// A number in [0, 1) that follows from a job: the jitter of its retry.
pub fn fraction(run: &TaskRunId, attempt: u32) -> f64 {
    let mut hash = Hash::new("jitter");
    hash.part(run.as_str());
    hash.part(&attempt.to_string());
    let bits = (hash.number() >> 75) as u64; // 53 bits: what a float holds exactly
    bits as f64 / (1u64 << 53) as f64
}

struct Hash(Sha256);

impl Hash {
    fn new(kind: &str) -> Self {
        let mut hash = Self(Sha256::new());
        hash.part(kind);
        hash
    }

    // The length goes first, so that no two lists of parts give the same bytes.
    fn part(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
    }

    fn number(self) -> u128 {
        self.0.finalize().first_chunk().copied().map_or(0, u128::from_be_bytes)
    }

    fn text(self) -> String {
        let mut number = self.number();
        let mut digits = [b'0'; DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET.get((number % 62) as usize).copied().unwrap_or(b'0');
            number /= 62;
        }
        digits.iter().map(|digit| char::from(*digit)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_tell_iterations_and_loops_apart() {
        let execution = ExecutionId::trusted("e");
        let task = TaskId::trusted("t");
        let key = RunKey { execution: &execution, parent: None, task: &task, iteration: None, loop_count: 0 };
        let plain = run_id(key);
        assert_eq!(plain.as_str().len(), DIGITS);
        assert_eq!(plain, run_id(key));
        assert_ne!(plain, run_id(RunKey { iteration: Some((0, "a")), ..key }));
        assert_ne!(
            run_id(RunKey { iteration: Some((0, "a")), ..key }),
            run_id(RunKey { iteration: Some((1, "a")), ..key })
        );
        assert_ne!(plain, run_id(RunKey { loop_count: 1, ..key }));
        assert_ne!(plain, run_id(RunKey { parent: Some(&TaskRunId::trusted("p")), ..key }));
    }

    #[test]
    fn jitter_stays_below_one() {
        let run = TaskRunId::trusted("r");
        assert!((0..1000).all(|attempt| (0.0..1.0).contains(&fraction(&run, attempt))));
        let mean = (0..1000).map(|attempt| fraction(&run, attempt)).sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
