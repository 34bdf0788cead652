//! Java's date patterns (`yyyy-MM-dd HH:mm`), to write and to read dates. Letters that are not here are an error.
use jiff::civil::{Date, DateTime, Time as Clock, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{ToSpan, Zoned};

use super::names::{self, Names};
use crate::error::Error;

/// Bytes of a pattern; the longest in use are a tenth of it.
const MAX_BYTES: usize = 500;

/// Where weeks are counted as in the US; elsewhere as in ISO 8601. A locale without a region is taken for the US.
const SUNDAY_REGIONS: [&str; 20] = [
    "US", "BR", "CA", "CO", "HK", "ID", "IL", "IN", "JP", "KE", "KR", "MX", "PE", "PH", "PK", "SG", "TH", "TW", "VE",
    "ZA",
];

#[derive(Debug, PartialEq)]
enum Item {
    Literal(String),
    Field(char, usize),
    OptionalStart,
    OptionalEnd,
}

/// A parsed pattern and the language it is written in.
pub(crate) struct Pattern<'a> {
    items: Vec<Item>,
    source: &'a str,
    names: &'static Names,
    /// Weeks begin on Sunday, and the first is the one with the first of January.
    us_weeks: bool,
}

impl<'a> Pattern<'a> {
    pub fn new(source: &'a str, locale: &str) -> Result<Self, Error> {
        let items = items(source)?;
        let region = locale.split(['_', '-']).nth(1).unwrap_or("US");
        let us_weeks = SUNDAY_REGIONS.contains(&region);
        Ok(Pattern { items, source, names: names::of(locale), us_weeks })
    }

    pub fn format(&self, time: &Zoned) -> Result<String, Error> {
        let mut out = String::new();
        for item in &self.items {
            match item {
                Item::Literal(text) => out.push_str(text),
                Item::Field(letter, count) => self.field(&mut out, time, *letter, *count)?,
                Item::OptionalStart | Item::OptionalEnd => {}
            }
        }
        Ok(out)
    }

    fn field(&self, out: &mut String, time: &Zoned, letter: char, count: usize) -> Result<(), Error> {
        let pad = |number: i64| format!("{number:0count$}");
        let day_number = i64::from(time.weekday().to_monday_zero_offset());
        let name = |list: &[&'static str], index: i64| {
            usize::try_from(index).ok().and_then(|index| list.get(index)).copied().unwrap_or("").to_owned()
        };
        let month = i64::from(time.month()) - 1;
        let hour = i64::from(time.hour());
        let nanos = i64::from(time.subsec_nanosecond());
        let text = match (letter, count) {
            ('G', 1..=3) => "AD".into(),
            ('G', 4) => "Anno Domini".into(),
            ('G', _) => "A".into(),
            ('y' | 'u', 2) => format!("{:02}", time.year().rem_euclid(100)),
            ('y' | 'u', _) => pad(time.year().into()),
            ('Y', _) => {
                let year = self.week(time.date()).1;
                if count == 2 { format!("{:02}", year.rem_euclid(100)) } else { pad(year.into()) }
            }
            ('w', _) => pad(self.week(time.date()).0),
            ('W', _) => {
                let first = time.date().first_of_month();
                let start = if self.us_weeks {
                    first.weekday().to_sunday_zero_offset()
                } else {
                    first.weekday().to_monday_zero_offset()
                };
                // An ISO month begins with its first week of four days; the days before are in week 0.
                let skipped = i64::from(!self.us_weeks && start > 3);
                pad((i64::from(time.day()) - 1 + i64::from(start)) / 7 + 1 - skipped)
            }
            ('M' | 'L', 1 | 2) => pad(month + 1),
            ('M' | 'L', 3) => name(&self.names.months_short, month),
            ('M' | 'L', 4) => name(&self.names.months, month),
            ('M' | 'L', _) => name(&self.names.months, month).chars().take(1).collect::<String>().to_uppercase(),
            ('d', _) => pad(time.day().into()),
            ('D', _) => pad(time.day_of_year().into()),
            ('Q' | 'q', 1 | 2) => pad(month / 3 + 1),
            ('Q' | 'q', 3) => format!("Q{}", month / 3 + 1),
            ('Q' | 'q', 5) => (month / 3 + 1).to_string(),
            ('Q' | 'q', _) => format!("{} quarter", name(&["1st", "2nd", "3rd", "4th"], month / 3)),
            ('e' | 'c', 1 | 2) if self.us_weeks => pad(time.weekday().to_sunday_one_offset().into()),
            ('e' | 'c', 1 | 2) => pad(day_number + 1),
            ('E' | 'e' | 'c', 1..=3) => name(&self.names.days_short, day_number),
            ('E' | 'e' | 'c', 4) => name(&self.names.days, day_number),
            ('E' | 'e' | 'c', _) => {
                name(&self.names.days, day_number).chars().take(1).collect::<String>().to_uppercase()
            }
            ('F', _) => pad((i64::from(time.day()) - 1) / 7 + 1),
            ('a', _) => {
                if hour < 12 {
                    "AM".into()
                } else {
                    "PM".into()
                }
            }
            ('H', _) => pad(hour),
            ('k', _) => pad(if hour == 0 { 24 } else { hour }),
            ('K', _) => pad(hour % 12),
            ('h', _) => pad(if hour % 12 == 0 { 12 } else { hour % 12 }),
            ('m', _) => pad(time.minute().into()),
            ('s', _) => pad(time.second().into()),
            ('S', 1..=9) => format!("{nanos:09}").chars().take(count).collect(),
            ('A', _) => pad(of_day(time) / 1_000_000),
            ('n', _) => pad(nanos),
            ('N', _) => pad(of_day(time)),
            ('V', 2) => zone_id(time),
            ('z' | 'v', 1..=3) => time.strftime("%Z").to_string(),
            ('z' | 'v', _) => zone_id(time),
            ('O', 1) => gmt(time.offset(), false),
            ('O', _) => gmt(time.offset(), true),
            ('X', count @ 1..=5) => offset(time.offset(), count, true),
            ('x', count @ 1..=5) => offset(time.offset(), count, false),
            ('Z', 1..=3) => offset(time.offset(), 2, false),
            ('Z', 4) => gmt(time.offset(), true),
            ('Z', _) => offset(time.offset(), 5, true),
            _ => return Err(self.unknown(letter, count)),
        };
        out.push_str(&text);
        Ok(())
    }

