//! Markers in the JSON Schema of a task's properties: which are secret, which are rendered later or never. Finds them once, when
//! a manifest is read; it does not check values against schemas.

use std::fmt;

use serde_json::{Map, Value};

/// Marks a property whose value is a secret, whatever its source.
const SECRET: &str = "x-sluice-secret";
/// Says when a property is rendered, where that is not before the run: `never` or `later`.
const RENDER: &str = "x-sluice-render";
/// Marks a property that a plugin takes and does nothing with: a host that stands in it is not asked for.
const UNUSED: &str = "x-sluice-unused";
/// Most schema nodes looked at, references followed. Kestra's largest plugin needs about 3,000; references that double would need
/// far more than memory.
const NODES_MAX: usize = 20_000;
/// Deepest nesting of schemas, references followed.
const DEPTH_MAX: usize = 64;

/// Where a property is. `*` stands for any item of a list or any key of a map.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PropertyPath(Vec<Segment>);

/// One step of a [`PropertyPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A property by name.
    Name(String),
    /// Any item or key.
    Any,
}

impl PropertyPath {
    /// The steps from the root of the properties.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The same property of something that lies at `path`.
    #[must_use]
    pub fn below(&self, path: &[String]) -> Self {
        Self(path.iter().cloned().map(Segment::Name).chain(self.0.iter().cloned()).collect())
    }

    /// Whether the value at `path` is this property or lies inside it.
    pub fn covers(&self, path: &[&str]) -> bool {
        let fits = |(segment, name): (&Segment, &&str)| match segment {
            Segment::Name(own) => own == name,
            Segment::Any => true,
        };
        self.0.len() <= path.len() && self.0.iter().zip(path).all(fits)
    }
}

impl fmt::Display for PropertyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Name(name) => write!(f, "/{}", name.replace('~', "~0").replace('/', "~1")),
            Segment::Any => f.write_str("/*"),
        })
    }
}

/// What a task type's schema marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Markers {
    /// Handled as secrets.
    pub secret: Vec<PropertyPath>,
    /// Handed to the plugin as written.
    pub render_never: Vec<PropertyPath>,
    /// Rendered by the plugin during the run, through the host.
    pub render_later: Vec<PropertyPath>,
    /// Taken, and nothing follows from it.
    pub unused: Vec<PropertyPath>,
}

impl Markers {
    /// The markers of a schema, or why it cannot be relied on.
    pub(crate) fn find(schema: &Value) -> Result<Self, String> {
        let mut walk = Walk {
            root: schema,
            markers: Self::default(),
            found: 0,
            nodes: 0,
            path: Vec::new(),
            references: Vec::new(),
        };
        walk.schema(schema, 0)?;
        let mut markers = walk.markers;
        for paths in [&mut markers.secret, &mut markers.render_never, &mut markers.render_later, &mut markers.unused] {
            paths.sort();
            paths.dedup();
        }
        Ok(markers)
    }
}

struct Walk<'a> {
    root: &'a Value,
    markers: Markers,
    /// Markers found so far.
    found: usize,
    nodes: usize,
    path: Vec<Segment>,
    /// References being followed, and whether one of them came back to itself.
    references: Vec<(&'a str, bool)>,
}

