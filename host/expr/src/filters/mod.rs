//! Filters: name to function. A filter gets a value that is not null (unless it says otherwise) and its arguments.
mod dates;
mod encode;
mod html;
mod lists;
mod number_format;
mod numbers;
mod regex;
mod text;
mod yaml;

use crate::error::Error;
use crate::eval::{Args, Evaluator};
use crate::value::Value;

type Run = fn(&mut Evaluator<'_>, &Value, &Args) -> Result<Value, Error>;

/// A filter of the language.
pub(crate) struct Filter {
    pub name: &'static str,
    pub params: &'static [&'static str],
    pub run: Run,
    /// Runs on null, too; others give null for null.
    pub takes_null: bool,
    /// Only moves values about and keeps their secrets itself; others make what they return a derived secret.
    pub keeps_secrets: bool,
    pub undefined: Undefined,
}

/// What a filter makes of an input that is not defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undefined {
    IsError,
    IsNull,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn filter(name: &'static str, params: &'static [&'static str], run: Run) -> Filter {
    Filter { name, params, run, takes_null: false, keeps_secrets: false, undefined: Undefined::IsError }
}

/// A filter that moves values about.
const fn mover(name: &'static str, params: &'static [&'static str], run: Run) -> Filter {
    Filter { keeps_secrets: true, ..filter(name, params, run) }
}

const DATE: [&str; 4] = ["format", "timeZone", "existingFormat", "locale"];

static FILTERS: [Filter; 68] = [
    filter("abbreviate", &["length"], text::abbreviate),
    filter("abs", &[], numbers::abs),
    filter("base64decode", &[], encode::base64_decode),
    filter("base64encode", &[], encode::base64_encode),
    filter("capitalize", &[], text::capitalize),
    mover("chunk", &["size"], lists::chunk),
    filter("className", &[], numbers::class_name),
    filter("condense", &[], text::condense),
    filter("date", &DATE, dates::date),
    filter("dateAdd", &["amount", "unit", "format", "timeZone", "existingFormat", "locale"], dates::date_add),
    Filter { takes_null: true, undefined: Undefined::IsNull, ..mover("default", &["default"], lists::default) },
    Filter { takes_null: true, ..mover("distinct", &[], lists::distinct) },
    filter("endsWith", &["value"], text::ends_with),
    filter("escape", &["strategy"], html::escape),
    filter("escapeChar", &["type"], text::escape_char),
    mover("first", &[], lists::first),
    mover("flatten", &[], lists::flatten),
    filter("indent", &["amount", "prefix"], text::indent),
    mover("join", &["separator"], lists::join),
    filter("jq", &["expression"], crate::jq::filter),
    Filter { takes_null: true, ..mover("json", &[], encode::to_json) },
    Filter { takes_null: true, ..mover("jsonEncode", &[], encode::to_json) },
    mover("keys", &[], lists::keys),
    mover("last", &[], lists::last),
    Filter { takes_null: true, ..filter("length", &[], lists::length) },
    filter("lower", &[], text::lower),
    filter("md5", &[], encode::md5),
    Filter { takes_null: true, ..mover("merge", &["items"], lists::merge) },
    filter("nindent", &["amount", "prefix"], text::nindent),
    filter("nl2br", &[], html::nl2br),
    filter("number", &["type"], numbers::number),
    filter("numberFormat", &["format"], numbers::number_format),
    filter("numberformat", &["format"], numbers::number_format),
    mover("raw", &[], |_, input, _| Ok(input.clone())),
    filter("regexExtract", &["regex", "group"], regex::extract),
    Filter { takes_null: true, ..filter("regexMatch", &["regex"], regex::is_match) },
    filter("regexReplace", &["regex", "replacement"], regex::replace),
    filter("replace", &["replace_pairs", "regexp"], regex::replace_pairs),
    mover("reverse", &[], lists::reverse),
    mover("rsort", &[], lists::rsort),
    filter("sh", &[], text::sh),
    filter("sha1", &[], encode::sha1),
    filter("sha256", &[], encode::sha256),
    filter("sha512", &[], encode::sha512),
    mover("slice", &["fromIndex", "toIndex"], lists::slice),
    filter("slugify", &[], text::slugify),
    mover("sort", &[], lists::sort),
    filter("split", &["delimiter", "limit"], regex::split),
    filter("startsWith", &["value"], text::starts_with),
    mover("string", &[], text::string),
    filter("substringAfter", &["separator"], text::substring_after),
    filter("substringAfterLast", &["separator"], text::substring_after_last),
    filter("substringBefore", &["separator"], text::substring_before),
    filter("substringBeforeLast", &["separator"], text::substring_before_last),
    filter("timestamp", &["timeZone", "existingFormat"], dates::timestamp),
    filter("timestampMicro", &["timeZone", "existingFormat"], dates::timestamp_micro),
    filter("timestampMilli", &["timeZone", "existingFormat"], dates::timestamp_milli),
    filter("timestampNano", &["timeZone", "existingFormat"], dates::timestamp_nano),
    filter("title", &[], text::title),
    Filter { takes_null: true, ..filter("toIon", &[], encode::to_ion) },
    Filter { takes_null: true, ..mover("toJson", &[], encode::to_json) },
    filter("trim", &[], text::trim),
    mover("uniq", &[], lists::distinct),
    filter("upper", &[], text::upper),
    filter("urldecode", &[], encode::url_decode),
    filter("urlencode", &[], encode::url_encode),
    mover("values", &[], lists::values),
    Filter { takes_null: true, ..filter("yaml", &[], yaml::yaml) },
];

pub(crate) fn find(name: &str) -> Option<&'static Filter> {
    FILTERS.iter().find(|filter| filter.name == name)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FILTERS.iter().map(|filter| filter.name)
}

/// The error of a filter that got a wrong input.
fn wrong_input(args: &Args, wanted: &str, input: &Value) -> Error {
    Error::invalid(format!("filter `{}` needs {wanted}, found {}", args.callee, input.kind()))
}
