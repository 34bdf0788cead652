//! Parts of properties that the plugin renders itself, or never: taken out before a property is rendered, and put back as they were written.

use catalog::{PropertyPath, Segment};
use expr::Value;

/// Where such parts are, as steps from here. One without steps is here.
pub(super) type Places<'a> = Vec<&'a [Segment]>;

/// The parts of a property.
pub(super) fn of_property<'a>(paths: impl Iterator<Item = &'a PropertyPath>, name: &str) -> Places<'a> {
    below(&paths.map(PropertyPath::segments).collect::<Places<'_>>(), Some(name))
}

pub(super) fn is_here(places: &[&[Segment]]) -> bool {
    places.iter().any(|place| place.is_empty())
}

/// The places one step further: an entry by its name, or an item.
fn below<'a>(places: &[&'a [Segment]], name: Option<&str>) -> Places<'a> {
    let steps = places.iter().filter_map(|place| place.split_first());
    let fits = |step: &Segment| match step {
        Segment::Name(own) => name == Some(own),
        Segment::Any => true,
    };
    steps.filter(|(step, _)| fits(step)).map(|(_, rest)| rest).collect()
}

/// The value with nothing in these places.
pub(super) fn taken_out(value: &Value, places: &[&[Segment]]) -> Value {
    match value {
        _ if is_here(places) => Value::Null,
        _ if places.is_empty() => value.clone(),
        Value::List(items) => Value::list(items.iter().map(|item| taken_out(item, &below(places, None)))),
        Value::Map(entries) => {
            let taken = |(key, value): (&std::sync::Arc<str>, &Value)| {
                (key.clone(), taken_out(value, &below(places, Some(key))))
            };
            Value::map(entries.iter().map(taken))
        }
        other => other.clone(),
    }
}

/// What was rendered, with what was written in these places. Keys are rendered too, so entries are counted.
pub(super) fn put_back(written: &Value, rendered: Value, places: &[&[Segment]]) -> Value {
    match (written, &rendered) {
        _ if is_here(places) => written.clone(),
        _ if places.is_empty() => rendered,
        (Value::List(written), Value::List(items)) if written.len() == items.len() => {
            let pairs = written.iter().zip(items.iter());
            Value::list(pairs.map(|(written, item)| put_back(written, item.clone(), &below(places, None))))
        }
        (Value::Map(written), Value::Map(entries)) if written.len() == entries.len() => {
            let pairs = written.iter().zip(entries.iter());
            Value::map(pairs.map(|((name, written), (key, value))| {
                (key.clone(), put_back(written, value.clone(), &below(places, Some(name))))
            }))
        }
        _ => rendered,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn segments(path: &[&str]) -> Vec<Segment> {
        let segment = |name: &&str| if *name == "*" { Segment::Any } else { Segment::Name((*name).to_owned()) };
        path.iter().map(segment).collect()
    }

    fn value(json: serde_json::Value) -> Value {
        serde_json::from_value(json).expect("a value")
    }

    #[test]
    fn a_part_is_as_it_was_written_and_the_rest_as_it_was_rendered() {
        let (list, entry) = (segments(&["in", "*", "when"]), segments(&["text"]));
        let places: Places<'_> = vec![&list, &entry];
        let written = value(json!({ "in": [{ "when": "{{ x }}", "say": "{{ y }}" }], "text": "{{ z }}", "n": 1 }));
        let taken = taken_out(&written, &places);
        assert_eq!(taken, value(json!({ "in": [{ "when": null, "say": "{{ y }}" }], "text": null, "n": 1 })));
        let rendered = value(json!({ "in": [{ "when": null, "say": "hello" }], "text": null, "n": 1 }));
        let whole = value(json!({ "in": [{ "when": "{{ x }}", "say": "hello" }], "text": "{{ z }}", "n": 1 }));
        assert_eq!(put_back(&written, rendered, &places), whole);
    }

    #[test]
    fn what_an_expression_gave_has_no_parts_of_the_flow() {
        let path = segments(&["in", "*", "when"]);
        let rendered = value(json!({ "in": [{ "when": "a" }] }));
        let written = value(json!({ "in": "{{ inputs.rails }}" }));
        assert_eq!(taken_out(&written, &[&path]), written);
        assert_eq!(put_back(&written, rendered.clone(), &[&path]), rendered);
    }
}
