//! The filters of searches and of what is done by query, in Kestra 1.0's form: `filters[field][OPERATION]=value`, with a key behind it for
//! labels. What no filter may ask is refused with the nearest that it may: a filter that is passed over would do to all what was meant for
//! some.

use catalog::nearest;
use jiff::Timestamp;
use model::flow::Label;
use model::ids::{ExecutionId, Namespace, TriggerId};
use model::state::State;
use store::query::{NamespaceMatch, Within};
use store::rows::NamespaceKey;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{RefOr, Required, Schema};

use crate::error::{Error, Issue};
use crate::search::{Operation, Rest, Search, TextTest};

/// Most filters of one request.
const FILTERS_MAX: usize = 100;
/// Longest regular expression, in characters, and what it may take compiled, in bytes.
const REGEX_CHARS_MAX: usize = 1_000;
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Operations by their names.
const OPERATIONS: [(&str, Operation); 13] = [
    ("EQUALS", Operation::Equals),
    ("NOT_EQUALS", Operation::NotEquals),
    ("GREATER_THAN", Operation::GreaterThan),
    ("LESS_THAN", Operation::LessThan),
    ("GREATER_THAN_OR_EQUAL_TO", Operation::GreaterThanOrEqualTo),
    ("LESS_THAN_OR_EQUAL_TO", Operation::LessThanOrEqualTo),
    ("IN", Operation::In),
    ("NOT_IN", Operation::NotIn),
    ("STARTS_WITH", Operation::StartsWith),
    ("ENDS_WITH", Operation::EndsWith),
    ("CONTAINS", Operation::Contains),
    ("REGEX", Operation::Regex),
    ("PREFIX", Operation::Prefix),
];

/// One filter as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// In camel case: `flowId`.
    pub field: String,
    pub operation: Operation,
    /// Behind the operation, in brackets.
    pub key: Option<String>,
    pub value: String,
}

impl Filter {
    /// The parameter it came as.
    fn written(&self) -> String {
        let operation = OPERATIONS.iter().find(|(_, operation)| *operation == self.operation);
        let key = self.key.as_ref().map(|key| format!("[{key}]")).unwrap_or_default();
        format!("filters[{}][{}]{key}", self.field, operation.map_or("", |(name, _)| name))
    }

    pub fn issue(&self, message: String, hint: &str) -> Issue {
        problem(self.written(), message, hint.to_owned())
    }

    /// A plain parameter of an older client, as the filter that it means.
    pub fn plain(field: &str, operation: Operation, value: &str) -> Self {
        Self { field: field.to_owned(), operation, key: None, value: value.to_owned() }
    }

    /// Several values, separated by commas.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        let inner = self.value.trim().trim_start_matches('[').trim_end_matches(']');
        inner.split(',').map(str::trim).filter(|value| !value.is_empty())
    }
}

fn problem(path: String, message: String, hint: String) -> Issue {
    Issue { path, line: None, code: "query.filter".to_owned(), message, hint: Some(hint) }
}

/// All that is wrong with filters, if anything is.
pub fn refuse(issues: Vec<Issue>) -> Result<(), Error> {
    match issues.is_empty() {
        true => Ok(()),
        false => Err(Error::Invalid { code: "query.invalid", message: "invalid filters".to_owned(), issues }),
    }
}

/// A filter as a body has it: names in capitals, as `FLOW_ID`, and the value alone or as `{"value": …}`.
#[derive(Clone, Debug, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = QueryFilter)]
pub struct Written {
    field: String,
    operation: String,
    #[schema(value_type = Value)]
    value: serde_json::Value,
}

/// Every filter of a body.
pub fn read(written: &[Written]) -> Result<Vec<Filter>, Error> {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    for one in written {
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let field = match one.field.contains('_') || one.field.chars().all(|c| c.is_ascii_uppercase()) {
            true => camel(&one.field),
            false => one.field.clone(),
        };
        let value = one.value.get("value").unwrap_or(&one.value);
        pairs.append_pair(&format!("filters[{field}][{}]", one.operation), &text(value));
    }
    parse(&pairs.finish())
}

