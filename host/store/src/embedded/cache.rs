//! What was read lately: two generations, the older of which is dropped when the younger is full.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// A bounded memory of shared values.
pub struct Cache<K, V> {
    generations: Mutex<Generations<K, V>>,
}

struct Generations<K, V> {
    young: HashMap<K, (Arc<V>, usize)>,
    old: HashMap<K, (Arc<V>, usize)>,
    young_bytes: usize,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), young_bytes: 0 };
        Self { generations: Mutex::new(generations) }
    }
}

impl<K: Eq + Hash + Clone, V> Cache<K, V> {
    /// The value of a key, if it is remembered.
    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((value, _)) = generations.young.get(key) {
            return Some(Arc::clone(value));
        }
        let (value, bytes) = generations.old.remove(key)?;
        // It keeps its place among the young without making them old: it was counted before.
        generations.young_bytes += bytes;
        generations.young.insert(key.clone(), (Arc::clone(&value), bytes));
        Some(value)
    }

    /// Remembers a value that takes so many bytes, in a memory of at most `limit_bytes`.
    pub fn put(&self, key: K, value: Arc<V>, bytes: usize, limit_bytes: usize) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young_bytes >= limit_bytes / 2 {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_bytes = 0;
        }
        generations.young_bytes += bytes;
        generations.young.insert(key, (value, bytes));
    }
}
