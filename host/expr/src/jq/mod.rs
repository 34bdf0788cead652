//! jq programs, run by jaq on our own values. Bounded: every step costs fuel and looks at the stack, every value made
//! costs what it is long and is not nested too deeply; hitting a bound leaves the interpreter by unwinding, since its
//! interface has no other way out. Nothing that reads the clock, the environment or a module, or ends the process, is
//! linked in.
mod arithmetic;
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

/// Bytes of a program: people write a tenth of it.
const MAX_PROGRAM_BYTES: usize = 10_000;
/// Operators, keywords and brackets that may stand within or after each other at one place of a program. jaq's parser
/// and compiler recurse on each: so many fit half a stack of 2 MiB even in a debug build.
const MAX_NESTING: usize = 80;
/// `.a`, `[…]`, `?` and texts that may follow each other without an operator.
const MAX_CHAIN: usize = 200;
/// Stack that may be in use when a program starts, which itself takes up to `meter::STACK_BYTES`.
const MAX_STACK_BEFORE: usize = 512 << 10;
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
    if evaluator.stack_used() > MAX_STACK_BEFORE {
        return Err(Error::limit("expression.limit.depth", "nested too deeply for `jq`", "keep parts in variables"));
    }
    let program = compiled(&text)?;
    let input = match input {
        // Text is read as JSON, as Kestra does.
        Value::Text(json) => crate::json::parse(&json.reveal()?).map_err(|error| {
            Error::invalid_hint(
                format!("the text for `jq` is no JSON: {error}"),
                "lists and maps need no `toJson` before",
            )
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
    let known = PROGRAMS
        .with_borrow(|programs| programs.iter().find(|(known, _)| known == text).map(|(_, program)| program.clone()));
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
        Some((_, Load::Lex(errors))) => {
            errors.first().map(|(wanted, at)| format!("expected {} at `{at}`", wanted.as_str()))
        }
        Some((_, Load::Parse(errors))) => {
            errors.first().map(|(wanted, found)| format!("expected {}, found `{found}`", wanted.as_str()))
        }
        Some((_, Load::Io(_))) => Some("modules are not available".to_owned()),
        None => None,
    }
    .unwrap_or_else(|| "it cannot be read".to_owned())
}

fn check_size(text: &str) -> Result<(), Error> {
    match text.len() > MAX_PROGRAM_BYTES || nesting(text) > MAX_NESTING || longest_chain(text) > MAX_CHAIN {
        true => Err(Error::limit(
            "expression.limit.jq",
            format!("a jq program has at most {MAX_PROGRAM_BYTES} bytes and {MAX_NESTING} operators in a row"),
            "use a task for larger programs",
        )),
        false => Ok(()),
    }
}

/// The most parts of a path, or of anything else without operators between.
fn longest_chain(text: &str) -> usize {
    let parts = text.split(['|', '+', '-', '*', '/', '%', '=', ',', ':', ';']);
    parts.map(|part| part.matches(['.', '?', '[', '"', '@']).count()).max().unwrap_or(0)
}

/// The most operators, keywords and open brackets at any place; what stood in a closed bracket counts no more.
fn nesting(text: &str) -> usize {
    let mut open: Vec<(char, usize)> = vec![(' ', 0)];
    let (mut deepest, mut total) = (0, 0);
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        let keyword = matches!(
            std::mem::take(&mut word).as_str(),
            "if" | "elif" | "else" | "try" | "catch" | "def" | "as" | "reduce" | "foreach" | "label" | "and" | "or"
        );
        let field = open.last().is_some_and(|(bracket, _)| *bracket == '{');
        let own = match c {
            '|' | '+' | '-' | '*' | '/' | '%' | '=' | '<' | '>' => 1,
            ',' if !field => 1,
            _ => 0,
        } + usize::from(keyword);
        total += own;
        if let Some((_, count)) = open.last_mut() {
            *count += own;
        }
        match c {
            '(' | '[' | '{' => {
                open.push((c, 1));
                total += 1;
            }
            ')' | ']' | '}' if open.len() > 1 => total -= open.pop().map_or(0, |(_, count)| count),
            _ => {}
        }
        deepest = deepest.max(total);
    }
    deepest
}

#[cfg(test)]
mod tests;