fn camel(name: &str) -> String {
    let mut words = name.split('_').map(str::to_ascii_lowercase);
    let first = words.next().unwrap_or_default();
    words.fold(first, |all, word| {
        let mut letters = word.chars();
        let head = letters.next().map(|head| head.to_ascii_uppercase()).into_iter();
        all + &head.chain(letters).collect::<String>()
    })
}

/// Every filter of a query string.
pub fn parse(query: &str) -> Result<Vec<Filter>, Error> {
    let (mut filters, mut issues) = (Vec::new(), Vec::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let Some(rest) = name.strip_prefix("filters[") else { continue };
        if filters.len() == FILTERS_MAX {
            return Err(Error::bad_request("query.invalid", format!("there are more than {FILTERS_MAX} filters")));
        }
        let mut parts = rest.strip_suffix(']').into_iter().flat_map(|rest| rest.splitn(3, "]["));
        let (Some(field), Some(operation)) = (parts.next(), parts.next()) else {
            let hint = "write filters[FIELD][OPERATION]=VALUE".to_owned();
            issues.push(problem(name.to_string(), format!("`{name}` is no filter"), hint));
            continue;
        };
        match OPERATIONS.iter().find(|(name, _)| *name == operation) {
            Some((_, known)) => filters.push(Filter {
                field: field.to_owned(),
                operation: *known,
                key: parts.next().map(str::to_owned),
                value: value.into_owned(),
            }),
            None => {
                let near = nearest(operation, OPERATIONS.iter().map(|(name, _)| *name));
                issues.push(problem(
                    name.to_string(),
                    format!("`{operation}` is no operation of filters"),
                    format!("perhaps {}", or(&near)),
                ));
            }
        }
    }
    refuse(issues)?;
    Ok(filters)
}

/// Refuses parameters that are neither filters nor one of these: what is done by query is done to no more than was meant.
pub fn only(query: &str, known: &[&str]) -> Result<(), Error> {
    refuse_unknown(query, |name| name.starts_with("filters["), known, "known are filters, and ")
}

/// The same for what is done to all that is found: a parameter that is empty narrows nothing, and was meant to.
pub fn only_meant(query: &str, known: &[&str]) -> Result<(), Error> {
    only(query, known)?;
    let empty = url::form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| value.is_empty());
    let issues = empty.map(|(name, _)| {
        problem(name.to_string(), format!("`{name}` is empty"), "give it a value, or leave it out".to_owned())
    });
    refuse(issues.collect())
}

/// Refuses parameters that are none of these, filters among them: one that is passed over would show, or remove, more than was meant.
pub fn nothing_but(query: &str, known: &[&str]) -> Result<(), Error> {
    refuse_unknown(query, |_| false, known, "known are ")
}

fn refuse_unknown(query: &str, is_more: impl Fn(&str) -> bool, known: &[&str], hint: &str) -> Result<(), Error> {
    let names = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    let unknown = names.filter(|name| !is_more(name) && !known.contains(&name.as_ref()));
    let issues = unknown.map(|name| {
        let near = nearest(&name, known.iter().copied());
        let names = if near.is_empty() { known.join(", ") } else { near.join(" or ") };
        problem(name.to_string(), format!("`{name}` is no parameter of this"), format!("{hint}{names}"))
    });
    refuse(issues.collect())
}

fn or(names: &[String]) -> String {
    match names {
        [] => "EQUALS, IN or CONTAINS".to_owned(),
        names => names.join(" or "),
    }
}

/// What a filter compares a text with.
pub fn text_test(filter: &Filter) -> Result<TextTest, Issue> {
    use Operation as O;
    let several = matches!(filter.operation, O::In | O::NotIn);
    let values = if several { filter.values().map(str::to_owned).collect() } else { vec![filter.value.clone()] };
    let regex = match filter.operation {
        O::Regex => {
            let built = match filter.value.chars().count() > REGEX_CHARS_MAX {
                true => Err(format!("it has more than {REGEX_CHARS_MAX} characters")),
                false => {
                    let built = regex::RegexBuilder::new(&filter.value).size_limit(REGEX_BYTES_MAX).build();
                    built.map_err(|error| error.to_string())
                }
            };
            let hint = "it is one of the crate `regex`, without look-around";
            Some(built.map_err(|why| filter.issue(format!("the regular expression is refused: {why}"), hint))?)
        }
        O::GreaterThan | O::LessThan | O::GreaterThanOrEqualTo | O::LessThanOrEqualTo => {
            let hint =
                "EQUALS, NOT_EQUALS, IN, NOT_IN, STARTS_WITH, ENDS_WITH, CONTAINS, PREFIX and REGEX are for texts";
            return Err(filter.issue(format!("`{}` is a text, and no number or time", filter.field), hint));
        }
        _ => None,
    };
    Ok(TextTest { operation: filter.operation, values, regex })
}

