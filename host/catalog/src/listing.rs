//! What people are shown of a catalog: its plugins with their versions, and what task types they have.

use std::sync::Arc;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::registry::Package;

/// Which versions are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that this host can run, held ones among them.
    RunHere,
    All,
}

/// A plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    pub name: String,
    /// As the newest version that flows can use has it.
    pub title: String,
    /// Newest first.
    pub versions: Vec<Version>,
    /// Those of them that wait for approval.
    pub held: Vec<Version>,
    /// Those of them that need a newer host.
    pub too_new: Vec<Version>,
    /// Of the newest version that flows can use.
    pub tasks: Vec<ShownTask>,
}

/// A task type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownTask {
    #[serde(rename = "type")]
    pub name: String,
    pub title: String,
}

impl Catalog {
    /// All plugins that have such versions, by name.
    pub fn shown(&self, which: Which) -> Vec<Shown> {
        let shown = self.plugins().filter_map(|(name, versions)| {
            let versions: Vec<&Arc<Package>> = versions.rev().filter(|package| self.is_shown(package, which)).collect();
            let usable = versions.iter().find(|package| self.is_usable(package));
            let manifest = usable.or(versions.first())?.manifest();
            let those = |fits: &dyn Fn(&Package) -> bool| {
                let fitting = versions.iter().filter(|package| fits(package));
                fitting.map(|package| package.manifest().version.clone()).collect()
            };
            let tasks = manifest.tasks.iter();
            Some(Shown {
                name: name.to_string(),
                title: manifest.title.clone(),
                versions: those(&|_| true),
                held: those(&|package| self.held(package).is_some()),
                too_new: those(&|package| self.runs_here(package).is_err()),
                tasks: tasks.map(|task| ShownTask { name: task.name.clone(), title: task.title.clone() }).collect(),
            })
        });
        shown.collect()
    }

    /// Whether a version is one of those.
    pub fn is_shown(&self, package: &Package, which: Which) -> bool {
        which == Which::All || self.runs_here(package).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Place, component, manifest};
    use serde_json::json;

    #[test]
    fn what_needs_a_newer_host_is_shown_on_request() {
        let place = Place::new();
        place.put("mail", "1.0.0", &["com.example.mail.Send"]);
        let mut newer = manifest("mail", "2.0.0", &["com.example.mail.Post"]);
        newer["minimumHost"] = json!("99.0.0");
        place.put_bytes(&component(&newer));
        let mut alone = manifest("post", "1.0.0", &["com.example.post.Post"]);
        alone["minimumHost"] = json!("99.0.0");
        place.put_bytes(&component(&alone));
        let catalog = place.catalog();
        let listed = |which| -> Vec<String> {
            let texts = |versions: &[Version]| {
                let texts: Vec<String> = versions.iter().map(ToString::to_string).collect();
                texts.join(" ")
            };
            let one = |shown: &Shown| {
                let tasks: Vec<&str> = shown.tasks.iter().map(|task| task.name.as_str()).collect();
                let (versions, too_new) = (texts(&shown.versions), texts(&shown.too_new));
                format!("{}: {versions}; too new: {too_new}; {}", shown.name, tasks.join(" "))
            };
            catalog.shown(which).iter().map(one).collect()
        };
        assert_eq!(listed(Which::RunHere), ["mail: 1.0.0; too new: ; com.example.mail.Send"]);
        let all = [
            "mail: 2.0.0 1.0.0; too new: 2.0.0; com.example.mail.Send",
            "post: 1.0.0; too new: 1.0.0; com.example.post.Post",
        ];
        assert_eq!(listed(Which::All), all);
    }
}
