//! What `wit/` says, as Rust. Written by a macro; nothing here is by hand and nothing outside this crate sees it.
//!
//! Functions of `context`, `log` and `report` answer at once; all others may wait. All may trap, which only a broken handle does.

wasmtime::component::bindgen!({
    path: ["../../wit/task@1.0.0", "../../wit/host@1.0.0", "../../wit/llm@1.0.0", "../../wit/plugin@1.0.0"],
    world: "sluice:plugin/everything@1.0.0",
    imports: {
        "sluice:host/context": trappable,
        "sluice:host/log": trappable,
        "sluice:host/report": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    with: {
        "sluice:host/files.writer": crate::host::files::Writer,
        "sluice:host/process.child": crate::host::process::Child,
        "sluice:llm/broker.answer": crate::host::broker::Pending,
    },
});
