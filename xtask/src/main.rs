//! Build chores: guests, the wasm target, captures.

fn main() {}
