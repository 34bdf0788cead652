//! `docs/task-types.md` says what there is: every task type of the engine and of the plugins in `registry/`, with the first version
//! that has it. `SLUICE_BLESS=1` writes its tables anew.

use std::collections::BTreeMap;
use std::fs;

use catalog::{Catalog, Check, Host, Origin, Source};

use crate::root;

const PAGE: &str = "docs/task-types.md";
/// Where the tables begin; what is before it is written by people.
const MARK: &str = "<!-- from here on written by `SLUICE_BLESS=1 cargo test --release -p tests --test tidy` -->\n";

/// One row: what it is, who has it, since when.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    plugin: String,
    since: String,
    title: String,
    aliases: Vec<String>,
}

fn catalog() -> Catalog {
    let host =
        Host { version: env!("CARGO_PKG_VERSION").parse().expect("cargo checks versions"), built_in: Vec::new() };
    let shipped = Source::Folder { origin: Origin::Shipped, root: root().join("registry") };
    Catalog::open(vec![shipped], host, Check::Sizes)
}

/// The task types of plugins, by name.
fn of_plugins(catalog: &Catalog) -> BTreeMap<String, Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for (name, versions) in catalog.plugins() {
        // Oldest first: the first one that has a type is the one since when it is there; the last one describes it.
        for package in versions {
            let manifest = package.manifest();
            for task in &manifest.tasks {
                let since = match rows.get(&task.name) {
                    Some(known) => known.since.clone(),
                    None => manifest.version.to_string(),
                };
                let row =
                    Row { plugin: name.to_string(), since, title: task.title.clone(), aliases: task.aliases.clone() };
                rows.insert(task.name.clone(), row);
            }
        }
    }
    rows
}

fn tables(rows: &BTreeMap<String, Row>, engine: &[&str]) -> String {
    let mut text = "\n## Of plugins\n\n| Type | Plugin | Since | What it does |\n|---|---|---|---|\n".to_owned();
    for (name, row) in rows {
        text += &format!("| `{name}` | `{}` | {} | {} |\n", row.plugin, row.since, row.title);
    }
    text += "\n## Of the engine\n\n| Type |\n|---|\n";
    for name in engine {
        text += &format!("| `{name}` |\n");
    }
    text += "\n## Other names\n\nFlows that use these mean the type beside it.\n\n| Name | Type |\n|---|---|\n";
    let aliases = rows.iter().flat_map(|(name, row)| row.aliases.iter().map(move |alias| (alias, name)));
    let aliases: BTreeMap<&String, &String> = aliases.collect();
    for (alias, name) in aliases {
        text += &format!("| `{alias}` | `{name}` |\n");
    }
    text
}

#[test]
fn the_page_of_task_types_is_true() {
    let mut engine: Vec<&str> = model::engine_tasks().collect();
    engine.sort_unstable();
    let rows = of_plugins(&catalog());
    assert!(rows.len() >= 30 && engine.len() >= 25, "{} and {} task types were found", rows.len(), engine.len());
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).expect("the page is there");
    let (written, found) = page.split_once(MARK).expect("the page has its mark");
    let fresh = tables(&rows, &engine);
    if std::env::var_os("SLUICE_BLESS").is_some() {
        fs::write(&path, format!("{written}{MARK}{fresh}")).expect("the page can be written");
        return;
    }
    assert!(
        found == fresh,
        "`{PAGE}` is out of date; hint: `SLUICE_BLESS=1 cargo test --release -p tests --test tidy`"
    );
}

#[test]
fn tables_show_who_has_a_type_and_since_when() {
    let row = Row { plugin: "p".into(), since: "1.1.0".into(), title: "Say".into(), aliases: vec!["old.Say".into()] };
    let text = tables(&BTreeMap::from([("new.Say".to_owned(), row)]), &["flow.If"]);
    for line in ["| `new.Say` | `p` | 1.1.0 | Say |", "| `flow.If` |", "| `old.Say` | `new.Say` |"] {
        assert!(text.lines().any(|found| found == line), "{text}");
    }
}