    fn unknown(&self, letter: char, count: usize) -> Error {
        let shown: String = std::iter::repeat_n(letter, count.min(20)).collect();
        Error::invalid_hint(
            format!("`{shown}` in date pattern `{}` is not known", self.source),
            "an example: `yyyy-MM-dd HH:mm:ss`; put plain letters between `'`",
        )
    }

    /// Number of the week, and the year it belongs to.
    fn week(&self, date: Date) -> (i64, i16) {
        if !self.us_weeks {
            let week = date.iso_week_date();
            return (week.week().into(), week.year());
        }
        let into_week = i64::from(date.weekday().to_sunday_zero_offset());
        let end = date.checked_add((6 - into_week).days()).unwrap_or(date);
        if end.year() != date.year() {
            return (1, end.year());
        }
        let first = Weekday::to_sunday_zero_offset(date.first_of_year().weekday());
        ((i64::from(date.day_of_year()) - 1 + i64::from(first)) / 7 + 1, date.year())
    }
}

fn items(source: &str) -> Result<Vec<Item>, Error> {
    if source.len() > MAX_BYTES {
        return Err(Error::invalid("the date pattern is too long"));
    }
    let mut items = Vec::new();
    let mut literal = String::new();
    let mut chars = source.chars().peekable();
    let flush = |literal: &mut String, items: &mut Vec<Item>| {
        if !literal.is_empty() {
            items.push(Item::Literal(std::mem::take(literal)));
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                literal.push('\'');
            }
            '\'' => loop {
                match chars.next() {
                    Some('\'') if chars.peek() == Some(&'\'') => {
                        chars.next();
                        literal.push('\'');
                    }
                    Some('\'') => break,
                    Some(c) => literal.push(c),
                    None => return Err(Error::invalid(format!("date pattern `{source}` lacks a closing `'`"))),
                }
            },
            'a'..='z' | 'A'..='Z' => {
                flush(&mut literal, &mut items);
                let mut count = 1;
                while chars.peek() == Some(&c) {
                    chars.next();
                    count += 1;
                }
                items.push(Item::Field(c, count));
            }
            '[' | ']' => {
                flush(&mut literal, &mut items);
                items.push(if c == '[' { Item::OptionalStart } else { Item::OptionalEnd });
            }
            '{' | '}' | '#' => return Err(Error::invalid(format!("`{c}` in date pattern `{source}` is reserved"))),
            other => literal.push(other),
        }
    }
    flush(&mut literal, &mut items);
    Ok(items)
}

fn of_day(time: &Zoned) -> i64 {
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    seconds * 1_000_000_000 + i64::from(time.subsec_nanosecond())
}

pub(super) fn zone_id(time: &Zoned) -> String {
    match time.time_zone().iana_name() {
        Some(name) => name.to_owned(),
        None => super::offset_text(time.offset()),
    }
}

