//! Numbers by a `DecimalFormat` pattern: `#,##0.00`, `0.#%`, `00.00E0`. Digits are rounded half to even.
use crate::error::Error;

/// Digits a pattern may ask for: more is a slip or an attack.
const MAX_DIGITS: usize = 400;

struct Pattern {
    prefix: String,
    suffix: String,
    min_whole: usize,
    min_part: usize,
    max_part: usize,
    group: usize,
    percent: u32,
    /// Digits of the exponent.
    exponent: Option<usize>,
    negative: Option<(String, String)>,
}

/// `decimal` is a number in plain or exponent notation.
pub(super) fn format(pattern: &str, decimal: &str) -> Result<String, Error> {
    if pattern.len() > MAX_DIGITS {
        return Err(Error::invalid("the pattern of `numberFormat` is too long"));
    }
    let pattern = parse(pattern)?;
    let (negative, mut whole, mut part) = plain(decimal);
    for _ in 0..pattern.percent {
        let digit = if part.is_empty() { '0' } else { part.remove(0) };
        whole.push(digit);
    }
    let mut exponent_text = String::new();
    if let Some(width) = pattern.exponent {
        let exponent = to_scientific(&mut whole, &mut part, pattern.min_whole.max(1));
        let sign = if exponent < 0 { "-" } else { "" };
        exponent_text = format!("E{sign}{:0width$}", exponent.unsigned_abs());
    }
    round(&mut whole, &mut part, pattern.max_part);
    let whole = whole.trim_start_matches('0');
    while part.len() > pattern.min_part && part.ends_with('0') {
        part.pop();
    }
    while part.len() < pattern.min_part {
        part.push('0');
    }
    let mut whole = format!("{:0>width$}", whole, width = pattern.min_whole.max(whole.len()));
    if whole.is_empty() && part.is_empty() {
        whole.push('0');
    }
    let zero = whole.bytes().chain(part.bytes()).all(|digit| digit == b'0');
    let point = if part.is_empty() { "" } else { "." };
    let digits = format!("{}{point}{part}{exponent_text}", grouped(&whole, pattern.group));
    Ok(match (negative && !zero, &pattern.negative) {
        (false, _) => format!("{}{digits}{}", pattern.prefix, pattern.suffix),
        (true, None) => format!("-{}{digits}{}", pattern.prefix, pattern.suffix),
        (true, Some((prefix, suffix))) => format!("{prefix}{digits}{suffix}"),
    })
}

fn parse(pattern: &str) -> Result<Pattern, Error> {
    let (positive, negative) = split_unquoted(pattern);
    let (prefix, body, suffix) = affixes(positive);
    let percent = match () {
        () if prefix.contains('%') || suffix.contains('%') => 2,
        () if prefix.contains('‰') || suffix.contains('‰') => 3,
        () => 0,
    };
    let (number, exponent) = match body.split_once('E') {
        Some((number, zeros)) => (number, Some(zeros.len())),
        None => (body, None),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.chars().filter(|c| matches!(c, '0' | '#')).count();
    let wrong = whole.trim_start_matches(['#', ',']).contains('#') || part.trim_start_matches('0').contains('0');
    if wrong || exponent == Some(0) || (body.is_empty() && !pattern.is_empty() && digits(pattern) > 0) {
        return Err(Error::invalid_hint(format!("`{pattern}` is no number pattern"), "an example: `#,##0.00`"));
    }
    let zeros = |text: &str| text.chars().filter(|c| *c == '0').count();
    Ok(Pattern {
        min_whole: zeros(whole),
        min_part: zeros(part),
        max_part: digits(part),
        group: whole.rsplit_once(',').map_or(0, |(_, last)| digits(last)),
        percent,
        exponent,
        negative: negative.map(|negative| {
            let (prefix, _, suffix) = affixes(negative);
            (prefix, suffix)
        }),
        prefix,
        suffix,
    })
}

/// The positive and the negative half of a pattern.
fn split_unquoted(pattern: &str) -> (&str, Option<&str>) {
    let mut quoted = false;
    for (at, c) in pattern.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            ';' if !quoted => {
                let (positive, negative) = pattern.split_at(at);
                return (positive, negative.strip_prefix(';'));
            }
            _ => {}
        }
    }
    (pattern, None)
}

