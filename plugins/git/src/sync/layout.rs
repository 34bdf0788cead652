//! Which file of a repository is which thing. Two layouts: folders by namespace and kind, and that of the older tasks, where folders are namespaces below
//! the target.

use sluice_sdk::Failure;

use super::model::{Key, Kind};
use crate::failures::{self, fault};

/// The folder of what belongs to no namespace.
const GLOBAL: &str = "_global";
/// Files that are Git's and the file system's own business.
const SKIPPED: [&str; 4] = [".gitignore", ".gitkeep", ".gitattributes", ".gitmodules"];

/// The folder of flows beside files.
const MIXED_FLOWS: &str = "_flows/";

/// How a repository, or a folder of it, is laid out.
#[derive(Clone, Debug)]
pub enum Layout {
    /// `<namespace>/flows/<id>.yaml`, `<namespace>/files/<path>`, `<namespace>/apps/<id>.yaml`, `<namespace>/tests/<id>.yaml`,
    /// `_global/dashboards/<id>.yaml`, `_global/blueprints/<id>.yaml`.
    Folders {
        /// Only this namespace, without those below it and without what is global.
        only: Option<String>,
    },
    /// `<below>/<id>.yaml`: flows, of the namespace and, in folders, of those below it.
    Flows {
        /// The namespace of the folder itself.
        namespace: String,
        /// Whether folders count.
        children: bool,
    },
    /// One file, which is one flow.
    OneFlow { name: String, key: Key },
    /// `<path>`: files of one namespace.
    Files { namespace: String },
    /// `_flows/<id>.yaml` and, for everything else, `<path>`: flows and files of one namespace, the files in one of its folders.
    Mixed { namespace: String, prefix: String },
}

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Thing(Key),
    /// Not of this layout: it is left alone.
    Other,
}

impl Layout {
    /// What is at a path, relative to the folder that is kept in step.
    pub fn place(&self, path: &str) -> Place {
        let name = path.rsplit('/').next().unwrap_or_default();
        if SKIPPED.contains(&name) || path == super::repository::IGNORE {
            return Place::Other;
        }
        let found = match self {
            Self::Folders { only } => folders(path, only.as_deref()),
            Self::Flows { namespace, children } => flow_below(path, namespace, *children),
            Self::OneFlow { name, key } => (path == name).then(|| key.clone()),
            Self::Files { namespace } => {
                Some(Key { kind: Kind::File, namespace: namespace.clone(), id: path.to_owned() })
            }
            Self::Mixed { namespace, prefix } => match path.strip_prefix(MIXED_FLOWS) {
                Some(path) => flow_below(path, namespace, false),
                None if prefix.is_empty() => {
                    Some(Key { kind: Kind::File, namespace: namespace.clone(), id: path.to_owned() })
                }
                None => Some(Key { kind: Kind::File, namespace: namespace.clone(), id: format!("{prefix}/{path}") }),
            },
        };
        found.map_or(Place::Other, Place::Thing)
    }

    /// Where a thing goes that is not there yet.
    pub fn path(&self, key: &Key) -> Result<String, Failure> {
        let Key { kind, namespace, id } = key;
        let refused = || {
            let message = format!(
                "{} `{key}` has no place in this folder; hint: look at the namespaces of the task",
                kind.name()
            );
            fault(failures::PATH, message)
        };
        match self {
            Self::Folders { only } if only.as_ref().is_some_and(|only| only != namespace) => Err(refused()),
            Self::Folders { .. } => Ok(match kind {
                Kind::Flow => format!("{namespace}/flows/{id}.yaml"),
                Kind::File => format!("{namespace}/files/{id}"),
                Kind::App => format!("{namespace}/apps/{id}.yaml"),
                Kind::Test => format!("{namespace}/tests/{id}.yaml"),
                Kind::Dashboard => format!("{GLOBAL}/dashboards/{id}.yaml"),
                Kind::Blueprint => format!("{GLOBAL}/blueprints/{id}.yaml"),
            }),
            Self::Flows { namespace: top, children } => {
                let below = namespace.strip_prefix(top.as_str()).ok_or_else(refused)?;
                match below.strip_prefix('.') {
                    None if below.is_empty() => Ok(format!("{id}.yml")),
                    Some(below) if *children => Ok(format!("{}/{id}.yml", below.replace('.', "/"))),
                    _ => Err(refused()),
                }
            }
            Self::OneFlow { name, key: of } if of == key => Ok(name.clone()),
            Self::Files { namespace: of } if of == namespace => Ok(id.clone()),
            Self::Mixed { namespace: of, .. } if of == namespace && *kind == Kind::Flow => {
                Ok(format!("{MIXED_FLOWS}{id}.yml"))
            }
            Self::Mixed { namespace: of, prefix } if of == namespace => {
                id.strip_prefix(prefix.as_str()).map(|path| path.trim_start_matches('/').to_owned()).ok_or_else(refused)
            }
            Self::OneFlow { .. } | Self::Files { .. } | Self::Mixed { .. } => Err(refused()),
        }
    }
}

