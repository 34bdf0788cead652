//! How clients write searches of flows: filters, and the plain parameters of older clients.

use catalog::nearest;
use model::flow::Label;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::filters::{self, Filter, text_test};
use crate::error::{Error, Issue};
use crate::flow_search::{FlowSearch, FlowTest};
use crate::search::{Operation, TextTest};

/// What flows can be searched by.
const FIELDS: [&str; 5] = ["q", "scope", "namespace", "flowId", "labels"];

/// The plain parameters.
pub const PLAIN: [&str; 3] = ["q", "namespace", "labels"];

/// The parameters of a search of flows, as they are described.
pub struct OfFlows;

impl IntoParams for OfFlows {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        filters::all(&FIELDS, &PLAIN)
    }
}

impl FlowSearch {
    /// A search of a query string.
    pub fn parse(query: &str) -> Result<Self, Error> {
        let (mut tests, mut issues) = (Vec::new(), Vec::new());
        for filter in filters::parse(query)? {
            match test(&filter) {
                Ok(test) => tests.extend(test),
                Err(issue) => issues.push(issue),
            }
        }
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
            let text = |operation| TextTest { operation, values: vec![value.to_string()], regex: None };
            match name.as_ref() {
                "q" => tests.push(FlowTest::Name(value.to_string())),
                "namespace" => tests.push(FlowTest::Namespace(text(Operation::Prefix))),
                "labels" => match label(None, &value) {
                    Some(label) => tests.push(FlowTest::Label(label, true)),
                    None => issues.push(Issue {
                        path: "labels".to_owned(),
                        line: None,
                        code: "query.label".to_owned(),
                        message: format!("`{value}` is not a label"),
                        hint: Some("write labels=key:value".to_owned()),
                    }),
                },
                _ => {}
            }
        }
        filters::refuse(issues)?;
        Ok(Self { tests })
    }
}

fn label(key: Option<&str>, value: &str) -> Option<Label> {
    let (key, value) = match key {
        Some(key) => (key, value),
        None => value.split_once(':')?,
    };
    (!key.is_empty()).then(|| Label { key: key.to_owned(), value: value.to_owned() })
}

fn test(filter: &Filter) -> Result<Option<FlowTest>, Issue> {
    use Operation as O;
    let wrong = |hint: &str| Err(filter.issue(format!("`{}` cannot be searched so", filter.field), hint));
    match (filter.field.as_str(), filter.operation) {
        ("q" | "query", O::Equals | O::Contains) => Ok(Some(FlowTest::Name(filter.value.clone()))),
        ("q" | "query", _) => wrong("EQUALS"),
        ("namespace", _) => Ok(Some(FlowTest::Namespace(text_test(filter)?))),
        ("flowId" | "id", _) => Ok(Some(FlowTest::Id(text_test(filter)?))),
        ("labels", operation @ (O::Equals | O::NotEquals)) => match label(filter.key.as_deref(), &filter.value) {
            Some(label) => Ok(Some(FlowTest::Label(label, operation == O::Equals))),
            None => wrong("filters[labels][EQUALS][KEY]=VALUE"),
        },
        ("labels", _) => wrong("EQUALS or NOT_EQUALS"),
        // Every flow here is somebody's own: there are none of the system.
        ("scope", O::Equals | O::In) => {
            let users = filter.values().any(|scope| scope == "USER");
            Ok((!users).then_some(FlowTest::Nothing))
        }
        _ => {
            let near = nearest(&filter.field, FIELDS.iter().copied());
            let known = if near.is_empty() { FIELDS.join(", ") } else { near.join(" or ") };
            wrong(&format!("flows are searched by {known}"))
        }
    }
}
