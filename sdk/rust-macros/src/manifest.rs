//! A committed manifest as a literal. Its white space is for reviewers; a component does not carry it.

use std::{env, fs, path::Path};

use proc_macro::{TokenStream, TokenTree};

use crate::item::tokens;

pub fn include(file: TokenStream) -> Result<TokenStream, String> {
    let Some(TokenTree::Literal(literal)) = single(file) else {
        return Err("name a file: `manifest: \"manifest.json\"`".to_owned());
    };
    let name = literal.to_string();
    let name = name.trim_matches('"');
    let folder = env::var("CARGO_MANIFEST_DIR").map_err(|_| "cargo names no folder of the package".to_owned())?;
    let path = Path::new(&folder).join(name);
    let text = fs::read_to_string(&path).map_err(|error| {
        format!("`{name}` cannot be read: {error}\nhint: make an empty file and run `SLUICE_BLESS=1 cargo test`")
    })?;
    // The second constant makes the compiler look at the file again when it changes; nothing uses it.
    Ok(tokens(&format!("{{ const _: &str = include_str!({:?}); {:?} }}", path.display().to_string(), compact(&text))))
}

/// A literal reaches a macro within an invisible group when another macro passed it on.
fn single(file: TokenStream) -> Option<TokenTree> {
    match file.into_iter().next()? {
        TokenTree::Group(group) => single(group.stream()),
        tree => Some(tree),
    }
}

/// Takes out white space that is not inside a string.
fn compact(json: &str) -> String {
    let (mut text, mut in_string, mut escaped) = (String::with_capacity(json.len()), false, false);
    for letter in json.chars() {
        if in_string || !letter.is_ascii_whitespace() {
            text.push(letter);
        }
        match letter {
            '"' if !escaped => in_string = !in_string,
            '\\' if in_string => escaped = !escaped,
            _ => {}
        }
        if letter != '\\' {
            escaped = false;
        }
    }
    text
}
