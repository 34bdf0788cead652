//! Changes of a flow's source that leave everything else as it is written, comments included: a key set, a task replaced.
//!
//! A change is made in the text and read back: what would say anything else than what was meant is not given out. Then, and where a source
//! is written in a way that cannot be changed in place (JSON, say), the whole is written anew from its values, without its comments.

use expr::{Map, Value};

use crate::outline::{Inner, Outline};
use crate::problem::{Problem, Problems};
use crate::yaml;

/// Where tasks are, in a flow and in each other.
const CHILDREN: [&str; 10] =
    ["tasks", "errors", "finally", "afterExecution", "then", "else", "defaults", "cases", "listeners", "onPause"];

/// The source with a key of the flow itself set to a plain value.
pub fn set(source: &str, key: &str, value: &Value) -> Result<String, Problem> {
    let (document, outline) = read(source)?;
    let Some(map) = document.as_map() else { return Err(Problem::error("flow.edit", "the source is no map")) };
    let mut wanted = Map::clone(map);
    wanted.insert(key.into(), value.clone());
    let wanted = Value::from(wanted);
    if wanted == document {
        return Ok(source.to_owned());
    }
    let written = value.to_json().to_string();
    let lines: Vec<&str> = source.split_inclusive('\n').collect();
    let mut candidates = Vec::new();
    match outline.as_ref().map(|outline| &outline.inner) {
        Some(Inner::Map(entries)) if entries.contains_key(key) => {
            let place = entries.get(key).map(|entry| entry.value.at);
            if let Some(place) = place {
                candidates.extend(token_replaced(&lines, place.line, place.column, &written));
            }
        }
        Some(_) => {
            let newline = if source.ends_with('\n') { "" } else { "\n" };
            candidates.push(format!("{source}{newline}{key}: {written}\n"));
        }
        None => {}
    }
    Ok(first_that_says(candidates, &wanted))
}

/// The source with another task in the place of the one of this id, wherever it stands; `None`: there is none.
pub fn replace_task(source: &str, id: &str, task: &Value) -> Result<Option<String>, Problem> {
    let (document, outline) = read(source)?;
    let mut wanted = document.clone();
    let mut place = None;
    if !replace_in(&mut wanted, outline.as_deref(), id, task, &mut place) {
        return Ok(None);
    }
    if wanted == document {
        return Ok(Some(source.to_owned()));
    }
    let candidate = place.and_then(|(line, column)| block_replaced(source, line, column, task));
    Ok(Some(first_that_says(candidate.into_iter().collect(), &wanted)))
}

/// A task as it is written, wherever it stands.
pub fn task<'d>(document: &'d Value, id: &str) -> Option<&'d Value> {
    tasks(document).into_iter().find(|(of, _)| *of == id).map(|(_, task)| task)
}

/// All tasks as they are written, with their ids, those with tasks before the ones in them.
pub fn tasks(document: &Value) -> Vec<(&str, &Value)> {
    let mut found = Vec::new();
    collect(document, &mut found);
    found
}