/// What executions can be searched by.
const FIELDS: [&str; 13] = [
    "q",
    "scope",
    "namespace",
    "kind",
    "labels",
    "flowId",
    "startDate",
    "endDate",
    "state",
    "timeRange",
    "triggerExecutionId",
    "triggerId",
    "childFilter",
];

/// The plain parameters of older clients.
pub const PLAIN: [&str; 9] =
    ["namespace", "state", "startDate", "endDate", "q", "flowId", "timeRange", "triggerExecutionId", "childFilter"];

/// The parameters of a search of executions, as they are described.
pub struct OfExecutions;

impl IntoParams for OfExecutions {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        all(&FIELDS, &[&PLAIN[..], &["labels"]].concat())
    }
}

/// Filters and plain parameters, as they are described.
pub fn all(fields: &[&str], plain: &[&str]) -> Vec<Parameter> {
    let plain = plain.iter().map(|name| {
        let format = match *name {
            "startDate" | "endDate" => Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)),
            "timeRange" => Some(SchemaFormat::KnownFormat(KnownFormat::Duration)),
            _ => None,
        };
        let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).format(format);
        parameter(name, "Of older clients: a filter.", text.build().into()).build()
    });
    std::iter::once(described(fields)).chain(plain).collect()
}

/// The parameter of filters, as it is described.
pub fn described(fields: &[&str]) -> Parameter {
    let (fields, operations) = (fields.join(", "), OPERATIONS.map(|(name, _)| name).join(", "));
    let description = format!(
        "Written `filters[FIELD][OPERATION]=VALUE`, and of labels `filters[labels][OPERATION][KEY]=VALUE`; several narrow each other. \
         Fields: {fields}. Operations: {operations}; which of them a field takes is said where one does not fit."
    );
    let object = ObjectBuilder::new().schema_type(SchemaType::new(Type::Object)).build();
    parameter("filters", &description, object.into())
        .style(Some(ParameterStyle::DeepObject))
        .explode(Some(true))
        .build()
}

fn parameter(name: &str, description: &str, schema: RefOr<Schema>) -> ParameterBuilder {
    let builder = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).required(Required::False);
    builder.description(Some(description)).schema(Some(schema))
}

