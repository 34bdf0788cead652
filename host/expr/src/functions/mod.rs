//! Functions: name to implementation. Those of kind `Ask` need IO or are not pure: the memo answers them.
mod crypt;
mod data;
mod dates;
mod flow;
mod math;
mod random;

use crate::error::Error;
use crate::eval::{Args, Evaluator};
use crate::value::Value;

pub(crate) use flow::iteration_values;
pub(crate) use math::range;

type Run = fn(&mut Evaluator<'_>, &Args) -> Result<Value, Error>;

/// A function of the language.
pub(crate) struct Function {
    pub name: &'static str,
    pub params: &'static [&'static str],
    pub kind: Kind,
    /// So many of the first parameters must be given.
    pub required: usize,
    /// Passes arguments on that it has no parameter for.
    pub open: bool,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Depends on its arguments alone; of secret arguments it makes derived secrets.
    Pure(Run),
    /// Looks at the scope or asks the memo by itself, and keeps track of secrets itself.
    Scoped(Run),
    /// Answered by the memo.
    Ask,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn pure(name: &'static str, params: &'static [&'static str], run: Run) -> Function {
    Function { name, params, kind: Kind::Pure(run), required: 0, open: false }
}

const fn scoped(name: &'static str, params: &'static [&'static str], run: Run) -> Function {
    Function { name, params, kind: Kind::Scoped(run), required: 0, open: false }
}

const fn ask(name: &'static str, params: &'static [&'static str], required: usize) -> Function {
    Function { name, params, kind: Kind::Ask, required, open: false }
}

static FUNCTIONS: [Function; 47] = [
    ask("appLink", &["appId", "baseUrl"], 0),
    scoped("currentEachOutput", &["outputs"], flow::current_each_output),
    pure("dayOfMonth", &["date"], dates::day_of_month),
    pure("dayOfWeek", &["date"], dates::day_of_week),
    pure("decrypt", &["key", "encrypted"], crypt::decrypt),
    scoped("encrypt", &["key", "plaintext"], crypt::encrypt),
    scoped("env", &["name", "default"], flow::env),
    ask("errorLogs", &[], 0),
    scoped("fetchContext", &[], flow::fetch_context),
    ask("fileExists", &["path", "namespace"], 1),
    ask("fileSize", &["path", "namespace"], 1),
    ask("fileURI", &["path", "namespace"], 1),
    pure("fromIon", &["ion", "allRows"], data::from_ion),
    pure("fromJson", &["json"], data::from_json),
    pure("hourOfDay", &["date"], dates::hour_of_day),
    Function {
        open: true,
        ..ask("http", &["uri", "method", "query", "body", "contentType", "headers", "options", "accept"], 1)
    },
    scoped("id", &[], random::id),
    pure("ionDecode", &["ion", "allRows"], data::from_ion),
    pure("isDateAfter", &["date", "reference"], dates::is_date_after),
    pure("isDateBefore", &["date", "reference"], dates::is_date_before),
    pure("isDateBetween", &["date", "after", "before"], dates::is_date_between),
    pure("isDayWeekInMonth", &["date", "dayOfWeek", "dayInMonth"], dates::is_day_week_in_month),
    ask("isFileEmpty", &["path", "namespace"], 1),
    pure("isLastWorkingDay", &["date", "workingDays"], dates::is_last_working_day),
    pure("isPublicHoliday", &["date", "countryCode", "subDivision"], dates::is_public_holiday),
    pure("isWeekend", &["date"], dates::is_weekend),
    pure("json", &["json"], data::from_json),
    pure("jsonDecode", &["json"], data::from_json),
    scoped("ksuid", &[], random::ksuid),
    ask("kv", &["key", "namespace", "errorOnMissing"], 1),
    Function { open: true, ..pure("max", &[], math::max) },
    Function { open: true, ..pure("min", &[], math::min) },
    pure("monthOfYear", &["date"], dates::month_of_year),
    scoped("nanoId", &["length", "alphabet"], random::nano_id),
    scoped("now", &["format", "timeZone", "existingFormat", "locale"], dates::now),
    scoped("printContext", &[], flow::print_context),
    scoped("randomInt", &["lower", "upper"], random::random_int),
    scoped("randomPort", &[], random::random_port),
    pure("range", &["start", "end", "increment"], math::range_function),
    ask("read", &["path", "namespace", "version"], 1),
    scoped("render", &["toRender", "recursive"], flow::render),
    scoped("renderOnce", &["toRender"], flow::render_once),
    scoped("secret", &["key", "namespace", "subkey"], flow::secret),
    ask("subflow", &["namespace", "id", "inputs", "revision", "labels", "timeout"], 2),
    scoped("tasksWithState", &["state"], flow::tasks_with_state),
    scoped("uuid", &[], random::uuid),
    pure("yaml", &["yaml"], data::yaml),
];

pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}