/// The id that a name of a YAML file says.
fn stem(name: &str) -> Option<&str> {
    [".yaml", ".yml"].iter().find_map(|end| name.strip_suffix(end)).filter(|stem| !stem.is_empty())
}

fn folders(path: &str, only: Option<&str>) -> Option<Key> {
    let mut parts = path.split('/');
    let (namespace, kind) = (parts.next()?, parts.next()?);
    let rest: Vec<&str> = parts.collect();
    let key = |kind, namespace: &str, id: String| {
        let within = only.is_none_or(|only| only == namespace);
        within.then(|| Key { kind, namespace: namespace.to_owned(), id })
    };
    let document = |kind, namespace: &str| match rest.as_slice() {
        [name] => key(kind, namespace, stem(name)?.to_owned()),
        _ => None,
    };
    match (namespace, kind) {
        (GLOBAL, "dashboards") => document(Kind::Dashboard, ""),
        (GLOBAL, "blueprints") => document(Kind::Blueprint, ""),
        (GLOBAL, _) => None,
        (_, "flows") => document(Kind::Flow, namespace),
        (_, "apps") => document(Kind::App, namespace),
        (_, "tests") => document(Kind::Test, namespace),
        (_, "files") if !rest.is_empty() => key(Kind::File, namespace, rest.join("/")),
        _ => nested(path, only),
    }
}

/// `a/b/flows/x.yml` is a flow of `a.b` as well.
fn nested(path: &str, only: Option<&str>) -> Option<Key> {
    let (folder, name) = path.rsplit_once('/')?;
    let namespace = folder.strip_suffix("/flows")?.replace('/', ".");
    let within = only.is_none_or(|only| only == namespace);
    within.then_some(Key { kind: Kind::Flow, id: stem(name)?.to_owned(), namespace })
}

fn flow_below(path: &str, namespace: &str, children: bool) -> Option<Key> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let id = stem(name)?.to_owned();
    let namespace = match folder {
        "" => namespace.to_owned(),
        folder if children => format!("{namespace}.{}", folder.replace('/', ".")),
        _ => return None,
    };
    Some(Key { kind: Kind::Flow, namespace, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(layout: &Layout, path: &str) -> String {
        match layout.place(path) {
            Place::Thing(key) => format!("{} {key}", key.kind.name()),
            Place::Other => "other".to_owned(),
        }
    }

    #[test]
    fn folders_say_namespace_and_kind() {
        let all = Layout::Folders { only: None };
        for (path, expected) in [
            ("a.b/flows/x.yaml", "flow a.b.x"),
            ("a.b/flows/x.yml", "flow a.b.x"),
            ("a/b/flows/x.yml", "flow a.b.x"),
            ("a.b/files/dir/x.py", "file a.b/dir/x.py"),
            ("a.b/apps/x.yaml", "app a.b.x"),
            ("a.b/tests/x.yaml", "test a.b.x"),
            ("_global/dashboards/x.yaml", "dashboard x"),
            ("_global/blueprints/x.yaml", "blueprint x"),
            ("a.b/flows/x.txt", "other"),
            ("a.b/flows/.gitkeep", "other"),
            ("a.b/flows/.yaml", "other"),
            ("README.md", "other"),
            ("_global/other/x.yaml", "other"),
        ] {
            assert_eq!(told(&all, path), expected, "{path}");
        }
        let one = Layout::Folders { only: Some("a".into()) };
        assert_eq!(told(&one, "a/flows/x.yaml"), "flow a.x");
        for other in ["a.b/flows/x.yaml", "a/b/flows/x.yaml", "_global/dashboards/x.yaml"] {
            assert_eq!(told(&one, other), "other", "{other}");
        }
    }

    #[test]
    fn folders_are_namespaces_below() {
        let layout = Layout::Flows { namespace: "t".into(), children: true };
        assert_eq!(told(&layout, "x.yml"), "flow t.x");
        assert_eq!(told(&layout, "a/b/x.yaml"), "flow t.a.b.x");
        let flat = Layout::Flows { namespace: "t".into(), children: false };
        assert_eq!(told(&flat, "a/x.yml"), "other");
    }

    #[test]
    fn a_place_is_read_as_the_thing_it_was_made_for() {
        let key = |kind, namespace: &str, id: &str| Key { kind, namespace: namespace.into(), id: id.into() };
        let all = Layout::Folders { only: None };
        for key in [
            key(Kind::Flow, "a.b", "x"),
            key(Kind::File, "a", "d/e.txt"),
            key(Kind::Test, "a", "t"),
            key(Kind::Dashboard, "", "d"),
        ] {
            let path = all.path(&key).expect("a place");
            assert_eq!(all.place(&path), Place::Thing(key));
        }
        let below = Layout::Flows { namespace: "t".into(), children: true };
        for key in [key(Kind::Flow, "t", "x"), key(Kind::Flow, "t.a.b", "x")] {
            let path = below.path(&key).expect("a place");
            assert_eq!(below.place(&path), Place::Thing(key));
        }
        assert!(below.path(&key(Kind::Flow, "tx", "x")).is_err());
    }
}
