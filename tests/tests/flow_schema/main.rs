//! The JSON Schema of flows, read as editors read it, by a library that knows nothing of Sluice: it takes what Sluice takes, and refuses
//! what has the wrong shape where it has it.
#![expect(clippy::print_stdout, reason = "figures are what is read")]

mod flows;
mod places;
mod served;
mod versions;

use std::sync::LazyLock;

use catalog::{Catalog, Check, Host, Origin, Source};
use jsonschema::Validator;
use serde_json::Value;
use server::flow_schema::{Of, document};

/// The shipped plugins.
fn catalog() -> Catalog {
    let version = env!("CARGO_PKG_VERSION").parse().expect("cargo checks versions");
    let shipped = Source::Folder { origin: Origin::Shipped, root: tests::registry() };
    Catalog::open(vec![shipped], Host { version, built_in: Vec::new() }, Check::Sizes)
}

/// The schema, itself checked against the schema of schemas.
fn validator(schema: &Value) -> Validator {
    jsonschema::draft7::new(schema).unwrap_or_else(|error| panic!("no schema at {}: {error}", error.instance_path()))
}

/// Of flows under the shipped plugins.
fn of_flows() -> &'static Validator {
    static MADE: LazyLock<Validator> = LazyLock::new(|| validator(&document(&catalog(), Of::Flow)));
    &MADE
}

/// What is wrong with some YAML: where, and what. `None`: it is no YAML that JSON can hold.
fn wrong(validator: &Validator, source: &str) -> Option<Vec<(String, String)>> {
    let read: Value = serde_yaml::from_str(source).ok()?;
    let found = validator.iter_errors(&read).map(|error| (error.instance_path().to_string(), error.to_string()));
    Some(found.collect())
}