fn gmt(offset: Offset, long: bool) -> String {
    let seconds = offset.seconds();
    let (sign, all) = (if seconds.is_negative() { '-' } else { '+' }, seconds.unsigned_abs());
    let rest = match all % 60 {
        0 => String::new(),
        rest => format!(":{rest:02}"),
    };
    match (seconds, long) {
        (0, _) => "GMT".into(),
        (_, true) => format!("GMT{sign}{:02}:{:02}{rest}", all / 3600, all / 60 % 60),
        (_, false) if all % 3600 == 0 => format!("GMT{sign}{}", all / 3600),
        (_, false) => format!("GMT{sign}{}:{:02}{rest}", all / 3600, all / 60 % 60),
    }
}

/// Widths 1 to 5 as for `X`: `+02`, `+0200`, `+02:00`, and with seconds where there are some.
fn offset(offset: Offset, width: usize, z_for_zero: bool) -> String {
    let seconds = offset.seconds();
    if seconds == 0 && z_for_zero {
        return "Z".into();
    }
    let (sign, all) = (if seconds.is_negative() { '-' } else { '+' }, seconds.unsigned_abs());
    let (hours, minutes, rest) = (all / 3600, all / 60 % 60, all % 60);
    let colon = if width == 3 || width == 5 { ":" } else { "" };
    let mut text = format!("{sign}{hours:02}");
    if width > 1 || minutes > 0 {
        text.push_str(&format!("{colon}{minutes:02}"));
    }
    if width > 3 && rest > 0 {
        text.push_str(&format!("{colon}{rest:02}"));
    }
    text
}

/// What a text said about a point in time.
#[derive(Default, Clone)]
struct Fields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    half_hour: Option<i64>,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    nanos: Option<i64>,
    zone: Option<TimeZone>,
}

impl Pattern<'_> {
    /// Reads a text; a zone that it does not name is `default_zone`, a time that it does not name is midnight.
    pub fn parse(&self, text: &str, default_zone: &TimeZone) -> Result<Option<Zoned>, Error> {
        let mut fields = Fields::default();
        match self.items(&self.items, text, &mut fields)? {
            Some("") => Ok(fields.zoned(default_zone)),
            _ => Ok(None),
        }
    }

    /// What is left of the text, or `None` when it does not fit.
    fn items<'t>(&self, items: &[Item], text: &'t str, fields: &mut Fields) -> Result<Option<&'t str>, Error> {
        let mut rest = text;
        let mut index = 0;
        while let Some(item) = items.get(index) {
            index += 1;
            let next = match item {
                Item::Literal(literal) => rest.strip_prefix(literal.as_str()),
                Item::Field(letter, count) => {
                    let following = items.get(index..).unwrap_or(&[]).iter().map_while(fixed_width).sum();
                    self.read(*letter, *count, following, rest, fields)?
                }
                Item::OptionalStart => {
                    let len = optional_len(items.get(index..).unwrap_or(&[]));
                    let inner = items.get(index..index + len).unwrap_or(&[]);
                    index += len;
                    let mut tried = fields.clone();
                    match self.items(inner, rest, &mut tried)? {
                        Some(after) => {
                            *fields = tried;
                            Some(after)
                        }
                        None => Some(rest),
                    }
                }
                Item::OptionalEnd => Some(rest),
            };
            match next {
                Some(next) => rest = next,
                None => return Ok(None),
            }
        }
        Ok(Some(rest))
    }

    fn read<'t>(
        &self,
        letter: char,
        count: usize,
        following: usize,
        text: &'t str,
        fields: &mut Fields,
    ) -> Result<Option<&'t str>, Error> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let most = match letter {
            'y' | 'u' | 'n' => 9,
            'D' => 3,
            _ => 2,
        };
        let width = match (letter, count) {
            ('S', _) => count,
            ('D', 2) => digits.saturating_sub(following).min(most),
            (_, 2) => 2,
            _ => digits.saturating_sub(following).min(most),
        };
        let number = || {
            let digits =
                text.get(..width).filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
            let value = digits.and_then(|digits| digits.parse::<i64>().ok());
            value.filter(|_| width >= count.min(4)).zip(text.get(width..))
        };
        let mut set = |place: fn(&mut Fields) -> &mut Option<i64>, change: fn(i64) -> i64| {
            let (value, rest) = number()?;
            *place(fields) = Some(change(value));
            Some(rest)
        };
        Ok(match (letter, count) {
            ('y' | 'u', 2) => set(|f| &mut f.year, |year| 2000 + year),
            ('y' | 'u', _) => set(|f| &mut f.year, |year| year),
            ('M' | 'L', 1 | 2) => set(|f| &mut f.month, |month| month),
            ('M' | 'L', 3) => named(text, &self.names.months_short).map(|(index, rest)| {
                fields.month = Some(index + 1);
                rest
            }),
            ('M' | 'L', _) => named(text, &self.names.months).map(|(index, rest)| {
                fields.month = Some(index + 1);
                rest
            }),
            ('d', _) => set(|f| &mut f.day, |day| day),
            ('D', _) => set(|f| &mut f.day_of_year, |day| day),
            ('E' | 'e' | 'c', 4) => named(text, &self.names.days).map(|(_, rest)| rest),
            ('E' | 'e' | 'c', _) => named(text, &self.names.days_short).map(|(_, rest)| rest),
            ('a', _) => named(text, &["AM", "PM"]).map(|(index, rest)| {
                fields.afternoon = Some(index == 1);
                rest
            }),
            ('H', _) => set(|f| &mut f.hour, |hour| hour),
            ('k', _) => set(|f| &mut f.hour, |hour| hour % 24),
            ('h', _) => set(|f| &mut f.half_hour, |hour| hour % 12),
            ('K', _) => set(|f| &mut f.half_hour, |hour| hour),
            ('m', _) => set(|f| &mut f.minute, |minute| minute),
            ('s', _) => set(|f| &mut f.second, |second| second),
            ('n', _) => set(|f| &mut f.nanos, |nanos| nanos),
            ('S', 1..=9) => number().map(|(value, rest)| {
                fields.nanos = Some(value * 10_i64.pow(9 - count as u32));
                rest
            }),
            ('X' | 'x' | 'Z' | 'O', _) => zone_text(text, false).map(|(zone, rest)| {
                fields.zone = Some(zone);
                rest
            }),
            ('V' | 'z' | 'v', _) => zone_text(text, true).map(|(zone, rest)| {
                fields.zone = Some(zone);
                rest
            }),
            ('G', _) => named(text, &["AD"]).map(|(_, rest)| rest),
            _ => return Err(self.unknown(letter, count)),
        })
    }
}