impl Search {
    /// A search of a query string: its filters, and the plain parameters of older clients.
    pub fn parse(query: &str, now: Timestamp) -> Result<Self, Error> {
        let mut search = Self::default();
        let mut issues = Vec::new();
        for filter in &parse(query)? {
            if let Err(issue) = search.add(filter, now) {
                issues.push(issue);
            }
        }
        let plain = Filter::plain;
        let pairs = || url::form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty());
        // Whoever names a flow names its namespace.
        let namespace = if pairs().any(|(name, _)| name == "flowId") { Operation::Equals } else { Operation::Prefix };
        for (name, value) in pairs() {
            let filter = match name.as_ref() {
                "namespace" => plain("namespace", namespace, &value),
                "state" => plain("state", Operation::In, &value),
                "startDate" => plain("startDate", Operation::GreaterThanOrEqualTo, &value),
                "endDate" => plain("startDate", Operation::LessThanOrEqualTo, &value),
                name @ ("q" | "flowId" | "timeRange" | "triggerExecutionId" | "childFilter") => {
                    plain(name, Operation::Equals, &value)
                }
                "labels" => match value.split_once(':') {
                    Some((key, value)) => {
                        Filter { key: Some(key.to_owned()), ..plain("labels", Operation::Equals, value) }
                    }
                    None => plain("labels", Operation::Equals, &value),
                },
                _ => continue,
            };
            if let Err(issue) = search.add(&filter, now) {
                issues.push(issue);
            }
        }
        refuse(issues)?;
        search.narrow();
        Ok(search)
    }

    fn add(&mut self, filter: &Filter, now: Timestamp) -> Result<(), Issue> {
        use Operation as O;
        let wrong = |hint: &str| {
            let message = format!("`{}` cannot be searched so", filter.field);
            Err(filter.issue(message, hint))
        };
        // A second one would take the place of the first, and find more.
        let is_taken = match filter.field.as_str() {
            "q" | "query" => self.asked.text.is_some(),
            "triggerExecutionId" => self.asked.parent.is_some(),
            "triggerId" => self.asked.trigger.is_some(),
            _ => false,
        };
        if is_taken {
            return Err(filter.issue(format!("`{}` is given twice", filter.field), "give it once"));
        }
        match (filter.field.as_str(), filter.operation) {
            ("q" | "query", O::Equals | O::Contains) => self.asked.text = Some(filter.value.clone()),
            ("namespace", _) => self.rest.push(Rest::Namespace(text_test(filter)?)),
            ("flowId", _) => self.rest.push(Rest::Flow(text_test(filter)?)),
            ("state", O::Equals | O::In) => {
                let states = states(filter)?;
                match self.asked.states.is_empty() {
                    true => self.asked.states = states,
                    // Several filters narrow each other.
                    false => self.rest.push(Rest::NotIn(others(&states))),
                }
            }
            ("state", O::NotEquals | O::NotIn) => self.rest.push(Rest::NotIn(states(filter)?)),
            ("state", _) => return wrong("EQUALS, NOT_EQUALS, IN or NOT_IN"),
            ("labels", O::Equals | O::NotEquals) => {
                let written = filter.key.clone().zip(Some(filter.value.clone()));
                let split = || filter.value.split_once(':').map(|(key, value)| (key.to_owned(), value.to_owned()));
                let Some((key, value)) = written.or_else(split) else {
                    return wrong("filters[labels][EQUALS][KEY]=VALUE");
                };
                let label = Label { key, value };
                match filter.operation {
                    O::Equals => self.asked.labels.push(label),
                    _ => self.rest.push(Rest::WithoutLabel(label)),
                }
            }
            ("labels", _) => return wrong("EQUALS or NOT_EQUALS"),
            ("startDate", _) => self.asked.created = narrowed(self.asked.created, filter)?,
            ("endDate", O::GreaterThan | O::GreaterThanOrEqualTo | O::LessThan | O::LessThanOrEqualTo | O::Equals) => {
                self.rest.push(Rest::Ended(filter.operation, time(filter)?));
            }
            ("endDate", _) => return wrong("GREATER_THAN_OR_EQUAL_TO or LESS_THAN_OR_EQUAL_TO"),
            ("timeRange", O::Equals) => self.asked.created = self.asked.created.not_before(since(filter, now)?),
            ("triggerExecutionId", O::Equals) => self.asked.parent = Some(ExecutionId::trusted(filter.value.as_str())),
            ("triggerId", O::Equals) => {
                self.asked.trigger = Some(TriggerId::trusted(filter.value.as_str()));
            }
            ("childFilter", O::Equals) => match filter.value.as_str() {
                "CHILD" => self.rest.push(Rest::Child(true)),
                "MAIN" => self.rest.push(Rest::Child(false)),
                _ => return wrong("CHILD or MAIN"),
            },
            ("kind", O::Equals | O::In) => {
                let kinds = filter.values().map(|text| serde_json::from_value(text.into()));
                match kinds.collect::<Result<Vec<_>, _>>() {
                    Ok(kinds) if !kinds.is_empty() => self.asked.kinds = kinds,
                    _ => return wrong("NORMAL, TEST or PLAYGROUND"),
                }
            }
            // Every flow here is somebody's own: there are none of the system.
            ("scope", O::Equals | O::In) if filter.values().any(|scope| scope == "USER") => {}
            ("scope", O::Equals | O::In) => self.rest.push(Rest::NotIn(others(&[]))),
            _ => {
                let near = nearest(&filter.field, FIELDS.iter().copied());
                let known = if near.is_empty() { FIELDS.join(", ") } else { near.join(" or ") };
                return wrong(&format!("executions are searched by {known}"));
            }
        }
        Ok(())
    }

    /// Gives the store what one of its indexes answers.
    fn narrow(&mut self) {
        let of = |test: &TextTest| test.values.first().cloned().unwrap_or_default();
        let (mut namespace, mut flow) = (None, None);
        for rest in std::mem::take(&mut self.rest) {
            match &rest {
                Rest::Namespace(test) if test.operation == Operation::Equals && namespace.is_none() => {
                    namespace = Some(of(test));
                }
                Rest::Flow(test) if test.operation == Operation::Equals && flow.is_none() => flow = Some(of(test)),
                Rest::Namespace(test)
                    if test.operation == Operation::Prefix && self.asked.namespace == NamespaceMatch::Any =>
                {
                    let name = Namespace::trusted(of(test).as_str());
                    self.asked.namespace = NamespaceMatch::Tree(NamespaceKey::main(name));
                }
                _ => self.rest.push(rest),
            }
        }
        match (namespace, flow) {
            (Some(namespace), Some(flow)) => self.asked.flow = Some(crate::flows::key(&namespace, &flow)),
            (Some(namespace), None) => {
                let exact = NamespaceMatch::Exact(NamespaceKey::main(Namespace::trusted(namespace.as_str())));
                // A tree that was asked for as well is looked at in each.
                if let NamespaceMatch::Tree(tree) = std::mem::replace(&mut self.asked.namespace, exact) {
                    let values = vec![tree.namespace.to_string()];
                    let test = TextTest { operation: Operation::Prefix, values, regex: None };
                    self.rest.push(Rest::Namespace(test));
                }
            }
            (None, Some(flow)) => {
                let test = TextTest { operation: Operation::Equals, values: vec![flow], regex: None };
                self.rest.push(Rest::Flow(test));
            }
            (None, None) => {}
        }
    }
}