/// Text before the digits, the digits, text after them; quotes taken off.
fn affixes(pattern: &str) -> (String, &str, String) {
    let is_digit = |c: char| matches!(c, '0' | '#' | ',' | '.');
    let mut quoted = false;
    let start = pattern.char_indices().find(|(_, c)| {
        quoted ^= *c == '\'';
        !quoted && is_digit(*c)
    });
    let start = start.map_or(pattern.len(), |(at, _)| at);
    let (prefix, rest) = pattern.split_at(start);
    let end = rest.find(|c: char| !is_digit(c) && c != 'E').unwrap_or(rest.len());
    let (body, suffix) = rest.split_at(end);
    let plain = |text: &str| text.replace("''", "\u{0}").replace('\'', "").replace('\u{0}', "'").replace('¤', "$");
    (plain(prefix), body, plain(suffix))
}

/// Sign, digits before and after the point.
fn plain(decimal: &str) -> (bool, String, String) {
    let lower = decimal.to_ascii_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let negative = mantissa.starts_with('-');
    let (whole, part) = mantissa
        .trim_start_matches(['-', '+'])
        .split_once('.')
        .unwrap_or((mantissa.trim_start_matches(['-', '+']), ""));
    let (mut whole, mut part) = (whole.to_owned(), part.to_owned());
    let exponent = exponent.parse::<i32>().unwrap_or(0).clamp(-400, 400);
    for _ in 0..exponent.max(0) {
        let digit = if part.is_empty() { '0' } else { part.remove(0) };
        whole.push(digit);
    }
    for _ in 0..(-exponent).max(0) {
        let digit = whole.pop().unwrap_or('0');
        part.insert(0, digit);
    }
    (negative, whole, part)
}

/// Moves the point behind the first `width` digits that count, and says how far.
fn to_scientific(whole: &mut String, part: &mut String, width: usize) -> i64 {
    let all = format!("{whole}{part}");
    let leading = all.len() - all.trim_start_matches('0').len();
    if leading == all.len() {
        return 0;
    }
    let exponent = whole.len() as i64 - leading as i64 - width as i64;
    let mut digits = all.trim_start_matches('0').to_owned();
    while digits.len() < width {
        digits.push('0');
    }
    *part = digits.split_off(width);
    *whole = digits;
    exponent
}

/// Cuts the part after the point to `places`, half to even.
fn round(whole: &mut String, part: &mut String, places: usize) {
    if part.len() <= places {
        return;
    }
    let rest = part.split_off(places);
    let last = part.chars().next_back().or_else(|| whole.chars().next_back()).unwrap_or('0');
    let odd = last.to_digit(10).unwrap_or(0) % 2 == 1;
    let half = rest.starts_with('5') && rest.get(1..).unwrap_or("").bytes().all(|digit| digit == b'0');
    let up = if half { odd } else { rest.starts_with(['5', '6', '7', '8', '9']) };
    if !up {
        return;
    }
    let mut digits: Vec<u8> = whole.bytes().chain(part.bytes()).collect();
    let mut carry = true;
    for digit in digits.iter_mut().rev() {
        if carry {
            carry = *digit == b'9';
            *digit = if carry { b'0' } else { *digit + 1 };
        }
    }
    let mut text: String = digits.into_iter().map(char::from).collect();
    if carry {
        text.insert(0, '1');
    }
    *part = text.split_off(text.len() - places);
    *whole = text;
}

fn grouped(whole: &str, group: usize) -> String {
    if group == 0 {
        return whole.to_owned();
    }
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(group) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn patterns_format_as_java_does() {
        for (pattern, number, expected) in [
            ("#.##", "1.232654", "1.23"),
            ("#.##", "0.5", ".5"),
            ("0.##", "0.5", "0.5"),
            ("#,##0.00", "1234567.891", "1,234,567.89"),
            ("0", "2.5", "2"),
            ("0", "3.5", "4"),
            ("00.0", "1.25", "01.2"),
            ("0%", "0.256", "26%"),
            ("0.0E0", "12345", "1.2E4"),
            ("$#,##0.00", "-5", "-$5.00"),
            ("0;(0)", "-7", "(7)"),
            ("#", "0", "0"),
            ("0.00", "9.999", "10.00"),
        ] {
            assert_eq!(format(pattern, number).unwrap(), expected, "{pattern} of {number}");
        }
    }
}
