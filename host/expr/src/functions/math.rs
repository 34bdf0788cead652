//! `range`, `max`, `min`.
use crate::error::Error;
use crate::eval::ops::compare;
use crate::eval::{Args, Evaluator};
use crate::value::Value;

/// Items that one range may have; more belong into a task.
const MAX_ITEMS: i128 = 1_000_000;

pub(super) fn range_function(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let step = args.optional_int(2)?.unwrap_or(1);
    range(evaluator, args.required(0)?, args.required(1)?, step)
}

/// All numbers, or characters, from start to end, both included.
pub(crate) fn range(evaluator: &mut Evaluator<'_>, start: &Value, end: &Value, step: i64) -> Result<Value, Error> {
    if step == 0 {
        return Err(Error::invalid("the increment of a range must not be 0"));
    }
    let letter = |value: &Value| {
        let mut chars = value.as_str()?.chars();
        chars.next().filter(|_| chars.next().is_none()).map(|c| i64::from(u32::from(c)))
    };
    let whole = |value: &Value| value.as_i64().or_else(|| value.as_f64().map(|number| number.trunc() as i64));
    let (from, to, letters) = match (whole(start), whole(end), letter(start), letter(end)) {
        (Some(from), Some(to), ..) => (from, to, false),
        (_, _, Some(from), Some(to)) => (from, to, true),
        _ => {
            let message = format!(
                "a range goes from number to number or letter to letter, not from {} to {}",
                start.kind(),
                end.kind()
            );
            return Err(Error::invalid(message));
        }
    };
    let distance = (i128::from(to) - i128::from(from)) * i128::from(step.signum());
    if distance < 0 {
        return Ok(Value::list([]));
    }
    let count = distance / i128::from(step).abs() + 1;
    if count > MAX_ITEMS {
        return Err(Error::limit(
            "expression.limit.range",
            format!("a range cannot produce more than {MAX_ITEMS} items, this would be {count}"),
            "let a ForEach task or a script make them",
        ));
    }
    evaluator.charge(usize::try_from(count).unwrap_or(usize::MAX))?;
    let item = |index: i128| {
        let number = i64::try_from(i128::from(from) + index * i128::from(step)).unwrap_or(to);
        match (letters, u32::try_from(number).ok().and_then(char::from_u32)) {
            (true, Some(c)) => c.to_string().into(),
            _ => Value::Int(number),
        }
    };
    Ok(Value::list((0..count).map(item)))
}

pub(super) fn max(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    extreme(args, std::cmp::Ordering::Greater)
}

pub(super) fn min(_: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    extreme(args, std::cmp::Ordering::Less)
}

/// Of all arguments, or of the items of a single list.
fn extreme(args: &Args, wanted: std::cmp::Ordering) -> Result<Value, Error> {
    let given: Vec<&Value> = match (args.get(0), args.given(1)) {
        (Some(Value::List(items)), None) => items.iter().collect(),
        _ => args.values().collect(),
    };
    let mut best: Option<&Value> = None;
    for value in given {
        best = match best {
            Some(best) if compare(value, best)? != Some(wanted) => Some(best),
            _ => Some(value),
        };
    }
    best.cloned().ok_or_else(|| Error::invalid(format!("`{}` expects arguments", args.callee)))
}
