//! What a template is going to ask for, as far as its text tells: found without evaluating anything.

use std::sync::Arc;

use crate::parse;
use crate::parse::token::{Kind, Token, tokenize};
use crate::source::Source;

/// The texts that calls of a function have as their first argument, as in `secret('API_KEY')`, and whether each such call in the template
/// tells it: an argument that is worked out when the template is evaluated does not. Nothing for what is no template.
pub fn first_arguments(template: &str, function: &str) -> (Vec<Arc<str>>, bool) {
    let mut found = Vec::new();
    let mut all_tell = true;
    if parse::is_literal(template) {
        return (found, all_tell);
    }
    let Ok(tokens) = tokenize(&Source(template.into())) else { return (found, all_tell) };
    let kinds: Vec<&Kind> = tokens.iter().map(|Token { kind, .. }| kind).collect();
    for (at, kind) in kinds.iter().enumerate() {
        let is_call = matches!(kind, Kind::Name(name) if **name == *function)
            && kinds.get(at + 1) == Some(&&Kind::Punctuation('('));
        if !is_call {
            continue;
        }
        // Named or not: `secret(key='X')`.
        let argument = match kinds.get(at + 2..).unwrap_or_default() {
            [Kind::Name(_), Kind::Punctuation('='), rest @ ..] => rest,
            rest => rest,
        };
        match argument {
            [Kind::Quoted(text), Kind::Punctuation(',' | ')'), ..] => found.push(text.clone()),
            _ => all_tell = false,
        }
    }
    (found, all_tell)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: &[&str], all_tell: bool) {
        let (found, tell) = first_arguments(template, "secret");
        assert_eq!((found.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), tell), (expected.to_vec(), all_tell));
    }

    #[test]
    fn calls_tell_what_they_ask_for() {
        check("no template: secret('A')", &[], true);
        check("Bearer {{ secret('A') }} {{ secret( \"B\" , 'x') | upper }}", &["A", "B"], true);
        check("{{ secret(key = 'A') }}", &["A"], true);
        check("{% if secret('A') == \"secret('B')\" %}x{% endif %}", &["A"], true);
        check("{{ secret('A' ~ inputs.x) }}", &[], false);
        check("{{ secret(inputs.x) }}{{ secrets('A') }}", &[], false);
        check("{{ secret", &[], true);
    }
}
