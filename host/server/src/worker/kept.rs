//! What a run wants kept: buffered while it runs, seen by the run itself, and handed to the commit of its good end. An attempt that fails,
//! is killed or is lost leaves nothing of it, because nothing was written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::ids::TaskRunId;
use runtime::HostError;
use store::rows::{self, NamespaceKey};

use crate::kv::NewValue;

/// Most values and files one run writes: with what else is decided in the same turn they must fit one batch of 100,000 steps.
const ENTRIES_MAX: usize = 20_000;
/// Most bytes of values one run writes: they wait in memory, and all of them go through one commit.
const BYTES_MAX: usize = 32 << 20;

/// Which value.
pub(crate) type ValueKey = (NamespaceKey, Arc<str>);

/// One write that waits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Write<T> {
    Put(T),
    Delete,
}

/// What becomes of one value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ValueWrite {
    pub write: Write<NewValue>,
    /// Only if nobody has set it by then.
    pub must_be_new: bool,
}

/// What a run that has succeeded leaves.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Whose good end it depends on.
    pub run: TaskRunId,
    pub values: BTreeMap<ValueKey, ValueWrite>,
    /// By their whole path.
    pub files: BTreeMap<Arc<str>, Write<rows::File>>,
}

/// What a run has written so far.
pub(crate) struct Keeping {
    run: TaskRunId,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    values: BTreeMap<ValueKey, ValueWrite>,
    files: BTreeMap<Arc<str>, Write<rows::File>>,
    bytes: usize,
}

impl Keeping {
    pub fn new(run: TaskRunId) -> Self {
        Self { run, waiting: Mutex::default() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the run did to a value, if anything.
    pub fn value(&self, key: &ValueKey) -> Option<Write<NewValue>> {
        self.lock().values.get(key).map(|found| found.write.clone())
    }

    /// The values of a namespace it has written, by key.
    pub fn values_in(&self, place: &NamespaceKey) -> Vec<(Arc<str>, Write<NewValue>)> {
        let waiting = self.lock();
        let all = waiting.values.iter().filter(|((written, _), _)| written == place);
        all.map(|((_, key), found)| (key.clone(), found.write.clone())).collect()
    }

    /// What the run did to a file, if anything.
    pub fn file(&self, path: &str) -> Option<Write<rows::File>> {
        self.lock().files.get(path).cloned()
    }

    /// The files it has written whose path begins so.
    pub fn files_in(&self, prefix: &str) -> Vec<(Arc<str>, Write<rows::File>)> {
        let waiting = self.lock();
        let all = waiting.files.iter().filter(|(path, _)| path.starts_with(prefix));
        all.map(|(path, write)| (path.clone(), write.clone())).collect()
    }

    /// Writes a value. `size_bytes` is what it takes.
    pub fn set(&self, key: ValueKey, write: ValueWrite, size_bytes: usize) -> Result<(), HostError> {
        let mut waiting = self.lock();
        waiting.room_for(size_bytes)?;
        // What the first write required still has to hold at the end.
        let must_be_new = waiting.values.get(&key).map_or(write.must_be_new, |before| before.must_be_new);
        waiting.values.insert(key, ValueWrite { must_be_new, ..write });
        waiting.bytes += size_bytes;
        Ok(())
    }

    /// Writes or deletes a file.
    pub fn set_file(&self, path: Arc<str>, write: Write<rows::File>) -> Result<(), HostError> {
        let mut waiting = self.lock();
        waiting.room_for(path.len())?;
        waiting.bytes += path.len();
        waiting.files.insert(path, write);
        Ok(())
    }

    /// Everything, once the run has succeeded; `None` if it wrote nothing.
    pub fn take(&self) -> Option<Arc<Kept>> {
        let Waiting { values, files, .. } = std::mem::take(&mut *self.lock());
        let nothing = values.is_empty() && files.is_empty();
        (!nothing).then(|| Arc::new(Kept { run: self.run.clone(), values, files }))
    }
}

impl Waiting {
    fn room_for(&self, size_bytes: usize) -> Result<(), HostError> {
        let entries = self.values.len() + self.files.len();
        if entries >= ENTRIES_MAX {
            return Err(HostError::limit(format!(
                "a run writes at most {ENTRIES_MAX} values and files; hint: split the work over several tasks"
            )));
        }
        if self.bytes.saturating_add(size_bytes) > BYTES_MAX {
            return Err(HostError::limit(format!(
                "a run writes at most {BYTES_MAX} bytes of values; hint: write a file and store its URI"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expr::Value;
    use model::ids::Namespace;

    use super::*;

    fn put(text: &str, must_be_new: bool) -> ValueWrite {
        let value = NewValue { value: Value::from(text), declared: None, description: None, expires: None };
        ValueWrite { write: Write::Put(value), must_be_new }
    }

    fn key(name: &str) -> ValueKey {
        (NamespaceKey::main(Namespace::trusted("a")), name.into())
    }

    #[test]
    fn a_run_sees_its_last_write_and_keeps_its_first_condition() {
        let keeping = Keeping::new(TaskRunId::trusted("run"));
        assert!(keeping.take().is_none());
        keeping.set(key("k"), put("1", true), 1).expect("room");
        keeping.set(key("k"), put("2", false), 1).expect("room");
        assert_eq!(keeping.value(&key("k")), Some(put("2", false).write));
        assert_eq!(keeping.value(&key("other")), None);
        let kept = keeping.take().expect("something was written");
        assert_eq!(kept.values.get(&key("k")), Some(&put("2", true)));
        assert!(keeping.take().is_none());
    }

    #[test]
    fn what_waits_is_bounded() {
        let keeping = Keeping::new(TaskRunId::trusted("run"));
        assert_eq!(keeping.set(key("k"), put("1", false), BYTES_MAX + 1).expect_err("too much").code, "LIMIT");
        for number in 0..ENTRIES_MAX {
            keeping.set(key(&number.to_string()), put("1", false), 1).expect("room");
        }
        assert_eq!(keeping.set(key("k"), put("1", false), 1).expect_err("too many").code, "LIMIT");
    }
}
