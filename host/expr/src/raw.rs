//! Raw tags in text that is rendered again and again: kept until the end, then taken off here.
use crate::text::{Span, Text};

/// Takes raw tags off, leaving what they enclose.
pub(crate) fn strip(text: &Text) -> Text {
    Text::from_spans(text.spans().map(|span| match span.as_ref() {
        Span::Plain(plain) => Span::Plain(strip_str(plain).into()),
        secret => secret.clone(),
    }))
}

fn strip_str(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        match tag_end(tag, &["raw", "endraw", "verbatim", "endverbatim"]) {
            Some(end) => rest = tag.get(end..).unwrap_or(""),
            None => {
                out.push_str("{%");
                rest = tag.get(2..).unwrap_or("");
            }
        }
    }
    out.push_str(rest);
    out
}

/// Where a tag with one of these names ends, if `text` starts with one.
fn tag_end(text: &str, names: &[&str]) -> Option<usize> {
    let inside = text.strip_prefix("{%")?.trim_start_matches('-').trim_start();
    names.iter().find_map(|name| {
        let after = inside.strip_prefix(name)?.trim_start().trim_start_matches('-').strip_prefix("%}")?;
        Some(text.len() - after.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_tags_are_taken_off_alone() {
        for (text, wanted) in [
            ("a{% raw %}{{ b }}{% endraw %}c", "a{{ b }}c"),
            ("{%- verbatim -%} x {%endverbatim%}", " x "),
            ("{% raw", "{% raw"),
            ("{% rawly %}{% x %}{%", "{% rawly %}{% x %}{%"),
            ("{% if %}{% raw %}", "{% if %}"),
        ] {
            assert_eq!(strip(&text.into()), wanted.into());
        }
        let secret = Text::secret("S", "{% raw %}");
        assert_eq!(strip(&secret).reveal().unwrap(), "{% raw %}");
    }
}
