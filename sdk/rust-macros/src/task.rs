//! `#[task]`: the function stays as it is; beside it comes a type of the same name that implements `Task`.

use proc_macro::{Delimiter, TokenStream, TokenTree};

use crate::item::{split_attributes, split_colon, split_commas, tokens};

pub fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream, String> {
    let (kind, keys) = read_arguments(arguments)?;
    let (attributes, rest) = split_attributes(item.clone());
    let docs: Vec<String> =
        attributes.iter().filter_map(|attribute| attribute.doc().map(|text| text.to_string())).collect();
    if docs.is_empty() {
        return Err("a task needs a doc comment: its first paragraph is the title people see".to_owned());
    }
    let function = read_function(&rest)?;
    let (visibility, name) = (&function.visibility, &function.name);
    let call =
        if function.wants_context { format!("{name}(properties, context)") } else { format!("{name}(properties)") };

    let mut expanded = item;
    expanded.extend(tokens(&format!(
        "#[doc(hidden)] #[expect(non_camel_case_types, reason = \"named after its function\")] {visibility} struct {name} {{}}
        impl ::sluice_sdk::Task for {name} {{
            const DEFINITION: ::sluice_sdk::TaskDefinition = ::sluice_sdk::TaskDefinition::new({kind}, &[{docs}]){keys};
            type Properties = {properties};
            type Outputs = <{result} as ::sluice_sdk::TaskResult>::Outputs;
            fn run(properties: Self::Properties, context: &::sluice_sdk::Context)
                -> ::core::result::Result<Self::Outputs, ::sluice_sdk::Failure> {{
                let _ = context;
                ::sluice_sdk::TaskResult::into_result({call})
            }}
        }}",
        docs = docs.join(", "),
        properties = function.properties,
        result = function.result,
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
                return Err("write keys as `aliases = [\"…\"]` or `effects = Effects::None`".to_owned());
            }
        }
    }
    Ok((kind, keys))
}

struct Function {
    visibility: String,
    name: String,
    properties: String,
    wants_context: bool,
    result: String,
}

fn read_function(trees: &[TokenTree]) -> Result<Function, String> {
    let mistake =
        || "`#[task]` goes on `fn name(properties: Type, cx: &Context) -> Result<Outputs, Failure>`".to_owned();
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
    if parameters.len() > 2 {
        return Err(mistake());
    }
    Ok(Function {
        visibility: before.iter().cloned().collect::<TokenStream>().to_string(),
        name: name.to_string(),
        properties: properties.to_string(),
        wants_context: parameters.len() == 2,
        result: result.to_string(),
    })
}
