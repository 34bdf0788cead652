//! Where names get their values. Lookups are lazy: nothing here builds a map of everything.
use std::sync::Arc;

use crate::value::{Map, Value};

/// The variables an expression sees.
pub trait Scope: Sync {
    /// The variable `name`, or `None` when it is not defined.
    fn lookup(&self, name: &str) -> Option<Value>;

    /// Looks a whole path up (`outputs`, `task`, `value`) and says how many of its steps the answer covers. Override
    /// it where building the first variable would be costly; `path` is never empty. `None`: not defined.
    fn lookup_path(&self, path: &[&str]) -> Option<(Value, usize)> {
        Some((self.lookup(path.first()?)?, 1))
    }

    /// All variable names, for hints in errors and for `printContext()`. Asked only then.
    fn names(&self) -> Vec<Arc<str>>;
}

/// No variables at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Empty;

impl Scope for Empty {
    fn lookup(&self, _name: &str) -> Option<Value> {
        None
    }

    fn names(&self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

impl Scope for Map {
    fn lookup(&self, name: &str) -> Option<Value> {
        self.get(name).cloned()
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
    fn lookup(&self, name: &str) -> Option<Value> {
        self.front.lookup(name).or_else(|| self.back.lookup(name))
    }

    fn lookup_path(&self, path: &[&str]) -> Option<(Value, usize)> {
        self.front.lookup_path(path).or_else(|| self.back.lookup_path(path))
    }

    fn names(&self) -> Vec<Arc<str>> {
        let mut names = self.front.names();
        names.extend(self.back.names());
        names
    }
}
