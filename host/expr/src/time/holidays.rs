//! Public holidays by rule, for the countries listed here; others are an error, never "no holiday".
use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use crate::error::Error;

#[derive(Clone, Copy)]
enum Rule {
    /// Month and day.
    Fixed(i8, i8),
    /// Days after Easter Sunday.
    Easter(i64),
    /// The n-th weekday of a month; -1 is the last.
    Nth(i8, Weekday, i8),
    /// The last such weekday on or before a day.
    Before(i8, i8, Weekday),
    /// A fixed day, moved off the weekend: Saturday to Friday, Sunday to Monday.
    Nearest(i8, i8),
    /// A fixed day, moved off the weekend to the next Monday.
    Next(i8, i8),
    /// A fixed day of one subdivision.
    OnlyFixed(&'static str, i8, i8),
    /// Days after Easter Sunday in one subdivision.
    OnlyEaster(&'static str, i64),
}

use Rule::{Before, Easter, Fixed, Nearest, Next, Nth, OnlyEaster, OnlyFixed};
use Weekday::{Monday, Saturday, Thursday};

const GOOD_FRIDAY: Rule = Easter(-2);
const EASTER_MONDAY: Rule = Easter(1);
const ASCENSION: Rule = Easter(39);
const WHIT_MONDAY: Rule = Easter(50);
const CORPUS_CHRISTI: Rule = Easter(60);
const NEW_YEAR: Rule = Fixed(1, 1);
const EPIPHANY: Rule = Fixed(1, 6);
const LABOUR_DAY: Rule = Fixed(5, 1);
const ASSUMPTION: Rule = Fixed(8, 15);
const ALL_SAINTS: Rule = Fixed(11, 1);
const IMMACULATE: Rule = Fixed(12, 8);
const CHRISTMAS: Rule = Fixed(12, 25);
const SECOND_CHRISTMAS: Rule = Fixed(12, 26);

static COUNTRIES: [(&str, &[Rule]); 18] = [
    (
        "AT",
        &[
            NEW_YEAR,
            EPIPHANY,
            EASTER_MONDAY,
            LABOUR_DAY,
            ASCENSION,
            WHIT_MONDAY,
            CORPUS_CHRISTI,
            ASSUMPTION,
            Fixed(10, 26),
            ALL_SAINTS,
            IMMACULATE,
            CHRISTMAS,
            SECOND_CHRISTMAS,
        ],
    ),
    (
        "BE",
        &[
            NEW_YEAR,
            EASTER_MONDAY,
            LABOUR_DAY,
            ASCENSION,
            WHIT_MONDAY,
            Fixed(7, 21),
            ASSUMPTION,
            ALL_SAINTS,
            Fixed(11, 11),
            CHRISTMAS,
        ],
    ),
    (
        "CA",
        &[
            NEW_YEAR,
            GOOD_FRIDAY,
            Before(5, 24, Monday),
            Fixed(7, 1),
            Nth(9, Monday, 1),
            Fixed(9, 30),
            Nth(10, Monday, 2),
            Fixed(11, 11),
            CHRISTMAS,
            SECOND_CHRISTMAS,
        ],
    ),
    ("CH", &[NEW_YEAR, ASCENSION, Fixed(8, 1), CHRISTMAS]),
    (
        "DE",
        &[
            NEW_YEAR,
            GOOD_FRIDAY,
            EASTER_MONDAY,
            LABOUR_DAY,
            ASCENSION,
            WHIT_MONDAY,
            Fixed(10, 3),
            CHRISTMAS,
            SECOND_CHRISTMAS,
            OnlyFixed("BW", 1, 6),
            OnlyFixed("BY", 1, 6),
            OnlyFixed("ST", 1, 6),
            OnlyFixed("BE", 3, 8),
            OnlyFixed("MV", 3, 8),
            OnlyEaster("BW", 60),
            OnlyEaster("BY", 60),
            OnlyEaster("HE", 60),
            OnlyEaster("NW", 60),
            OnlyEaster("RP", 60),
            OnlyEaster("SL", 60),
            OnlyFixed("SL", 8, 15),
            OnlyFixed("TH", 9, 20),
            OnlyFixed("BB", 10, 31),
            OnlyFixed("HB", 10, 31),
            OnlyFixed("HH", 10, 31),
            OnlyFixed("MV", 10, 31),
            OnlyFixed("NI", 10, 31),
            OnlyFixed("SH", 10, 31),
            OnlyFixed("SN", 10, 31),
            OnlyFixed("ST", 10, 31),
            OnlyFixed("TH", 10, 31),
            OnlyFixed("BW", 11, 1),
            OnlyFixed("BY", 11, 1),
            OnlyFixed("NW", 11, 1),
            OnlyFixed("RP", 11, 1),
            OnlyFixed("SL", 11, 1),
            OnlyEaster("BB", 0),
            OnlyEaster("BB", 49),
        ],
    ),
    (
        "DK",
        &[
            NEW_YEAR,
            Easter(-3),
            GOOD_FRIDAY,
            Easter(0),
            EASTER_MONDAY,
            ASCENSION,
            Easter(49),
            WHIT_MONDAY,
            CHRISTMAS,
            SECOND_CHRISTMAS,
        ],
    ),
    (
        "ES",
        &[
            NEW_YEAR,
            EPIPHANY,
            GOOD_FRIDAY,
            LABOUR_DAY,
            ASSUMPTION,
            Fixed(10, 12),
            ALL_SAINTS,
            Fixed(12, 6),
            IMMACULATE,
            CHRISTMAS,
        ],
    ),
    (
        "FI",
        &[
            NEW_YEAR,
            EPIPHANY,
            GOOD_FRIDAY,
            Easter(0),
            EASTER_MONDAY,
            LABOUR_DAY,
            ASCENSION,
            Easter(49),
            Before(6, 26, Saturday),
            Before(11, 6, Saturday),
            Fixed(12, 6),
            CHRISTMAS,
            SECOND_CHRISTMAS,
        ],
    ),
    (
        "FR",
        &[
            NEW_YEAR,
            EASTER_MONDAY,
            LABOUR_DAY,
            Fixed(5, 8),
            ASCENSION,
            WHIT_MONDAY,
            Fixed(7, 14),
            ASSUMPTION,
            ALL_SAINTS,
            Fixed(11, 11),
            CHRISTMAS,
        ],
    ),
    (
        "GB",
        &[
            Next(1, 1),
            GOOD_FRIDAY,
            EASTER_MONDAY,
            Nth(5, Monday, 1),
            Nth(5, Monday, -1),
            Nth(8, Monday, -1),
            Next(12, 25),
            Next(12, 26),
        ],
    ),
    (
        "IE",
        &[
            NEW_YEAR,
            Fixed(3, 17),
            EASTER_MONDAY,
            Nth(5, Monday, 1),
            Nth(6, Monday, 1),
            Nth(8, Monday, 1),
            Nth(10, Monday, -1),
            CHRISTMAS,
            SECOND_CHRISTMAS,
        ],
    ),
    (
        "IT",
        &[
            NEW_YEAR,
            EPIPHANY,
            Easter(0),
            EASTER_MONDAY,
            Fixed(4, 25),
            LABOUR_DAY,
            Fixed(6, 2),
            ASSUMPTION,
            ALL_SAINTS,
            IMMACULATE,
            CHRISTMAS,
            SECOND_CHRISTMAS,
        ],
    ),
    (
        "LU",
        &[
            NEW_YEAR,
            EASTER_MONDAY,
            LABOUR_DAY,
            Fixed(5, 9),
            ASCENSION,
            WHIT_MONDAY,
            Fixed(6, 23),
            ASSUMPTION,
            ALL_SAINTS,
            CHRISTMAS,
            SECOND_CHRISTMAS,
        ],
    ),
    (
        "NL",
        &[
            NEW_YEAR,
            Easter(0),
            EASTER_MONDAY,
            Fixed(4, 27),
            ASCENSION,
            Easter(49),
            WHIT_MONDAY,
            CHRISTMAS,
            SECOND_CHRISTMAS,
        ],
    ),
    (
        "PL",
        &[
            NEW_YEAR,
            EPIPHANY,
            Easter(0),
            EASTER_MONDAY,
            LABOUR_DAY,
            Fixed(5, 3),
            Easter(49),
            CORPUS_CHRISTI,
            ASSUMPTION,
            ALL_SAINTS,
            Fixed(11, 11),
            CHRISTMAS,
            SECOND_CHRISTMAS,
        ],
    ),
    (
        "PT",
        &[
            NEW_YEAR,
            GOOD_FRIDAY,
            Easter(0),
            Fixed(4, 25),
            LABOUR_DAY,
            CORPUS_CHRISTI,
            Fixed(6, 10),
            ASSUMPTION,
            Fixed(10, 5),
            ALL_SAINTS,
            Fixed(12, 1),
            IMMACULATE,
            CHRISTMAS,
        ],
    ),
    (
        "SE",
        &[
            NEW_YEAR,
            EPIPHANY,
            GOOD_FRIDAY,
            Easter(0),
            EASTER_MONDAY,
            LABOUR_DAY,
            ASCENSION,
            Easter(49),
            Fixed(6, 6),
            Before(6, 26, Saturday),
            Before(11, 6, Saturday),
            CHRISTMAS,
            SECOND_CHRISTMAS,
        ],
    ),
    (
        "US",
        &[
            Nearest(1, 1),
            Nth(1, Monday, 3),
            Nth(2, Monday, 3),
            Nth(5, Monday, -1),
            Nearest(6, 19),
            Nearest(7, 4),
            Nth(9, Monday, 1),
            Nth(10, Monday, 2),
            Nearest(11, 11),
            Nth(11, Thursday, 4),
            Nearest(12, 25),
        ],
    ),
];

/// Whether a day is a public holiday in a country (two letters), or in one of its subdivisions.
pub fn is_public_holiday(date: Date, country: &str, subdivision: Option<&str>) -> Result<bool, Error> {
    let country = country.trim().to_ascii_uppercase();
    let Some((_, rules)) = COUNTRIES.iter().find(|(code, _)| *code == country) else {
        let known: Vec<&str> = COUNTRIES.iter().map(|(code, _)| *code).collect();
        let hint = format!("there are calendars for {}", known.join(", "));
        return Err(Error::invalid_hint(format!("no calendar of holidays for country `{country}`"), hint));
    };
    let subdivision = subdivision.map(str::to_ascii_uppercase);
    // A holiday can be moved back over a turn of the year.
    let years = [date.year(), date.year() + 1];
    Ok(rules.iter().any(|rule| years.iter().any(|year| day(*rule, *year, subdivision.as_deref()) == Some(date))))
}

fn day(rule: Rule, year: i16, subdivision: Option<&str>) -> Option<Date> {
    let fixed = |month, day| Date::new(year, month, day).ok();
    match rule {
        Fixed(month, day) => fixed(month, day),
        Easter(days) => easter(year)?.checked_add(days.days()).ok(),
        Nth(month, weekday, nth) => fixed(month, 1)?.nth_weekday_of_month(nth, weekday).ok(),
        Before(month, day, weekday) => {
            let last = fixed(month, day)?;
            let back = i64::from(last.weekday().since(weekday));
            last.checked_sub(back.days()).ok()
        }
        Nearest(month, day) => {
            let date = fixed(month, day)?;
            let shift: i64 = match date.weekday() {
                Weekday::Saturday => -1,
                Weekday::Sunday => 1,
                _ => 0,
            };
            date.checked_add(shift.days()).ok()
        }
        Next(month, day) => {
            let date = fixed(month, day)?;
            // Two holidays in a row push each other on: the second goes to Tuesday.
            let shift: i64 = match (date.weekday(), (month, day) == (12, 26)) {
                (Weekday::Saturday, _) => 2,
                (Weekday::Sunday, true) => 2,
                (Weekday::Sunday, false) => 1,
                (Weekday::Monday, true) => 1,
                _ => 0,
            };
            date.checked_add(shift.days()).ok()
        }
        OnlyFixed(code, month, day) if subdivision == Some(code) => fixed(month, day),
        OnlyEaster(code, days) if subdivision == Some(code) => easter(year)?.checked_add(days.days()).ok(),
        OnlyFixed(..) | OnlyEaster(..) => None,
    }
}

/// Easter Sunday by the Gregorian computus.
fn easter(year: i16) -> Option<Date> {
    let year_number = i32::from(year);
    let golden = year_number % 19;
    let century = year_number / 100;
    let epact = (century - century / 4 - (8 * century + 13) / 25 + 19 * golden + 15).rem_euclid(30);
    let full_moon = epact - (epact / 28) * (1 - (epact / 28) * (29 / (epact + 1)) * ((21 - golden) / 11));
    let weekday = (year_number + year_number / 4 + full_moon + 2 - century + century / 4).rem_euclid(7);
    let from_march = full_moon - weekday;
    let month = 3 + (from_march + 40) / 44;
    let day = from_march + 28 - 31 * (month / 4);
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn holidays_of_known_years() {
        for (day, country, subdivision, expected) in [
            (date(2025, 4, 21), "FR", None, true),
            (date(2024, 12, 25), "FR", None, true),
            (date(2024, 12, 26), "FR", None, false),
            (date(2024, 11, 28), "US", None, true),
            (date(2021, 7, 5), "US", None, true),
            (date(2025, 6, 19), "DE", Some("BY"), true),
            (date(2025, 6, 19), "DE", None, false),
            (date(2022, 12, 27), "GB", None, true),
            (date(2025, 5, 26), "GB", None, true),
            (date(2021, 12, 31), "US", None, true),
            (date(2026, 7, 3), "US", None, true),
            (date(2026, 7, 4), "US", None, false),
            (date(2024, 5, 27), "US", None, true),
            (date(2024, 5, 6), "GB", None, true),
            (date(2024, 8, 26), "GB", None, true),
            (date(2024, 10, 28), "IE", None, true),
            (date(2021, 12, 27), "GB", None, true),
            (date(2021, 12, 28), "GB", None, true),
            (date(2022, 12, 26), "GB", None, true),
            (date(2022, 12, 28), "GB", None, false),
            (date(2020, 12, 28), "GB", None, true),
            (date(2023, 1, 2), "GB", None, true),
            (date(2023, 1, 3), "GB", None, false),
            (date(2022, 1, 3), "GB", None, true),
            (date(2024, 5, 20), "CA", None, true),
            (date(2024, 6, 22), "FI", None, true),
            (date(2024, 11, 2), "SE", None, true),
            (date(2024, 3, 28), "DK", None, true),
            (date(2024, 3, 29), "DK", None, true),
            (date(2024, 4, 2), "DK", None, false),
            (date(2024, 4, 3), "DK", None, false),
            (date(2024, 5, 9), "CH", None, true),
            (date(2024, 5, 19), "DE", Some("BB"), true),
            (date(2024, 11, 1), "DE", Some("BB"), false),
            (date(2024, 10, 31), "DE", Some("BB"), true),
            (date(2024, 10, 31), "DE", None, false),
        ] {
            assert_eq!(is_public_holiday(day, country, subdivision).unwrap(), expected, "{day} {country}");
        }
    }

    #[test]
    fn easter_of_known_years() {
        for (year, month, day) in [
            (1818, 3, 22),
            (1943, 4, 25),
            (1954, 4, 18),
            (1981, 4, 19),
            (2000, 4, 23),
            (2008, 3, 23),
            (2024, 3, 31),
            (2025, 4, 20),
            (2049, 4, 18),
            (2100, 3, 28),
            (2945, 4, 25),
        ] {
            assert_eq!(easter(year), Some(date(year, month, day)));
        }
    }
}
