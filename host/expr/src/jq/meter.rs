//! What a jq program may still use. Per thread, since operators on values have no other way to reach it; set for the
//! time of one run only.
use std::cell::Cell;
use std::panic::resume_unwind;

use jaq_core::data::HasLut;
use jaq_core::{DataT, Lut};

use super::value::Json;
use crate::error::Error;
use crate::eval::Evaluator;
use crate::stack;

/// Stack that one run may take: half of what a thread has at least, and expressions around it need theirs.
const STACK_BYTES: usize = 768 << 10;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
    static STACK_START: Cell<usize> = const { Cell::new(0) };
}

/// Why a run was left.
pub(super) enum Spent {
    Fuel,
    Stack,
    Text,
    Nesting,
}

impl Spent {
    pub fn error(&self, evaluator: &Evaluator<'_>) -> Error {
        let limits = &evaluator.settings.limits;
        match self {
            Spent::Fuel => Error::limit(
                "expression.limit.fuel",
                format!("the expression takes more than {} steps", limits.fuel),
                "work on large data in a task",
            ),
            Spent::Stack => Error::limit(
                "expression.limit.depth",
                "the jq program recurses too deeply",
                "make the recursive call the last thing a function does",
            ),
            Spent::Text => Error::limit(
                "expression.limit.output",
                format!("the jq program makes text of more than {MAX_TEXT_BYTES} bytes"),
                "put large text into a file",
            ),
            Spent::Nesting => {
                Error::limit("expression.limit.depth", "the jq program nests values too deeply", "flatten them")
            }
        }
    }
}

/// Bytes of one text that a program makes.
pub(super) const MAX_TEXT_BYTES: usize = 1 << 20;

/// Leaves the program at once. No panic hook runs: this is a way out, not a fault.
pub(super) fn leave(spent: Spent) -> ! {
    resume_unwind(Box::new(spent))
}

/// Runs with so much fuel; gives what is left.
pub(super) fn with<T>(fuel: u64, run: impl FnOnce() -> T) -> (T, u64) {
    let outer = (LEFT.replace(fuel), STACK_START.replace(stack::pointer()));
    let result = run();
    let left = LEFT.replace(outer.0);
    STACK_START.set(outer.1);
    (result, left)
}

/// Takes `steps` from the fuel.
pub(super) fn charge(steps: usize) {
    match LEFT.get().checked_sub(steps as u64) {
        Some(left) => LEFT.set(left),
        None => {
            LEFT.set(0);
            leave(Spent::Fuel)
        }
    }
}

/// Takes what a text of so many bytes costs.
pub(super) fn charge_text(bytes: usize) {
    if bytes > MAX_TEXT_BYTES {
        leave(Spent::Text)
    }
    charge(1 + bytes / 64);
}

/// The kinds of data that programs work on.
pub(super) struct Jq;

impl DataT for Jq {
    type V<'a> = Json;
    type Data<'a> = Metered<'a>;
}

/// The table of terms. The interpreter asks for it at every step, so this is where steps are counted.
#[derive(Clone, Copy)]
pub(super) struct Metered<'a>(pub &'a Lut<Jq>);

impl<'a> HasLut<'a, Jq> for Metered<'a> {
    fn lut(&self) -> &'a Lut<Jq> {
        charge(1);
        if stack::pointer().abs_diff(STACK_START.get()) > STACK_BYTES {
            leave(Spent::Stack)
        }
        self.0
    }
}
