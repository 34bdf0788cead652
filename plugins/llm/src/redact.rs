//! Takes out of a text whatever looks like a key. It rather takes a harmless id than leaves a key.

/// How keys of providers begin.
const PREFIXES: [&str; 14] = [
    "sk-",
    "sk_",
    "pk-",
    "gsk_",
    "hf_",
    "AIza",
    "ya29.",
    "AKIA",
    "ASIA",
    "ABSK",
    "eyJ",
    "xai-",
    "ghp_",
    "sluicesecret",
];
/// Names that a key stands behind.
const NAMES: [&str; 7] = ["key=", "api_key=", "apikey=", "api-key=", "token=", "access_token=", "secret="];
/// Shortest rest behind a prefix that is a key: `sk-` alone is a word about keys.
const REST_MIN: usize = 4;
/// An unbroken run of letters and digits of this length is no word and no model's name.
const RUN_MIN: usize = 20;
/// What hides all of a key but its ends: those are nobody's business either.
const HIDDEN: &str = "****";

/// The text with `…` in place of keys.
pub fn redacted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut behind_bearer = false;
    // Words with what separates them: spaces and quotes stay as they are.
    for piece in text.split_inclusive(|letter: char| letter.is_whitespace() || "\"'`,;()[]{}<>&?".contains(letter)) {
        let word = piece.trim_end_matches(|letter: char| letter.is_whitespace() || "\"'`,;()[]{}<>&?".contains(letter));
        let separator = piece.get(word.len()..).unwrap_or_default();
        match kept(word, behind_bearer) {
            Some(kept) => clean.push_str(&format!("{kept}…")),
            None => clean.push_str(word),
        }
        clean.push_str(separator);
        if !word.is_empty() {
            behind_bearer = word.eq_ignore_ascii_case("bearer");
        }
    }
    clean
}

/// What stays of a word that has a key in it, which is what stands before the key.
fn kept(word: &str, behind_bearer: bool) -> Option<&str> {
    if behind_bearer && !word.is_empty() && word.len() >= REST_MIN && word.bytes().any(|byte| byte.is_ascii_digit()) {
        return Some("");
    }
    let lower = word.to_ascii_lowercase();
    let named = NAMES.iter().filter_map(|name| lower.find(name).map(|at| at + name.len()));
    if let Some(end) = named.min().filter(|end| *end < word.len()) {
        return word.get(..end);
    }
    let prefixed = PREFIXES.iter().filter_map(|prefix| {
        let at = word.find(prefix)?;
        let begins = word.get(..at)?.chars().next_back().is_none_or(|before| !before.is_ascii_alphanumeric());
        (begins && word.len() - at >= prefix.len() + REST_MIN).then_some(at)
    });
    if let Some(at) = prefixed.min() {
        return word.get(..at);
    }
    if word.contains(HIDDEN) {
        return Some("");
    }
    let looks_like_key = |run: &str| {
        run.len() >= RUN_MIN
            && run.bytes().any(|byte| byte.is_ascii_digit())
            && run.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    let run =
        word.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '+').find(|run| looks_like_key(run))?;
    word.get(..word.find(run)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(redacted(text), expected);
    }

    #[test]
    fn keys_are_taken_out() {
        check("Incorrect API key provided: sk-ab***********yz. See it.", "Incorrect API key provided: … See it.");
        check("Your api key: ****9a1c is invalid (ab****yz)", "Your api key: … is invalid (…)");
        check("key 'sk-proj-a_b-c-d' is bad", "key '…' is bad");
        check("url https://host/v1?key=AIzaSyA1 failed", "url https://host/v1?key=… failed");
        check("Authorization: Bearer abc123def", "Authorization: Bearer …");
        check("(AKIAIOSFODNN7EXAMPLE)", "(…)");
        check("got 0123456789abcdef0123456789abcdef", "got …");
        check("x sluicesecret0a1b2c y", "x … y");
    }

    #[test]
    fn words_and_names_of_models_stay() {
        for text in [
            "The model `anthropic.claude-3-5-sonnet-20240620-v1:0` does not exist",
            "quota GenerateRequestsPerDayPerProjectPerModel-FreeTier, limit: 0",
            "Bearer token is missing; keys begin with sk-",
            "it is **not** a *key*",
            "  two  spaces\n\nand lines, [brackets] and \"quotes\"",
            "max_tokens: 128000 > 64000, see https://platform.openai.com/account/api-keys.",
            "größer als erlaubt: ü",
        ] {
            check(text, text);
        }
    }
}
