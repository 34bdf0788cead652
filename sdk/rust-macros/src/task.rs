//! `#[task]`, `#[trigger]` and `#[provider]`: the function stays as it is; beside it comes a type of the same name that implements `Task`,
//! `Trigger` or `Provider`.

use proc_macro::{Delimiter, TokenStream, TokenTree};

use crate::item::{split_attributes, split_colon, split_commas, tokens};

/// The parameters of a task function, and of a trigger function: properties, what it may take, and how that is called.
const TASK: (usize, &str) =
    (2, "`#[task]` goes on `fn name(properties: Type, cx: &Context) -> Result<Outputs, Failure>`");
const TRIGGER: (usize, &str) = (
    3,
    "`#[trigger]` goes on `fn name(properties: Type, cursor: Option<&str>, cx: &Context) -> Result<Option<Fired<Outputs>>, Failure>`",
);

const PROVIDER: (usize, &str) =
    (3, "`#[provider]` goes on `fn name(properties: Type, request: Value, cx: &Context) -> Result<Value, Failure>`");

pub fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream, String> {
    let function = Function::read(arguments, &item, TASK)?;
    let (name, properties, result) = (&function.name, &function.properties, &function.result);
    let call = match function.parameters {
        2 => format!("{name}(properties, context)"),
        _ => format!("{name}(properties)"),
    };
    let mut expanded = item;
    expanded.extend(tokens(&format!(
        "{head}
        impl ::sluice_sdk::Task for {name} {{
            {definition}
            type Properties = {properties};
            type Outputs = <{result} as ::sluice_sdk::TaskResult>::Outputs;
            fn run(properties: Self::Properties, context: &::sluice_sdk::Context)
                -> ::core::result::Result<Self::Outputs, ::sluice_sdk::Failure> {{
                let _ = context;
                ::sluice_sdk::TaskResult::into_result({call})
            }}
        }}",
        head = function.head,
        definition = function.definition,
    )));
    Ok(expanded)
}

pub fn expand_trigger(arguments: TokenStream, item: TokenStream) -> Result<TokenStream, String> {
    let function = Function::read(arguments, &item, TRIGGER)?;
    let (name, properties, result) = (&function.name, &function.properties, &function.result);
    let call = match function.parameters {
        3 => format!("{name}(properties, cursor, context)"),
        2 => format!("{name}(properties, cursor)"),
        _ => return Err(TRIGGER.1.to_owned()),
    };
    let mut expanded = item;
    expanded.extend(tokens(&format!(
        "{head}
        impl ::sluice_sdk::Trigger for {name} {{
            {definition}
            type Properties = {properties};
            type Outputs = <{result} as ::sluice_sdk::PollResult>::Outputs;
            fn poll(properties: Self::Properties, cursor: ::core::option::Option<&str>, context: &::sluice_sdk::Context)
                -> ::core::result::Result<::core::option::Option<::sluice_sdk::Fired<Self::Outputs>>, ::sluice_sdk::Failure> {{
                let _ = context;
                ::sluice_sdk::PollResult::into_result({call})
            }}
        }}",
        head = function.head,
        definition = function.definition,
    )));
    Ok(expanded)
}

pub fn expand_provider(arguments: TokenStream, item: TokenStream) -> Result<TokenStream, String> {
    let function = Function::read(arguments, &item, PROVIDER)?;
    let (name, properties) = (&function.name, &function.properties);
    let call = match function.parameters {
        3 => format!("{name}(properties, request, context)"),
        2 => format!("{name}(properties, request)"),
        _ => return Err(PROVIDER.1.to_owned()),
    };
    let mut expanded = item;
    expanded.extend(tokens(&format!(
        "{head}
        impl ::sluice_sdk::models::Provider for {name} {{
            {definition}
            type Properties = {properties};
            fn chat(
                properties: Self::Properties,
                request: ::sluice_sdk::serde_json::Value,
                context: &::sluice_sdk::Context,
            ) -> ::core::result::Result<::sluice_sdk::serde_json::Value, ::sluice_sdk::Failure> {{
                let _ = context;
                {call}
            }}
        }}",
        head = function.head,
        definition = function.definition,
    )));
    Ok(expanded)
}

