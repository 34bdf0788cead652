//! What a flow is: flow, task, trigger, input, execution, state; parsing and validation.