impl<'a> Walk<'a> {
    fn schema(&mut self, schema: &'a Value, depth: usize) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("has more than {NODES_MAX} schemas, references followed"));
        }
        if depth > DEPTH_MAX {
            return Err(format!("is nested deeper than {DEPTH_MAX}"));
        }
        // `true` and `false` are schemas too, and mark nothing.
        let Value::Object(keywords) = schema else {
            return Ok(());
        };
        self.own_markers(keywords)?;
        if let Some(reference) = keywords.get("$ref") {
            self.reference(reference, depth)?;
        }
        for (keyword, value) in keywords {
            match (keyword.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    for (name, schema) in properties {
                        self.inside(Segment::Name(name.clone()), schema, depth)?;
                    }
                }
                ("patternProperties", Value::Object(patterns)) => {
                    for schema in patterns.values() {
                        self.inside(Segment::Any, schema, depth)?;
                    }
                }
                (
                    "additionalProperties" | "unevaluatedProperties" | "items" | "unevaluatedItems" | "contains",
                    schema,
                ) => {
                    self.inside(Segment::Any, schema, depth)?;
                }
                ("prefixItems", Value::Array(schemas)) => {
                    for schema in schemas {
                        self.inside(Segment::Any, schema, depth)?;
                    }
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => {
                    for schema in schemas {
                        self.schema(schema, depth + 1)?;
                    }
                }
                ("dependentSchemas", Value::Object(schemas)) => {
                    for schema in schemas.values() {
                        self.schema(schema, depth + 1)?;
                    }
                }
                ("if" | "then" | "else", schema) => self.schema(schema, depth + 1)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn inside(&mut self, segment: Segment, schema: &'a Value, depth: usize) -> Result<(), String> {
        self.path.push(segment);
        let result = self.schema(schema, depth + 1);
        self.path.pop();
        result
    }

    fn reference(&mut self, reference: &'a Value, depth: usize) -> Result<(), String> {
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let Some(pointer) = pointer else {
            return Err(format!(
                "refers to {reference}, and only references inside the schema (`#/$defs/...`) are followed"
            ));
        };
        if let Some((_, comes_back)) = self.references.iter_mut().find(|(followed, _)| *followed == pointer) {
            *comes_back = true;
            return Ok(());
        }
        let target = self.root.pointer(pointer).ok_or_else(|| format!("refers to `#{pointer}`, which is not there"))?;
        let before = self.found;
        self.references.push((pointer, false));
        let result = self.schema(target, depth + 1);
        let comes_back = self.references.pop().is_some_and(|(_, comes_back)| comes_back);
        result?;
        if comes_back && self.found > before {
            // No finite list of paths names every place, so a secret further down would be missed.
            return Err(format!(
                "marks properties inside `#{pointer}`, which contains itself; markers are not possible there"
            ));
        }
        Ok(())
    }

    fn own_markers(&mut self, keywords: &Map<String, Value>) -> Result<(), String> {
        let here = || PropertyPath(self.path.clone());
        match keywords.get(SECRET) {
            None | Some(Value::Bool(false)) => {}
            Some(Value::Bool(true)) => {
                self.markers.secret.push(here());
                self.found += 1;
            }
            Some(other) => {
                return Err(format!("has `{SECRET}: {other}` at `{}`; it is `true` or `false`", here()));
            }
        }
        match keywords.get(UNUSED) {
            None | Some(Value::Bool(false)) => {}
            Some(Value::Bool(true)) => {
                self.markers.unused.push(here());
                self.found += 1;
            }
            Some(other) => {
                return Err(format!("has `{UNUSED}: {other}` at `{}`; it is `true` or `false`", here()));
            }
        }
        match keywords.get(RENDER).map(|value| (value.as_str(), value)) {
            None => return Ok(()),
            Some((Some("never"), _)) => self.markers.render_never.push(here()),
            Some((Some("later"), _)) => self.markers.render_later.push(here()),
            Some((_, other)) => {
                return Err(format!("has `{RENDER}: {other}` at `{}`; it is `never` or `later`", here()));
            }
        }
        self.found += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn check(schema: Value, secrets: &[&str]) {
        let markers = Markers::find(&schema).unwrap();
        let found: Vec<String> = markers.secret.iter().map(PropertyPath::to_string).collect();
        assert_eq!(found, secrets, "{schema}");
    }

    fn refused(schema: Value, expected: &str) {
        let reason = Markers::find(&schema).unwrap_err();
        assert!(reason.contains(expected), "`{reason}` does not say `{expected}`");
    }

    #[test]
    fn secrets_are_found_wherever_a_value_may_lie() {
        let secret = json!({ "type": "string", "x-sluice-secret": true });
        check(json!({ "properties": { "token": secret, "url": {} } }), &["/token"]);
        check(json!({ "properties": { "headers": { "additionalProperties": secret } } }), &["/headers/*"]);
        check(
            json!({ "properties": { "logins": { "items": { "properties": { "a/b": secret } } } } }),
            &["/logins/*/a~1b"],
        );
        check(
            json!({ "properties": { "auth": { "anyOf": [{ "type": "null" }, { "properties": { "key": secret } }] } } }),
            &["/auth/key"],
        );
        check(json!({ "properties": { "pair": { "prefixItems": [{}, secret] } } }), &["/pair/*"]);
        check(
            json!({ "allOf": [{ "properties": { "a": secret } }, { "properties": { "a": secret, "b": secret } }] }),
            &["/a", "/b"],
        );
        check(
            json!({ "if": {}, "then": { "properties": { "a": secret } }, "patternProperties": { "^x": secret } }),
            &["/a", "/*"],
        );
        check(json!({ "properties": { "a": { "x-sluice-secret": false } }, "additionalProperties": false }), &[]);
    }

    #[test]
    fn references_are_followed() {
        let schema = json!({
            "properties": { "in": { "$ref": "#/$defs/Login" }, "out": { "$ref": "#/$defs/Login", "x-sluice-render": "later" } },
            "$defs": { "Login": { "properties": { "password": { "x-sluice-secret": true } } } },
        });
        check(schema.clone(), &["/in/password", "/out/password"]);
        assert_eq!(Markers::find(&schema).unwrap().render_later, [PropertyPath(vec![Segment::Name("out".to_owned())])]);
    }

    #[test]
    fn a_schema_that_contains_itself_may_not_mark() {
        let tree = |leaf: Value| {
            json!({
                "properties": { "tree": { "$ref": "#/$defs/Tree" } },
                "$defs": { "Tree": { "properties": { "leaf": leaf, "children": { "items": { "$ref": "#/$defs/Tree" } } } } },
            })
        };
        check(tree(json!({})), &[]);
        refused(tree(json!({ "x-sluice-secret": true })), "contains itself");
    }

    #[test]
    fn a_bomb_of_references_ends() {
        let mut definitions = Map::new();
        for level in 0..20 {
            let next = json!({ "$ref": format!("#/$defs/d{}", level + 1) });
            definitions.insert(format!("d{level}"), json!({ "properties": { "x": next, "y": next } }));
        }
        definitions.insert("d20".to_owned(), json!({}));
        refused(json!({ "$ref": "#/$defs/d0", "$defs": definitions }), "more than 20000 schemas");
    }

    #[test]
    fn nonsense_is_refused() {
        refused(json!({ "x-sluice-secret": "yes" }), "`true` or `false`");
        refused(json!({ "x-sluice-unused": 1 }), "`true` or `false`");
        refused(
            json!({ "properties": { "a": { "x-sluice-render": "sometimes" } } }),
            "at `/a`; it is `never` or `later`",
        );
        refused(json!({ "$ref": "other.json#/x" }), "only references inside");
        refused(json!({ "$ref": "#/$defs/missing" }), "which is not there");
        let deep = (0..100).fold(json!({}), |inner, _| json!({ "items": inner }));
        refused(deep, "nested deeper than 64");
    }

    #[test]
    fn a_secret_covers_what_lies_inside_it() {
        let path = PropertyPath(vec![Segment::Name("auth".to_owned()), Segment::Any]);
        assert!(path.covers(&["auth", "0"]) && path.covers(&["auth", "key", "deep"]));
        assert!(!path.covers(&["auth"]) && !path.covers(&["other", "key"]));
    }
}