/// The task type, and method calls for the keys behind it.
fn read_arguments(arguments: TokenStream) -> Result<(String, String), String> {
    let mut parts = split_commas(arguments).into_iter();
    let kind = match parts.next().map(|part| part.into_iter().collect::<Vec<_>>()).as_deref() {
        Some([TokenTree::Literal(literal)]) if literal.to_string().starts_with('"') => literal.to_string(),
        _ => {
            return Err("write the task type first: `#[task(\"com.example.hello.Hello\")]`".to_owned());
        }
    };
    let mut keys = String::new();
    for part in parts {
        let mut trees = part.into_iter();
        match (trees.next(), trees.next()) {
            (Some(TokenTree::Ident(key)), Some(TokenTree::Punct(equals))) if equals.as_char() == '=' => {
                let value: TokenStream = trees.collect();
                // A list is written without the ampersand.
                let is_list = matches!(value.clone().into_iter().next(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket);
                keys.push_str(&format!(".{key}({}{value})", if is_list { "&" } else { "" }));
            }
            _ => {
                return Err("write keys as `aliases = [\"…\"]`, `effects = Effects::None` or `capabilities = || Capabilities::none()`".to_owned());
            }
        }
    }
    Ok((kind, keys))
}

struct Function {
    /// The type that is named after it.
    head: String,
    /// Its task type, documentation and keys.
    definition: String,
    name: String,
    properties: String,
    parameters: usize,
    result: String,
}

impl Function {
    fn read(arguments: TokenStream, item: &TokenStream, shape: (usize, &str)) -> Result<Self, String> {
        let (kind, keys) = read_arguments(arguments)?;
        let (attributes, rest) = split_attributes(item.clone());
        let docs: Vec<String> =
            attributes.iter().filter_map(|attribute| attribute.doc().map(|text| text.to_string())).collect();
        if docs.is_empty() {
            return Err("a task needs a doc comment: its first paragraph is the title people see".to_owned());
        }
        let definition = format!(
            "const DEFINITION: ::sluice_sdk::TaskDefinition = ::sluice_sdk::TaskDefinition::new({kind}, &[{}]){keys};",
            docs.join(", ")
        );
        read_function(&rest, definition, shape)
    }
}

fn read_function(trees: &[TokenTree], definition: String, (most, shape): (usize, &str)) -> Result<Function, String> {
    let mistake = || shape.to_owned();
    let at = trees
        .iter()
        .position(|tree| matches!(tree, TokenTree::Ident(ident) if ident.to_string() == "fn"))
        .ok_or_else(mistake)?;
    let (before, after) = trees.split_at(at);
    let [_, TokenTree::Ident(name), TokenTree::Group(parameters), rest @ ..] = after else {
        return Err(mistake());
    };
    let parameters = split_commas(parameters.stream());
    let first: Vec<TokenTree> = parameters.first().cloned().ok_or_else(mistake)?.into_iter().collect();
    let (_, properties) = split_colon(&first).ok_or_else(mistake)?;
    let result: TokenStream = match rest {
        [TokenTree::Punct(dash), TokenTree::Punct(arrow), result @ .., TokenTree::Group(_)]
            if dash.as_char() == '-' && arrow.as_char() == '>' =>
        {
            result.iter().cloned().collect()
        }
        _ => return Err(mistake()),
    };
    if parameters.len() > most {
        return Err(mistake());
    }
    let visibility = before.iter().cloned().collect::<TokenStream>().to_string();
    Ok(Function {
        head: format!(
            "#[doc(hidden)] #[expect(non_camel_case_types, reason = \"named after its function\")] {visibility} struct {name} {{}}"
        ),
        definition,
        name: name.to_string(),
        properties: properties.to_string(),
        parameters: parameters.len(),
        result: result.to_string(),
    })
}
