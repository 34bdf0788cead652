//! jq programs, run by jaq on our own values. Bounded: every step costs fuel and looks at the stack, every value made
//! costs what it is long and is not nested too deeply; hitting a bound leaves the interpreter by unwinding, since its
//! interface has no other way out. Nothing that reads the clock, the environment or a module, or ends the process, is
//! linked in.
mod funs;
mod meter;
mod value;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Ctx, Vars};

use crate::error::Error;
use crate::eval::{Args, Evaluator};
use crate::value::Value;
use meter::{Jq, Metered, Spent};
use value::Json;

/// Bytes of a program. Its parser and compiler recurse: this much of anything fits a 2 MiB stack.
const MAX_PROGRAM_BYTES: usize = 2_000;
/// Brackets within each other in a program.
const MAX_BRACKETS: usize = 32;
/// Results of one use of the filter.
const MAX_RESULTS: usize = 100_000;
/// Compiled programs kept per thread: compiling costs a thousand times more than running a small one.
const KEPT_PROGRAMS: usize = 64;

type Program = Rc<jaq_core::Filter<Jq>>;

thread_local! {
    /// Programs by text, the newest last.
    static PROGRAMS: RefCell<Vec<(String, Program)>> = const { RefCell::new(Vec::new()) };
}

/// The `jq` filter: always a list of results.
pub(crate) fn filter(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let text = args.text(0)?;
    let program = compiled(&text)?;
    let input = match input {
        // Text is read as JSON, as Kestra does.
        Value::Text(json) => crate::json::parse(&json.reveal()?).map_err(|error| {
            Error::invalid_hint(format!("the text for `jq` is no JSON: {error}"), "lists and maps need no `toJson` before")
        })?,
        other => value::plain(other)?,
    };
    let fuel = evaluator.fuel_left();
    let (result, left) = meter::with(fuel, || catch_unwind(AssertUnwindSafe(|| run(&program, input, &text))));
    evaluator.charge(usize::try_from(fuel.saturating_sub(left)).unwrap_or(usize::MAX))?;
    match result {
        Ok(results) => results.map(Value::list),
        Err(panic) => Err(match panic.downcast_ref::<Spent>() {
            Some(spent) => spent.error(evaluator),
            None => Error::invalid(format!("jq program `{text}` failed")),
        }),
    }
}

fn run(program: &Program, input: Value, text: &str) -> Result<Vec<Value>, Error> {
    let context = Ctx::<Jq>::new(Metered(&program.lut), Vars::new([]));
    let mut results = Vec::new();
    for result in program.id.run((context, Json(input))) {
        let result = match result {
            Ok(result) => result,
            Err(exception) => {
                // Messages of jq show values: only the kind of failure is repeated, for values may be secret.
                let shown = exception.get_err().map_or_else(|_| "stopped".to_owned(), |error| error.to_string());
                let shown: String = shown.chars().take(200).collect();
                return Err(Error::invalid(format!("jq program `{text}` failed: {shown}")));
            }
        };
        if results.len() == MAX_RESULTS {
            let message = format!("jq program `{text}` gives more than {MAX_RESULTS} results");
            return Err(Error::limit("expression.limit.results", message, "collect them with `[...]`"));
        }
        results.push(value::finite(result.0));
    }
    Ok(results)
}

fn compiled(text: &str) -> Result<Program, Error> {
    let known = PROGRAMS.with_borrow(|programs| {
        programs.iter().find(|(known, _)| known == text).map(|(_, program)| program.clone())
    });
    if let Some(program) = known {
        return Ok(program);
    }
    let program = Rc::new(compile(text)?);
    PROGRAMS.with_borrow_mut(|programs| {
        if programs.len() == KEPT_PROGRAMS {
            programs.remove(0);
        }
        programs.push((text.to_owned(), program.clone()));
    });
    Ok(program)
}

fn compile(text: &str) -> Result<jaq_core::Filter<Jq>, Error> {
    check_size(text)?;
    let wrong = |message: String| {
        Error::invalid_hint(format!("`{text}` is no jq program: {message}"), "an example: `.items[] | .name`")
    };
    let arena = Arena::default();
    let modules = Loader::new(funs::definitions())
        .load(&arena, File { code: text, path: () })
        .map_err(|errors| wrong(syntax_error(&errors)))?;
    jaq_core::Compiler::default().with_funs(funs::natives()).compile(modules).map_err(|errors| {
        let undefined = errors.into_iter().flat_map(|(_, errors)| errors).next();
        wrong(undefined.map_or_else(String::new, |(name, what)| format!("no {} `{name}`", what.as_str())))
    })
}

fn syntax_error(errors: &[(File<&str, ()>, jaq_core::load::Error<&str>)]) -> String {
    use jaq_core::load::Error as Load;
    match errors.first() {
        Some((_, Load::Lex(errors))) => errors.first().map(|(wanted, at)| format!("expected {} at `{at}`", wanted.as_str())),
        Some((_, Load::Parse(errors))) => {
            errors.first().map(|(wanted, found)| format!("expected {}, found `{found}`", wanted.as_str()))
        }
        Some((_, Load::Io(_))) => Some("modules are not available".to_owned()),
        None => None,
    }
    .unwrap_or_else(|| "it cannot be read".to_owned())
}

fn check_size(text: &str) -> Result<(), Error> {
    let (mut depth, mut deepest) = (0_usize, 0);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    match text.len() > MAX_PROGRAM_BYTES || deepest > MAX_BRACKETS {
        true => Err(Error::limit(
            "expression.limit.jq",
            format!("a jq program has at most {MAX_PROGRAM_BYTES} bytes and {MAX_BRACKETS} levels of brackets"),
            "use a task for larger programs",
        )),
        false => Ok(()),
    }
}
