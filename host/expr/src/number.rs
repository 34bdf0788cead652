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
