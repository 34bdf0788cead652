//! Numbers that `i64` and `f64` cannot carry exactly, or whose Java type was asked for by name: text with a type tag.
//! Arithmetic on them is in `ops`; nothing here rounds.
use std::fmt;
use std::sync::Arc;

/// An exact number in decimal notation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Number {
    kind: Kind,
    text: Arc<str>,
}

/// Which type the number has where types show (`className`, `toIon`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A 64-bit integer that a 32-bit one could also hold.
    Long,
    Float32,
    BigInteger,
    BigDecimal,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Long => "long",
            Kind::Float32 => "float32",
            Kind::BigInteger => "integer",
            Kind::BigDecimal => "decimal",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Kind::Long, Kind::Float32, Kind::BigInteger, Kind::BigDecimal].into_iter().find(|kind| kind.name() == name)
    }
}

impl Number {
    /// `None` when `text` is no finite decimal number of that kind.
    pub fn new(kind: Kind, text: &str) -> Option<Self> {
        let valid = match kind {
            Kind::Long => text.parse::<i64>().is_ok(),
            Kind::Float32 => text.parse::<f32>().is_ok_and(f32::is_finite),
            Kind::BigInteger => is_integer(text),
            Kind::BigDecimal => is_decimal(text),
        };
        valid.then(|| Number { kind, text: text.strip_prefix('+').unwrap_or(text).into() })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn as_f64(&self) -> f64 {
        match self.kind {
            // A Java float widened to double shows the digits the float had no room for.
            Kind::Float32 => f64::from(self.text.parse::<f32>().unwrap_or(0.0)),
            _ => self.text.parse().unwrap_or(0.0),
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        self.text.parse().ok()
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let mantissa = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !(whole.is_empty() && part.is_empty()) && digits(whole) && digits(part) && is_integer(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 4] = [Kind::Long, Kind::Float32, Kind::BigInteger, Kind::BigDecimal];

    #[test]
    fn kinds_have_names() {
        assert_eq!(KINDS.map(Kind::name), ["long", "float32", "integer", "decimal"]);
        assert_eq!(KINDS.map(|kind| Kind::from_name(kind.name())), KINDS.map(Some));
        assert_eq!(Kind::from_name("double"), None);
    }

    #[test]
    fn each_kind_takes_its_numbers() {
        let taken = |text: &str| KINDS.map(|kind| Number::new(kind, text).is_some());
        for (text, wanted) in [
            ("12", [true, true, true, true]),
            ("-12", [true, true, true, true]),
            ("+12", [true, true, true, true]),
            ("12345678901234567890", [false, true, true, true]),
            ("1.5", [false, true, false, true]),
            ("1.", [false, true, false, true]),
            (".5", [false, true, false, true]),
            ("-1.5E-3", [false, true, false, true]),
            ("1e+400", [false, false, false, true]),
            ("NaN", [false; 4]),
            ("inf", [false; 4]),
            ("", [false; 4]),
            ("-", [false; 4]),
            (".", [false; 4]),
            ("1e", [false; 4]),
            ("1e1.5", [false; 4]),
            ("1a", [false; 4]),
            ("1.a", [false; 4]),
            ("a.1", [false; 4]),
            ("--1", [false; 4]),
        ] {
            assert_eq!(taken(text), wanted, "{text}");
        }
    }

    #[test]
    fn numbers_are_read_back() {
        let number = |kind, text| Number::new(kind, text).unwrap();
        let decimal = number(Kind::BigDecimal, "+1.50");
        assert_eq!(
            (decimal.as_str(), decimal.to_string().as_str(), decimal.kind()),
            ("1.50", "1.50", Kind::BigDecimal)
        );
        assert_eq!((decimal.as_f64(), decimal.as_i64()), (1.5, None));
        assert_eq!(number(Kind::Float32, "0.1").as_f64(), f64::from(0.1_f32));
        assert_eq!(number(Kind::BigDecimal, "0.1").as_f64(), 0.1);
        assert_eq!(number(Kind::BigInteger, "-7").as_i64(), Some(-7));
    }
}
