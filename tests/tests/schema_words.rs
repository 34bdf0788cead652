//! Whether an answer of a model fits a JSON Schema is said by words of ours (`llm::schema`), because the library for it is too large for a guest. What
//! they say is what that library says, over schemas and values that are made at random.

use serde_json::{Value, json};

/// Schemas that are made and held against values.
const SCHEMAS: usize = 4_000;
const VALUES: usize = 12;

/// A generator with a seed, so that what was found can be found again (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn some<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.roll(of.len() as u64)).expect("a small number")].clone()
    }

    fn value(&mut self, depth: u32) -> Value {
        match self.roll(if depth == 0 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.roll(2) == 0),
            2 => json!(self.roll(8)),
            3 => json!(self.roll(20) as f64 / 4.0),
            4 => self.some(&[json!(""), json!("a"), json!("ab"), json!("äöü")]),
            5 => json!(-1),
            6 => Value::Array((0..self.roll(4)).map(|_| self.value(depth - 1)).collect()),
            _ => {
                let names = ["a", "b", "c", "d"];
                Value::Object(
                    (0..self.roll(4)).map(|_| (self.some(&names).to_owned(), self.value(depth - 1))).collect(),
                )
            }
        }
    }

    fn schema(&mut self, depth: u32) -> Value {
        let mut words = serde_json::Map::new();
        for _ in 0..=self.roll(2) {
            let (word, value) = self.word(depth);
            words.insert(word.to_owned(), value);
        }
        if self.roll(40) == 0 { json!(self.roll(2) == 0) } else { Value::Object(words) }
    }

    fn word(&mut self, depth: u32) -> (&'static str, Value) {
        const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
        let flat = |word, value| (word, value);
        match self.roll(if depth == 0 { 14 } else { 25 }) {
            0 | 1 => flat("type", json!(self.some(&TYPES))),
            2 => flat("type", json!([self.some(&TYPES[..3]), self.some(&TYPES[3..])])),
            3 => flat("enum", Value::Array((0..3).map(|_| self.value(1)).collect())),
            4 => flat("const", self.value(1)),
            5 => flat("minimum", json!(self.roll(6))),
            6 => flat("maximum", json!(self.roll(6))),
            7 => flat("exclusiveMinimum", json!(self.roll(6))),
            8 => flat("exclusiveMaximum", json!(self.roll(6))),
            9 => flat("multipleOf", self.some(&[json!(1), json!(2), json!(0.5), json!(3)])),
            10 => flat(self.some(&["minLength", "maxLength"]), json!(self.roll(4))),
            11 => flat(self.some(&["minItems", "maxItems", "minProperties", "maxProperties"]), json!(self.roll(4))),
            12 => flat("required", json!([self.some(&["a", "b"]), self.some(&["c", "d"])])),
            13 => flat("uniqueItems", json!(true)),
            14..=16 => {
                let fields = ["a", "b", "c"].map(|name| (name.to_owned(), self.schema(depth - 1)));
                flat("properties", Value::Object(fields.into_iter().collect()))
            }
            17 => flat("additionalProperties", self.some(&[json!(false), json!(true)])),
            18 => flat("additionalProperties", self.schema(depth - 1)),
            19 | 20 => flat("items", self.schema(depth - 1)),
            21 => flat("prefixItems", json!([self.schema(depth - 1), self.schema(depth - 1)])),
            22 => flat("not", self.schema(depth - 1)),
            23 => flat("if", self.schema(depth - 1)),
            _ => {
                let parts = json!([self.schema(depth - 1), self.schema(depth - 1)]);
                flat(self.some(&["allOf", "anyOf", "oneOf"]), parts)
            }
        }
    }
}

#[test]
fn words_say_what_the_library_says() {
    let mut dice = Dice(0x5eed_1234_abcd_0001);
    let (mut fitting, mut misfits) = (0, 0);
    for _ in 0..SCHEMAS {
        let mut schema = dice.schema(3);
        if let Some(words) = schema.as_object_mut().filter(|words| words.contains_key("if")) {
            words.insert("then".to_owned(), dice.schema(1));
            words.insert("else".to_owned(), json!({ "$ref": "#/$defs/other" }));
            words.insert("$defs".to_owned(), json!({ "other": dice.schema(1) }));
        }
        let library = jsonschema::draft202012::new(&schema).expect("a schema");
        for _ in 0..VALUES {
            let value = dice.value(3);
            let problems = llm::schema::problems(&schema, &value);
            assert_eq!(problems.is_empty(), library.is_valid(&value), "{schema} {value}: {problems:?}");
            if problems.is_empty() { fitting += 1 } else { misfits += 1 }
        }
    }
    assert!(fitting > 1_000 && misfits > 1_000, "{fitting} fit, {misfits} do not");
}
