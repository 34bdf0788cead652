//! Filters for HTML.
use crate::error::Error;
use crate::eval::print::string_of;
use crate::eval::{Args, Evaluator};
use crate::value::Value;

/// Escapes text for HTML, the only strategy there is.
pub(super) fn escape(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    if let Some(strategy) = args.optional_text(0)?.filter(|strategy| strategy != "html") {
        return Err(Error::invalid_hint(format!("`escape` has no strategy `{strategy}`"), "use `html`"));
    }
    let mut out = String::new();
    for c in string_of(input)?.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    Ok(out.into())
}

pub(super) fn nl2br(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    Ok(string_of(input)?.replace("\r\n", "\n").replace('\n', "<br />").into())
}
