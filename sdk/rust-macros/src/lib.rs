//! The attributes of `sluice-sdk`. They read tokens by hand, because every plugin build compiles this crate: no parser, no quoting
//! library, and nothing that serde and schemars already do.

mod item;
mod manifest;
mod properties;
mod task;

use proc_macro::TokenStream;

/// Makes a function a task type: `#[task("com.example.hello.Hello", aliases = ["hello.Hello"])]`. Its doc comment is the type's
/// documentation: first paragraph, description, and YAML examples under their headings. Keys behind the type are methods of
/// `TaskDefinition`.
#[proc_macro_attribute]
pub fn task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    task::expand(arguments, item.clone()).unwrap_or_else(|message| item::compile_error(&message, item))
}

/// Makes a function a polling trigger type: `#[trigger("com.example.mail.Inbox")]` on
/// `fn inbox(inbox: Inbox, cursor: Option<&str>, cx: &Context) -> Result<Option<Fired<Mail>>, Failure>`. Documentation and keys as for
/// `#[task]`.
#[proc_macro_attribute]
pub fn trigger(arguments: TokenStream, item: TokenStream) -> TokenStream {
    task::expand_trigger(arguments, item.clone()).unwrap_or_else(|message| item::compile_error(&message, item))
}

/// Makes a function a provider of models: `#[provider("com.example.parrot.Parrot")]` on
/// `fn parrot(parrot: Parrot, request: Value, cx: &Context) -> Result<Value, Failure>`. Documentation and keys as for `#[task]`.
#[proc_macro_attribute]
pub fn provider(arguments: TokenStream, item: TokenStream) -> TokenStream {
    task::expand_provider(arguments, item.clone()).unwrap_or_else(|message| item::compile_error(&message, item))
}

/// Makes a struct (or an enum) the properties of a task: camel-case names, unknown ones refused, JSON Schema from the doc comments.
/// On fields: `#[secret]`, `#[render(never)]`, `#[render(later)]`, `#[default(expression)]`.
#[proc_macro_attribute]
pub fn properties(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    properties::expand(item.clone(), properties::Role::Properties)
        .unwrap_or_else(|message| item::compile_error(&message, item))
}

/// Makes a struct (or an enum) the outputs of a task: camel-case names, JSON Schema from the doc comments.
#[proc_macro_attribute]
pub fn outputs(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    properties::expand(item.clone(), properties::Role::Outputs)
        .unwrap_or_else(|message| item::compile_error(&message, item))
}

/// The text of a JSON file beside `Cargo.toml`, without its white space.
#[doc(hidden)]
#[proc_macro]
pub fn include_compact(file: TokenStream) -> TokenStream {
    manifest::include(file).unwrap_or_else(|message| item::compile_error(&message, TokenStream::new()))
}
