//! Arithmetic on decimals as `java.math.BigDecimal` does it after each side went through a float: sums, products
//! and remainders are exact, quotients have 34 digits, and the digits after the point show where they came from (`2.0 * 3.0` is `6.00`).
use std::fmt::Write;

use crate::json::float_text;
use crate::parse::ast::Binary;

/// Digits of a quotient (IEEE 754 decimal128). A product of two floats, which have 17 at most, never has more.
const DIGITS: u32 = 34;

/// `unscaled * 10^-scale`.
#[derive(Clone, Copy)]
struct Decimal {
    unscaled: i128,
    scale: i64,
}

/// The result in plain or exponent notation; `None` where its digits do not fit, or for a division by zero.
pub(super) fn calculate(operator: Binary, a: f64, b: f64) -> Option<String> {
    let (a, b) = (Decimal::of(a)?, Decimal::of(b)?);
    let result = match operator {
        Binary::Add => a.add(b)?,
        Binary::Subtract => a.add(Decimal { unscaled: -b.unscaled, ..b })?,
        Binary::Multiply => Decimal { unscaled: a.unscaled.checked_mul(b.unscaled)?, scale: a.scale + b.scale },
        Binary::Divide => a.divide(b)?,
        _ => a.remainder(b)?,
    };
    Some(result.text())
}

impl Decimal {
    /// The digits that a float prints as.
    fn of(value: f64) -> Option<Self> {
        let text = float_text(value);
        let (mantissa, exponent) = text.split_once('E').unwrap_or((&text, "0"));
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let unscaled = format!("{whole}{part}").parse().ok()?;
        Some(Self { unscaled, scale: part.len() as i64 - exponent.parse::<i64>().ok()? })
    }

    /// The same number with more digits after the point.
    fn with_scale(self, scale: i64) -> Option<i128> {
        let more = u32::try_from(scale - self.scale).ok()?;
        self.unscaled.checked_mul(10_i128.checked_pow(more)?)
    }

    fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let unscaled = self.with_scale(scale)?.checked_add(other.with_scale(scale)?)?;
        Some(Self { unscaled, scale })
    }

    /// Cut to 34 digits, half to even; `more`: digits that are not zero follow.
    fn rounded(self, more: bool) -> Self {
        let Self { mut unscaled, mut scale } = self;
        while unscaled.unsigned_abs() >= 10_u128.pow(DIGITS) {
            let surplus = unscaled.unsigned_abs().to_string().len() as u32 - DIGITS;
            let unit = 10_i128.pow(surplus);
            let (kept, cut) = (unscaled / unit, (unscaled % unit).unsigned_abs());
            let half = unit.unsigned_abs() / 2;
            let up = cut > half || (cut == half && (more || kept % 2 != 0));
            unscaled = kept + if up { self.unscaled.signum() } else { 0 };
            scale -= i64::from(surplus);
        }
        Self { unscaled, scale }
    }

    fn divide(self, other: Self) -> Option<Self> {
        if other.unscaled == 0 {
            return None;
        }
        let (mut quotient, mut rest) = (self.unscaled / other.unscaled, self.unscaled % other.unscaled);
        let mut scale = self.scale - other.scale;
        // One digit more than is kept, to round by.
        while rest != 0 && quotient.unsigned_abs() < 10_u128.pow(DIGITS) {
            let next = rest.checked_mul(10)?;
            quotient = quotient * 10 + next / other.unscaled;
            rest = next % other.unscaled;
            scale += 1;
        }
        Some(Self { unscaled: quotient, scale }.rounded(rest != 0))
    }

    fn remainder(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let unscaled = self.with_scale(scale)?.checked_rem(other.with_scale(scale)?)?;
        Some(Self { unscaled, scale })
    }

    /// As `BigDecimal.toString`: an exponent where zeros would have to be made up, or stand in long rows behind the point.
    fn text(self) -> String {
        let digits = self.unscaled.unsigned_abs().to_string();
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let first = digits.len() as i64 - 1 - self.scale;
        if self.scale == 0 {
            return format!("{sign}{digits}");
        }
        if self.scale > 0 && first >= -6 {
            let scale = usize::try_from(self.scale).unwrap_or(0);
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, part) = padded.split_at(padded.len() - scale);
            return format!("{sign}{whole}.{part}");
        }
        let (whole, part) = digits.split_at(1);
        let mut text = format!("{sign}{whole}");
        if !part.is_empty() {
            text.push('.');
            text.push_str(part);
        }
        let mark = if first > 0 { "+" } else { "" };
        write!(text, "E{mark}{first}").expect("writing to a string does not fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::calculate;
    use crate::parse::ast::Binary::{Add, Divide, Multiply, Remainder, Subtract};

    #[test]
    fn decimals_calculate_as_in_java() {
        for (operator, a, b, expected) in [
            (Add, 0.1, 0.2, Some("0.3")),
            (Add, 1.0, 1.0, Some("2.0")),
            (Add, 1e10, 1.0, Some("10000000001.0")),
            (Subtract, 1.0, 0.9, Some("0.1")),
            (Subtract, 1.0, 1.0, Some("0.0")),
            (Multiply, 1.1, 1.1, Some("1.21")),
            (Multiply, 2.0, 3.0, Some("6.00")),
            (Multiply, 1e300, 2.0, Some("2.00E+300")),
            (Multiply, 1.2345678901234567, 1.2345678901234567, Some("1.52415787532388345526596755677489")),
            (Divide, 1.0, 3.0, Some("0.3333333333333333333333333333333333")),
            (Divide, 2.0, 3.0, Some("0.6666666666666666666666666666666667")),
            (Divide, -2.0, 3.0, Some("-0.6666666666666666666666666666666667")),
            (Divide, 6.0, 3.0, Some("2")),
            (Divide, 1.0, 8.0, Some("0.125")),
            (Divide, 1.0, 0.0, None),
            (Remainder, 7.5, 2.0, Some("1.5")),
            (Remainder, 1.0, 0.0, None),
            (Multiply, 1e-5, 1e-5, Some("1.00E-10")),
            (Multiply, 1e-5, 0.1, Some("0.0000010")),
            (Multiply, 1e-6, 0.1, Some("1.0E-7")),
            (Multiply, 1.25e10, 1e10, Some("1.250E+20")),
            (Subtract, 1e20, 1.0, Some("99999999999999999999.0")),
            (Subtract, 0.001, 1.0, Some("-0.999")),
            (Remainder, 7.25, 0.5, Some("0.25")),
            (Remainder, -7.5, 2.0, Some("-1.5")),
            (Divide, 60.0, 3.0, Some("20")),
            (Divide, 5.0, 100.0, Some("0.05")),
            (Divide, 0.125, 0.5, Some("0.25")),
            (Divide, 1e20, 2.0, Some("5E+19")),
            // A half goes to the even digit, and up where more follows; a zero at the end stays.
            (Divide, 1.0, 562949953421312.0, Some("1.776356839400250464677810668945312E-15")),
            (Divide, 3.0, 562949953421312.0, Some("5.329070518200751394033432006835938E-15")),
            (Divide, -3.0, 562949953421312.0, Some("-5.329070518200751394033432006835938E-15")),
            (Divide, 1.0, 7.0, Some("0.1428571428571428571428571428571429")),
            (Divide, 6.0, 7.0, Some("0.8571428571428571428571428571428571")),
            (Divide, 13.0, 21.0, Some("0.6190476190476190476190476190476190")),
            (Divide, 26.0, 27.0, Some("0.9629629629629629629629629629629630")),
            (Add, 1e300, 1.0, None),
        ] {
            assert_eq!(calculate(operator, a, b).as_deref(), expected, "{a} {b}");
        }
    }
}
