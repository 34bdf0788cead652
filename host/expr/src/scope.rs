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
