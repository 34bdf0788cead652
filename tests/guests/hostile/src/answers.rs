//! What comes in and what goes out: the texts of the property `with`, an answer, a failure with the host's own words.

use crate::exports::sluice::task::run::Failure;
use crate::sluice::host::errors::Error;

pub type Answer = Result<String, Failure>;

pub fn failed(code: &str, cause: impl std::fmt::Display) -> Failure {
    Failure { code: code.to_owned(), message: cause.to_string(), retryable: Some(false), details: None }
}

pub fn refused(error: Error) -> Failure {
    failed(&error.code, error.message)
}

/// An error that is an enum, by its name (`not-permitted`), or a variant, by its own (`HttpRequestDenied`).
pub fn variant(error: impl std::fmt::Debug) -> Failure {
    let shown = format!("{error:?}");
    let named = shown.split_once("name: \"").and_then(|(_, rest)| rest.split('"').next());
    let last = shown.rsplit_once("::").map_or(shown.as_str(), |(_, name)| name);
    let code = named.or_else(|| last.split(['(', ' ', '{']).next()).unwrap_or(last);
    failed(code, &shown)
}

pub fn number(text: Option<&&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for sign in text.chars() {
        match sign {
            '"' | '\\' => json.extend(['\\', sign]),
            sign if sign.is_control() => json.push_str(&format!("\\u{:04x}", sign as u32)),
            sign => json.push(sign),
        }
    }
    json.push('"');
    json
}

/// The texts of `"with":[…]` in the JSON of the properties.
pub fn texts(input: &str) -> Vec<String> {
    let Some((_, list)) = input.split_once("\"with\":[") else { return Vec::new() };
    let (mut texts, mut signs) = (Vec::new(), list.chars());
    while let Some(sign) = signs.next() {
        match sign {
            '"' => texts.push(one(&mut signs)),
            ']' => break,
            _ => {}
        }
    }
    texts
}

fn one(signs: &mut std::str::Chars<'_>) -> String {
    let mut text = String::new();
    while let Some(sign) = signs.next() {
        match sign {
            '"' => break,
            '\\' => match signs.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some('u') => {
                    let code: String = signs.by_ref().take(4).collect();
                    text.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
                }
                Some(other) => text.push(other),
                None => break,
            },
            other => text.push(other),
        }
    }
    text
}
