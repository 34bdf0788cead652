//! `#[properties]` and `#[outputs]`: the derives of serde and schemars with the names flows use, and the markers of fields turned into
//! keys of the schema.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

use crate::item::{Attribute, split_attributes, split_colon, split_commas, tokens};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Properties,
    Outputs,
}

pub fn expand(item: TokenStream, role: Role) -> Result<TokenStream, String> {
    let (attributes, rest) = split_attributes(item);
    let is_enum = rest.iter().any(|tree| matches!(tree, TokenTree::Ident(ident) if ident.to_string() == "enum"));
    let name = rest.windows(2).find_map(|pair| match pair {
        [TokenTree::Ident(keyword), TokenTree::Ident(name)]
            if matches!(keyword.to_string().as_str(), "struct" | "enum") =>
        {
            Some(name.to_string())
        }
        _ => None,
    });
    let name = name.ok_or("this goes on a struct with named fields, or on an enum")?;

    let (derives, names) = match (role, is_enum) {
        (Role::Properties, false) => {
            ("::sluice_sdk::serde::Deserialize", "rename_all = \"camelCase\", deny_unknown_fields")
        }
        // Serialize, so that one can be a default shown in the schema.
        (Role::Properties, true) => (
            "::sluice_sdk::serde::Deserialize, ::sluice_sdk::serde::Serialize",
            "rename_all = \"SCREAMING_SNAKE_CASE\"",
        ),
        (Role::Outputs, false) => ("::sluice_sdk::serde::Serialize", "rename_all = \"camelCase\""),
        (Role::Outputs, true) => ("::sluice_sdk::serde::Serialize", "rename_all = \"SCREAMING_SNAKE_CASE\""),
    };
    let mut expanded = tokens(&format!(
        "#[derive({derives}, ::sluice_sdk::schemars::JsonSchema)]
        #[serde(crate = \"::sluice_sdk::serde\", {names})]
        #[schemars(crate = \"::sluice_sdk::schemars\")]"
    ));
    for attribute in &attributes {
        expanded.extend(attribute.written());
    }

    let mut defaults = TokenStream::new();
    for tree in rest {
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !is_enum => {
                let mut fields = TokenStream::new();
                for field in split_commas(group.stream()) {
                    let (field, default) = expand_field(field, &name)?;
                    fields.extend(field);
                    fields.extend(tokens(","));
                    defaults.extend(default);
                }
                expanded.extend([TokenTree::Group(Group::new(Delimiter::Brace, fields))]);
            }
            other => expanded.extend([other]),
        }
    }
    expanded.extend(defaults);
    Ok(expanded)
}

/// The field with its markers replaced, and the function of its default value.
fn expand_field(field: TokenStream, owner: &str) -> Result<(TokenStream, TokenStream), String> {
    let (attributes, rest) = split_attributes(field);
    let (mut written, mut default) = (TokenStream::new(), TokenStream::new());
    for attribute in attributes {
        match attribute.name().as_str() {
            "secret" => written.extend(tokens("#[schemars(extend(\"x-sluice-secret\" = true))]")),
            "unused" => {
                written.extend(tokens("#[expect(dead_code, reason = \"taken, and nothing follows from it\")]"));
                written.extend(tokens("#[schemars(extend(\"x-sluice-unused\" = true))]"));
            }
            "render" => match attribute.arguments().to_string().as_str() {
                when @ ("never" | "later") => {
                    written.extend(tokens(&format!("#[schemars(extend(\"x-sluice-render\" = \"{when}\"))]")))
                }
                other => return Err(format!("`#[render({other})]`: write `never` or `later`")),
            },
            "default" => {
                let function = default_function(&attribute, &rest, owner)?;
                written.extend(tokens(&format!("#[serde(default = \"{}\")]", function.0)));
                default.extend(function.1);
            }
            _ => written.extend(attribute.written()),
        }
    }
    written.extend(rest);
    Ok((written, default))
}

fn default_function(attribute: &Attribute, field: &[TokenTree], owner: &str) -> Result<(String, TokenStream), String> {
    let (left, kind) = split_colon(field).ok_or("`#[default(…)]` goes on a named field")?;
    let field_name = left.into_iter().last().map(|tree| tree.to_string().replace("r#", "")).unwrap_or_default();
    let name = format!("__default_{}_{field_name}", owner.to_lowercase());
    Ok((
        name.clone(),
        tokens(&format!(
            "#[doc(hidden)] fn {name}() -> {kind} {{ ::core::convert::Into::into({}) }}",
            attribute.arguments()
        )),
    ))
}