fn states(filter: &Filter) -> Result<Vec<State>, Issue> {
    let names: Vec<&str> = filter.values().collect();
    let states: Vec<State> = names.iter().filter_map(|name| serde_json::from_value((*name).into()).ok()).collect();
    match states.len() == names.len() && !names.is_empty() {
        true => Ok(states),
        false => {
            let hint = format!("states are {}", State::ALL.map(State::as_str).join(", "));
            Err(filter.issue(format!("`{}` names no state", filter.value), &hint))
        }
    }
}

fn others(states: &[State]) -> Vec<State> {
    State::ALL.into_iter().filter(|state| !states.contains(state)).collect()
}

/// A range of time without what a filter of dates takes from it.
pub fn narrowed(range: Within, filter: &Filter) -> Result<Within, Issue> {
    use Operation as O;
    let at = time(filter)?;
    // Times have a resolution: what is after one is at the next or later.
    let next = at.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(at);
    match filter.operation {
        O::GreaterThanOrEqualTo => Ok(range.not_before(at)),
        O::GreaterThan => Ok(range.not_before(next)),
        O::LessThan => Ok(range.before(at)),
        O::LessThanOrEqualTo => Ok(range.before(next)),
        O::Equals => Ok(range.not_before(at).before(next)),
        _ => {
            let hint = "GREATER_THAN_OR_EQUAL_TO or LESS_THAN_OR_EQUAL_TO";
            Err(filter.issue(format!("`{}` cannot be searched so", filter.field), hint))
        }
    }
}

/// When the last so long began: `timeRange`.
pub fn since(filter: &Filter, now: Timestamp) -> Result<Timestamp, Issue> {
    let span = filter.value.parse::<jiff::Span>().ok();
    let duration = span.and_then(|span| span.to_duration(now.to_zoned(jiff::tz::TimeZone::UTC).date()).ok());
    let from = duration.and_then(|duration| now.checked_sub(duration).ok());
    let hint = "a duration, as `PT24H` or `P7D`";
    from.ok_or_else(|| filter.issue(format!("`{}` cannot be searched so", filter.field), hint))
}

fn time(filter: &Filter) -> Result<Timestamp, Issue> {
    let text = filter.value.trim();
    let hint = "a moment with its offset, as `2024-05-01T12:00:00Z`";
    text.parse().map_err(|_| filter.issue(format!("`{text}` is no time"), hint))
}