fn collect<'d>(value: &'d Value, found: &mut Vec<(&'d str, &'d Value)>) {
    match value {
        Value::List(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Map(map) => {
            let text = |name: &str| map.get(name).and_then(Value::as_str);
            if let (Some(id), Some(_)) = (text("id"), text("type")) {
                found.push((id, value));
            }
            for (_, entry) in map.iter().filter(|(name, _)| has_tasks(map, name)) {
                collect(entry, found);
            }
        }
        _ => {}
    }
}

/// Whether an entry of a map has tasks: of a flow, of a task, of the cases of a Switch, or one of a Dag.
fn has_tasks(map: &Map, name: &str) -> bool {
    name == "task" || CHILDREN.contains(&name) || is_cases(map)
}

/// A map of lists by value, as a Switch has it.
fn is_cases(map: &Map) -> bool {
    !map.is_empty() && !map.contains_key("id") && map.values().all(|entry| entry.as_list().is_some())
}

fn is_task(value: &Value, id: &str) -> bool {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    text("id") == Some(id) && text("type").is_some()
}

fn replace_in(
    value: &mut Value,
    outline: Option<&Outline>,
    id: &str,
    new: &Value,
    place: &mut Option<(u32, u32)>,
) -> bool {
    let inner = outline.map(|outline| &outline.inner);
    match value {
        Value::List(items) => {
            let mut list = items.as_ref().clone();
            for (index, item) in list.iter_mut().enumerate() {
                let at = match inner {
                    Some(Inner::List(places)) => places.get(index).map(AsRef::as_ref),
                    _ => None,
                };
                if is_task(item, id) {
                    *place = at.map(|at| (at.at.line, at.at.column));
                    *item = new.clone();
                } else if !replace_in(item, at, id, new, place) {
                    continue;
                }
                *value = Value::list(list);
                return true;
            }
            false
        }
        Value::Map(map) => {
            let mut changed = map.as_ref().clone();
            for (name, entry) in &mut changed {
                if !has_tasks(map, name) {
                    continue;
                }
                let at = match inner {
                    Some(Inner::Map(places)) => places.get(name.as_ref()).map(|entry| entry.value.as_ref()),
                    _ => None,
                };
                if is_task(entry, id) {
                    *place = at.map(|at| (at.at.line, at.at.column));
                    *entry = new.clone();
                } else if !replace_in(entry, at, id, new, place) {
                    continue;
                }
                *value = changed.into();
                return true;
            }
            false
        }
        _ => false,
    }
}

fn read(source: &str) -> Result<(Value, Option<std::sync::Arc<Outline>>), Problem> {
    let mut problems = Problems::default();
    let document = yaml::read(source, &mut problems);
    match (problems.finish().into_iter().find(Problem::is_error), document) {
        (Some(problem), _) => Err(problem),
        (None, Some(document)) => Ok((document.value, document.outline)),
        (None, None) => Ok((Value::Null, None)),
    }
}

fn first_that_says(candidates: Vec<String>, wanted: &Value) -> String {
    let says = |text: &String| read(text).is_ok_and(|(value, _)| value == *wanted);
    candidates.into_iter().find(says).unwrap_or_else(|| yaml::write_value(wanted))
}

/// The text with another plain scalar at a place. Both count from 1, the column in characters.
fn token_replaced(lines: &[&str], line: u32, column: u32, new: &str) -> Option<String> {
    let at = (line as usize).checked_sub(1)?;
    let old = lines.get(at)?;
    let start = old.char_indices().nth((column as usize).checked_sub(1)?)?.0;
    let (before, rest) = (old.get(..start)?, old.get(start..)?);
    let end = rest.find([' ', '\t', '\r', '\n', ',', '}', '#']).unwrap_or(rest.len());
    let changed = format!("{before}{new}{}", rest.get(end..)?);
    Some(lines.iter().enumerate().map(|(number, line)| if number == at { &changed } else { *line }).collect())
}

/// The text with another block of lines for a map that begins at a place.
fn block_replaced(source: &str, line: u32, column: u32, new: &Value) -> Option<String> {
    let lines: Vec<&str> = source.split_inclusive('\n').collect();
    let first = (line as usize).checked_sub(1)?;
    let indent = (column as usize).checked_sub(1)?;
    let depth = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    // It ends before the first line that stands further left; blank lines and comments before that are of what follows.
    let after = lines.iter().skip(first + 1).position(|line| !is_blank(line) && depth(line) < indent);
    let mut end = after.map_or(lines.len(), |after| first + 1 + after);
    while end > first + 1 && lines.get(end - 1).is_some_and(|line| is_blank(line)) {
        end -= 1;
    }
    let head: String = lines.get(first)?.chars().take(indent).collect();
    let pad = " ".repeat(indent);
    let written = yaml::write_value(new);
    let block: String = written
        .lines()
        .enumerate()
        .map(|(number, line)| match (number, line.is_empty()) {
            (0, _) => format!("{head}{line}\n"),
            (_, true) => "\n".to_owned(),
            (_, false) => format!("{pad}{line}\n"),
        })
        .collect();
    Some([&*lines.get(..first)?.concat(), &*block, &*lines.get(end..)?.concat()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: &str = "# of mine\nid: f # the id\nnamespace: n\ntasks:\n  - id: a\n    type: t.A # why\n    text: |\n      x\n\n      y\n\n  # the second\n  - id: both\n    type: t.Seq\n    tasks:\n      - {id: in, type: t.B}\n      - id: c\n        type: t.C\n";

    fn yaml(text: &str) -> Value {
        yaml::read_value(text).expect("it is YAML")
    }

    #[test]
    fn a_key_is_set_where_it_stands_or_behind_the_rest() {
        let check = |source: &str, expected: &str| {
            assert_eq!(set(source, "disabled", &Value::Bool(true)).expect("it can be set"), expected);
        };
        check("id: f\ndisabled: false # for now\ntasks: []\n", "id: f\ndisabled: true # for now\ntasks: []\n");
        check("id: f\ndisabled: true\n", "id: f\ndisabled: true\n");
        check("id: f # x", "id: f # x\ndisabled: true\n");
        check("id: f\ntext: |+\n  x\n\n", "id: f\ntext: |+\n  x\n\ndisabled: true\n");
        check("id: f\n...\n", "id: f\ndisabled: true\n");
        check("{\"id\": \"f\"}", "id: f\ndisabled: true\n");
        check("{id: f, disabled: false}\n", "{id: f, disabled: true}\n");
        // An alias stands for what is elsewhere: written anew.
        check("no: &no false\ndisabled: *no\n", "no: false\ndisabled: true\n");
        let named = set("id: f\nnamespace: a.b\n", "namespace", &"c".into()).expect("it can be set");
        assert_eq!(named, "id: f\nnamespace: \"c\"\n");
    }

    #[test]
    fn a_task_is_replaced_and_all_else_stays() {
        let new = yaml("{id: a, type: t.D, list: [1, 2]}");
        let changed = replace_task(FLOW, "a", &new).expect("it reads").expect("it is there");
        assert_eq!(
            changed,
            FLOW.replace(
                "  - id: a\n    type: t.A # why\n    text: |\n      x\n\n      y\n",
                "  - id: a\n    type: t.D\n    list:\n    - 1\n    - 2\n"
            )
        );
        let inner = replace_task(FLOW, "c", &yaml("{id: c, type: t.E}")).expect("it reads").expect("it is there");
        assert_eq!(inner, FLOW.replace("t.C", "t.E"));
        // In a flow mapping: written anew, and it says the same.
        let flow_style =
            replace_task(FLOW, "in", &yaml("{id: in, type: t.F}")).expect("it reads").expect("it is there");
        assert_eq!(yaml(&flow_style), yaml(&FLOW.replace("t.B", "t.F")));
        assert_eq!(replace_task(FLOW, "nobody", &new).expect("it reads"), None);
    }

    #[test]
    fn tasks_are_found_wherever_they_stand() {
        let document = yaml(
            "tasks:\n- id: s\n  type: t.Switch\n  cases: {x: [{id: one, type: t.A}]}\n  defaults: [{id: two, type: t.A}]\n- id: d\n  type: t.Dag\n  tasks: [{task: {id: three, type: t.A}, dependsOn: []}]\n- id: p\n  type: t.Pause\n  onPause: {id: four, type: t.A}\n- id: v\n  type: t.Return\n  format: {id: no, type: no}\nerrors: [{id: five, type: t.A}]\n",
        );
        for id in ["s", "one", "two", "three", "four", "five"] {
            assert!(task(&document, id).is_some(), "{id}");
            let source = yaml::write_value(&document);
            let new = yaml(&format!("{{id: {id}, type: t.New}}"));
            let changed = replace_task(&source, id, &new).expect("it reads").expect("it is there");
            assert_eq!(task(&yaml(&changed), id), Some(&new), "{id}");
        }
        assert_eq!(task(&document, "no"), None);
    }
}
