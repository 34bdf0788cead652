//! Where names get their values. Lookups are lazy: nothing here builds a map of everything.
use std::sync::Arc;

use crate::error::Error;
use crate::memo::Memo;
use crate::value::{Map, Value};

/// What a lookup found; `None`: the name is not defined. [`Error::Missing`]: what it stands for is not at hand, and can be
/// asked for as the answer to a call.
pub type Lookup<T> = Result<Option<T>, Error>;

/// The variables an expression sees. `known` has the answers to what was missing before.
pub trait Scope: Sync {
    /// The variable `name`.
    fn lookup(&self, name: &str, known: &Memo) -> Lookup<Value>;

    /// Looks a whole path up (`outputs`, `task`, `value`) and says how many of its steps the answer covers. Override
    /// it where building the first variable would be costly; `path` is never empty.
    fn lookup_path(&self, path: &[&str], known: &Memo) -> Lookup<(Value, usize)> {
        let Some(first) = path.first() else { return Ok(None) };
        Ok(self.lookup(first, known)?.map(|value| (value, 1)))
    }

    /// All variable names, for hints in errors and for `printContext()`. Asked only then.
    fn names(&self) -> Vec<Arc<str>>;
}

/// No variables at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Empty;

impl Scope for Empty {
    fn lookup(&self, _name: &str, _known: &Memo) -> Lookup<Value> {
        Ok(None)
    }

    fn names(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

impl Scope for Map {
    fn lookup(&self, name: &str, _known: &Memo) -> Lookup<Value> {
        Ok(self.get(name).cloned())
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.keys().cloned().collect()
    }
}

/// Some variables in front of another scope.
pub struct Layered<'a> {
    pub front: &'a dyn Scope,
    pub back: &'a dyn Scope,
}

impl Scope for Layered<'_> {
    fn lookup(&self, name: &str, known: &Memo) -> Lookup<Value> {
        match self.front.lookup(name, known)? {
            None => self.back.lookup(name, known),
            found => Ok(found),
        }
    }

    fn lookup_path(&self, path: &[&str], known: &Memo) -> Lookup<(Value, usize)> {
        match self.front.lookup_path(path, known)? {
            None => self.back.lookup_path(path, known),
            found => Ok(found),
        }
    }

    fn names(&self) -> Vec<Arc<str>> {
        let mut names = self.front.names();
        names.extend(self.back.names());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(entries: &[(&str, i64)]) -> Map {
        entries.iter().map(|(name, value)| ((*name).into(), Value::Int(*value))).collect()
    }

    #[test]
    fn the_front_scope_hides_the_back_one() {
        let (front, back, memo) = (scope(&[("a", 1)]), scope(&[("a", 2), ("b", 3)]), Memo::new());
        let layered = Layered { front: &front, back: &back };
        let found = |name: &str| layered.lookup(name, &memo).unwrap();
        assert_eq!((found("a"), found("b"), found("c")), (Some(Value::Int(1)), Some(Value::Int(3)), None));
        let path = |path: &[&str]| layered.lookup_path(path, &memo).unwrap();
        assert_eq!((path(&["a", "x"]), path(&["b"])), (Some((Value::Int(1), 1)), Some((Value::Int(3), 1))));
        assert_eq!((path(&["c"]), path(&[])), (None, None));
        assert_eq!(layered.names(), ["a", "a", "b"].map(Arc::from));
        assert!(Empty.lookup("a", &memo).unwrap().is_none() && Empty.names().is_empty());
    }
}
