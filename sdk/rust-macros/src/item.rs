//! Reading an item's tokens: attributes, and lists split at top-level commas. Knows nothing of what the attributes mean.

use proc_macro::{Delimiter, Spacing, TokenStream, TokenTree};

/// The item as it was, and an error the compiler shows.
pub fn compile_error(message: &str, item: TokenStream) -> TokenStream {
    let mut tokens: TokenStream =
        format!("::core::compile_error!({message:?});").parse().expect("a macro call with a literal");
    tokens.extend(item);
    tokens
}

/// Source text as tokens. Only for text this crate wrote.
pub fn tokens(source: &str) -> TokenStream {
    source.parse().expect("source written by this crate")
}

/// One attribute: the tokens in its brackets.
pub struct Attribute(pub TokenStream);

impl Attribute {
    /// The attribute's path, where it is one word.
    pub fn name(&self) -> String {
        self.0.clone().into_iter().next().map(|token| token.to_string()).unwrap_or_default()
    }

    /// The tokens in the parentheses behind the name.
    pub fn arguments(&self) -> TokenStream {
        match self.0.clone().into_iter().nth(1) {
            Some(TokenTree::Group(group)) => group.stream(),
            _ => TokenStream::new(),
        }
    }

    /// The text literal of a doc comment.
    pub fn doc(&self) -> Option<TokenTree> {
        if self.name() == "doc" { self.0.clone().into_iter().nth(2) } else { None }
    }

    /// The attribute as written.
    pub fn written(&self) -> TokenStream {
        let mut written = tokens("#");
        written.extend([TokenTree::Group(proc_macro::Group::new(Delimiter::Bracket, self.0.clone()))]);
        written
    }
}

/// Takes the attributes off the front of an item or a field.
pub fn split_attributes(item: TokenStream) -> (Vec<Attribute>, Vec<TokenTree>) {
    let mut attributes = Vec::new();
    let mut rest: Vec<TokenTree> = Vec::new();
    let mut trees = item.into_iter().peekable();
    while let Some(TokenTree::Punct(hash)) = trees.peek() {
        if hash.as_char() != '#' {
            break;
        }
        trees.next();
        match trees.next() {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => {
                attributes.push(Attribute(group.stream()))
            }
            other => rest.extend(other),
        }
    }
    rest.extend(trees);
    (attributes, rest)
}

/// Splits at commas that are not inside brackets of any kind, angle brackets included.
pub fn split_commas(list: TokenStream) -> Vec<TokenStream> {
    let mut parts = vec![TokenStream::new()];
    let (mut depth, mut after_dash) = (0_usize, false);
    for tree in list {
        let mut at_comma = false;
        if let TokenTree::Punct(punct) = &tree {
            match punct.as_char() {
                '<' => depth += 1,
                '>' if !after_dash => depth = depth.saturating_sub(1),
                ',' => at_comma = depth == 0,
                _ => {}
            }
            after_dash = punct.as_char() == '-' && punct.spacing() == Spacing::Joint;
        } else {
            after_dash = false;
        }
        if at_comma {
            parts.push(TokenStream::new());
        } else if let Some(part) = parts.last_mut() {
            part.extend([tree]);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Splits at the first single colon: a name (or pattern) and its type.
pub fn split_colon(part: &[TokenTree]) -> Option<(TokenStream, TokenStream)> {
    let mut in_path = false;
    for (index, tree) in part.iter().enumerate() {
        let TokenTree::Punct(punct) = tree else {
            in_path = false;
            continue;
        };
        if punct.as_char() == ':' {
            if punct.spacing() == Spacing::Joint || in_path {
                in_path = true;
                continue;
            }
            let (left, right) = part.split_at(index);
            return Some((left.iter().cloned().collect(), right.iter().skip(1).cloned().collect()));
        }
        in_path = false;
    }
    None
}
