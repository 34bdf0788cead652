//! The `jq` filter, by jaq.
use crate::error::Error;
use crate::eval::{Args, Evaluator};
use crate::value::Value;

pub(super) fn jq(_: &mut Evaluator<'_>, _: &Value, _: &Args) -> Result<Value, Error> {
    Err(Error::invalid("todo"))
}