/// Digits that a number takes whatever they are; a number before it leaves them to it.
fn fixed_width(item: &Item) -> Option<usize> {
    match item {
        Item::Field('y' | 'u' | 'M' | 'L' | 'd' | 'H' | 'k' | 'K' | 'h' | 'm' | 's', 2) => Some(2),
        Item::Field('D', 3) => Some(3),
        Item::Field('S', count) => Some(*count),
        _ => None,
    }
}

fn optional_len(items: &[Item]) -> usize {
    let mut depth = 1;
    for (index, item) in items.iter().enumerate() {
        match item {
            Item::OptionalStart => depth += 1,
            Item::OptionalEnd => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    items.len()
}

/// The longest of the names that the text starts with, in any case.
fn named<'t>(text: &'t str, names: &[&str]) -> Option<(i64, &'t str)> {
    let starts = |name: &str| text.get(..name.len()).is_some_and(|start| start.to_lowercase() == name.to_lowercase());
    let found = names.iter().enumerate().filter(|(_, name)| starts(name)).max_by_key(|(_, name)| name.len())?;
    Some((found.0 as i64, text.get(found.1.len()..)?))
}

fn zone_text(text: &str, regions: bool) -> Option<(TimeZone, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "+-:/_".contains(c))).unwrap_or(text.len());
    let name = text.get(..end)?;
    let rest = text.get(end..)?;
    if let Some(offset) = super::parse_offset(name) {
        return Some((TimeZone::fixed(offset), rest));
    }
    match name.starts_with("GMT") || name.starts_with("UTC") || regions {
        true => super::zone(name).ok().map(|zone| (zone, rest)),
        false => None,
    }
}

impl Fields {
    fn zoned(&self, default_zone: &TimeZone) -> Option<Zoned> {
        let small = |value: Option<i64>| i8::try_from(value.unwrap_or(0)).ok();
        let year = i16::try_from(self.year?).ok()?;
        let date = match self.day_of_year {
            Some(day) => Date::new(year, 1, 1).ok()?.with().day_of_year(i16::try_from(day).ok()?).build().ok()?,
            None => Date::new(year, small(Some(self.month.unwrap_or(1)))?, small(Some(self.day.unwrap_or(1)))?).ok()?,
        };
        let hour = match (self.hour, self.half_hour) {
            (Some(hour), _) => hour,
            (None, Some(half)) => half + if self.afternoon.unwrap_or(false) { 12 } else { 0 },
            (None, None) => 0,
        };
        let nanos = i32::try_from(self.nanos.unwrap_or(0)).ok()?;
        let clock = Clock::new(small(Some(hour))?, small(self.minute)?, small(self.second)?, nanos).ok()?;
        let zone = self.zone.as_ref().unwrap_or(default_zone).clone();
        DateTime::from_parts(date, clock).to_zoned(zone).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_patterns_are_refused() {
        assert!(Pattern::new(&"-".repeat(MAX_BYTES), "en").is_ok());
        assert!(Pattern::new(&"-".repeat(MAX_BYTES + 1), "en").is_err());
    }
}
