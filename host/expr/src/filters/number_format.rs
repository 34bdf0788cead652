//! Numbers by a `DecimalFormat` pattern: `#,##0.00`, `0.#%`, `00.00E0`. Digits are rounded half to even; of a float it is the exact
//! value that lies on a half or beside it, not the digits it prints as.
use std::cmp::Ordering;

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

/// What is to be written.
pub(super) enum Given<'a> {
    Float(f64),
    /// A number in plain or exponent notation.
    Exact(&'a str),
}

pub(super) fn format(pattern: &str, number: &Given<'_>) -> Result<String, Error> {
    if pattern.len() > MAX_DIGITS {
        return Err(Error::invalid("the pattern of `numberFormat` is too long"));
    }
    let pattern = parse(pattern)?;
    let (decimal, exact) = match number {
        Given::Float(value) => {
            // Java multiplies the float, not its digits.
            let value = value * 10_f64.powi(i32::try_from(pattern.percent).unwrap_or(0));
            (format!("{value}"), exact_beside_digits(value))
        }
        Given::Exact(text) => ((*text).to_owned(), Ordering::Equal),
    };
    let (negative, mut whole, mut part) = plain(&decimal);
    if let Given::Exact(_) = number {
        for _ in 0..pattern.percent {
            let digit = if part.is_empty() { '0' } else { part.remove(0) };
            whole.push(digit);
        }
    }
    let whole_digits = pattern.min_whole.max(1);
    let exponent = pattern.exponent.map(|width| (width, to_scientific(&mut whole, &mut part, whole_digits)));
    round(&mut whole, &mut part, pattern.max_part, exact);
    let mut exponent_text = String::new();
    if let Some((width, mut exponent)) = exponent {
        // Rounded up to one digit more, which is a zero.
        if whole.len() > whole_digits {
            whole.pop();
            exponent += 1;
        }
        let sign = if exponent < 0 { "-" } else { "" };
        exponent_text = format!("E{sign}{:0width$}", exponent.unsigned_abs());
    }
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
    let point = if part.is_empty() { "" } else { "." };
    let digits = format!("{}{point}{part}{exponent_text}", grouped(&whole, pattern.group));
    // As in Java a number below zero keeps its sign when it is rounded to zero.
    Ok(match (negative, &pattern.negative) {
        (false, _) => format!("{}{digits}{}", pattern.prefix, pattern.suffix),
        (true, None) => format!("-{}{digits}{}", pattern.prefix, pattern.suffix),
        (true, Some((prefix, suffix))) => format!("{prefix}{digits}{suffix}"),
    })
}

/// Whether the exact value of a float is below, at or above the number that its shortest digits make.
fn exact_beside_digits(value: f64) -> Ordering {
    /// Digits after the point that the smallest float has.
    const ALL: usize = 1_074;
    let shortest = format!("{}", value.abs());
    let exact = format!("{:.ALL$}", value.abs());
    let parts = |text: &str| {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        (whole.len(), whole.to_owned(), part.trim_end_matches('0').to_owned())
    };
    parts(&exact).cmp(&parts(&shortest))
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
    if wrong || exponent == Some(0) {
        return Err(Error::invalid_hint(format!("`{pattern}` is no number pattern"), "an example: `#,##0.00`"));
    }
    let zeros = |text: &str| text.chars().filter(|c| *c == '0').count();
    // A pattern with a point and without any `0` still shows one digit: `#.##` the one before the point, `.##` the one after it.
    let bare = zeros(number) == 0 && number.contains('.') && digits(number) > 0;
    Ok(Pattern {
        min_whole: zeros(whole) + usize::from(bare && digits(whole) > 0),
        min_part: zeros(part) + usize::from(bare && digits(whole) == 0),
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

/// Cuts the part after the point to `places`, half to even. `exact`: where the number lies beside its digits.
fn round(whole: &mut String, part: &mut String, places: usize, exact: Ordering) {
    if part.len() <= places {
        return;
    }
    let rest = part.split_off(places);
    let last = part.chars().next_back().or_else(|| whole.chars().next_back()).unwrap_or('0');
    let odd = last.to_digit(10).unwrap_or(0) % 2 == 1;
    let half = rest.starts_with('5') && rest.get(1..).unwrap_or("").bytes().all(|digit| digit == b'0');
    let up = match (half, exact) {
        (true, Ordering::Equal) => odd,
        (true, beside) => beside.is_gt(),
        (false, _) => rest.starts_with(['5', '6', '7', '8', '9']),
    };
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
    use super::{Given, format};

    #[test]
    fn patterns_format_as_java_does() {
        for (pattern, number, expected) in [
            ("#.##", "1.232654", "1.23"),
            ("#.##", "0.5", "0.5"),
            ("#.00", "0.5", ".50"),
            (".##", "0.5", ".5"),
            (".##", "2", "2.0"),
            ("#,###.##", "0.5", "0.5"),
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
            ("0", "-0.4", "-0"),
            ("0.00", "9.999", "10.00"),
            ("'0'", "5", "05"),
            ("'0'0.0", "0", "00.0"),
            ("a'#'", "5", "a#5"),
            ("‰0", "5", "‰5000"),
            ("00.0E0", "5", "50.0E-1"),
            ("000E0", "5", "500E-2"),
            ("000E0", "0", "000E0"),
            ("0.0", "1.251", "1.3"),
            ("0.0", "1.300", "1.3"),
            ("0.0", "1.35", "1.4"),
            ("0.0", "0.05", "0.0"),
        ] {
            assert_eq!(format(pattern, &Given::Exact(number)).unwrap(), expected, "{pattern} of {number}");
        }
    }

    #[test]
    fn patterns_have_a_length() {
        assert_eq!(format(&"0".repeat(400), &Given::Exact("5")).unwrap().len(), 400);
        assert!(format(&"0".repeat(401), &Given::Exact("5")).is_err());
    }

    #[test]
    fn floats_round_by_what_they_are() {
        for (pattern, number, expected) in [
            // 2.675 and 1.015 lie below their digits, 1.115 above, 0.125 on them.
            ("0.00", 2.675, "2.67"),
            ("0.00", 1.015, "1.01"),
            ("0.00", 1.115, "1.11"),
            ("0.00", 0.125, "0.12"),
            ("0.00", 0.375, "0.38"),
            ("0.0", 0.25, "0.2"),
            ("0", -0.4, "-0"),
            // 0.285 * 100 is 28.499999999999996.
            ("0%", 0.285, "28%"),
            ("0", 1e23, "100000000000000000000000"),
            ("#,##0.###", 1234.5, "1,234.5"),
        ] {
            assert_eq!(format(pattern, &Given::Float(number)).unwrap(), expected, "{pattern} of {number}");
        }
    }
}
