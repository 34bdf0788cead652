//! The task and trigger types that Sluice carries out itself, and every name they ever had. Plugins name their own aliases.

use crate::task::EngineAction;

/// A task type of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    Sequential,
    AllowFailure,
    Parallel,
    Dag,
    If,
    Switch,
    ForEach,
    EachSequential,
    EachParallel,
    ForEachItem,
    LoopUntil,
    /// LoopUntil under its former name, with the interval it had then.
    WaitFor,
    Pause,
    Sleep,
    Subflow,
    WorkingDirectory,
    Template,
    Action(EngineAction),
}

/// Present package, former package: a type of the one is an alias in the other.
const RENAMED: &[(&str, &str)] = &[
    ("io.kestra.plugin.core.flow.", "io.kestra.core.tasks.flows."),
    ("io.kestra.plugin.core.execution.", "io.kestra.core.tasks.executions."),
    ("io.kestra.plugin.core.execution.", "io.kestra.plugin.kestra.executions."),
    ("io.kestra.plugin.core.templating.", "io.kestra.core.tasks.templating."),
    ("io.kestra.plugin.core.trigger.", "io.kestra.core.tasks.trigger."),
    ("io.kestra.plugin.core.trigger.", "io.kestra.core.models.triggers.types."),
    ("io.kestra.plugin.core.condition.", "io.kestra.core.models.conditions.types."),
];

const TASKS: &[(&str, Builtin)] = &[
    ("io.kestra.plugin.core.flow.Sequential", Builtin::Sequential),
    ("io.kestra.plugin.core.flow.AllowFailure", Builtin::AllowFailure),
    ("io.kestra.plugin.core.flow.Parallel", Builtin::Parallel),
    ("io.kestra.plugin.core.flow.Dag", Builtin::Dag),
    ("io.kestra.plugin.core.flow.If", Builtin::If),
    ("io.kestra.plugin.core.flow.Switch", Builtin::Switch),
    ("io.kestra.plugin.core.flow.ForEach", Builtin::ForEach),
    ("io.kestra.plugin.core.flow.EachSequential", Builtin::EachSequential),
    ("io.kestra.plugin.core.flow.EachParallel", Builtin::EachParallel),
    ("io.kestra.plugin.core.flow.ForEachItem", Builtin::ForEachItem),
    ("io.kestra.plugin.core.flow.LoopUntil", Builtin::LoopUntil),
    ("io.kestra.plugin.core.flow.WaitFor", Builtin::WaitFor),
    ("io.kestra.plugin.core.flow.Pause", Builtin::Pause),
    ("io.kestra.plugin.core.flow.Sleep", Builtin::Sleep),
    ("io.kestra.plugin.core.flow.Subflow", Builtin::Subflow),
    ("io.kestra.plugin.core.flow.Flow", Builtin::Subflow),
    ("io.kestra.plugin.core.flow.WorkingDirectory", Builtin::WorkingDirectory),
    ("io.kestra.plugin.core.flow.Worker", Builtin::WorkingDirectory),
    ("io.kestra.plugin.core.flow.Template", Builtin::Template),
    ("io.kestra.plugin.core.execution.Labels", Builtin::Action(EngineAction::Labels)),
    ("io.kestra.plugin.core.execution.SetVariables", Builtin::Action(EngineAction::SetVariables)),
    ("io.kestra.plugin.core.execution.UnsetVariables", Builtin::Action(EngineAction::UnsetVariables)),
    ("io.kestra.plugin.core.execution.Exit", Builtin::Action(EngineAction::Exit)),
    ("io.kestra.plugin.core.execution.Kill", Builtin::Action(EngineAction::Kill)),
    ("io.kestra.plugin.core.execution.Resume", Builtin::Action(EngineAction::Resume)),
    ("io.kestra.plugin.core.execution.Assert", Builtin::Action(EngineAction::Assert)),
    ("io.kestra.plugin.core.trigger.Toggle", Builtin::Action(EngineAction::Toggle)),
];

/// Types of newer or other editions that nothing here can stand for, with what to do.
const NOT_HERE: &[(&str, &str)] = &[
    ("io.kestra.plugin.core.flow.Loop", "it is newer than Kestra 1.0; use `io.kestra.plugin.core.flow.ForEach`"),
    ("io.kestra.plugin.core.flow.Approval", "it is newer than Kestra 1.0; use `io.kestra.plugin.core.flow.Pause`"),
    ("io.kestra.plugin.core.flow.PurgeFlows", "it is newer than Kestra 1.0"),
    (
        "io.kestra.plugin.core.templating.TemplatedTask",
        "the plugin of a task that is not known before it runs cannot be locked; write the task itself, its properties may hold expressions",
    ),
    (
        "io.kestra.plugin.core.trigger.BatchWebhook",
        "it is newer than Kestra 1.0; use `io.kestra.plugin.core.trigger.Webhook`",
    ),
    ("io.kestra.plugin.core.trigger.McpToolTrigger", "it is newer than Kestra 1.0"),
];

/// Types of Kestra's plugins that the plugins of the same name do not have here, with what to do.
const NOT_YET: &[(&str, &str)] = &[
    (
        "io.kestra.plugin.ollama.cli.OllamaCLI",
        "it runs in a container; use `io.kestra.plugin.ollama.ChatCompletion`, over the HTTP API of Ollama",
    ),
    ("io.kestra.plugin.gemini.VideoGeneration", "videos are not made yet"),
    (
        "io.kestra.plugin.ai.agent.AIAgent",
        "there are no agents yet; `io.kestra.plugin.ai.completion.ChatCompletion` asks once",
    ),
    ("io.kestra.plugin.ai.agent.A2AClient", "there are no agents yet"),
    (
        "io.kestra.plugin.ai.rag.ChatCompletion",
        "nothing is looked up for a model yet; `io.kestra.plugin.ai.completion.ChatCompletion` asks it",
    ),
    ("io.kestra.plugin.ai.rag.IngestDocument", "nothing is looked up for a model yet"),
    ("io.kestra.plugin.ai.rag.Search", "nothing is looked up for a model yet"),
    ("io.kestra.plugin.ai.mcp.CallTool", "MCP servers are not asked yet"),
    ("io.kestra.plugin.ai.mcp.ListTools", "MCP servers are not asked yet"),
];

/// Why an installed plugin does not have a type that Kestra's has.
pub(super) fn not_yet(type_name: &str) -> Option<&'static str> {
    NOT_YET.iter().find(|(known, _)| *known == type_name).map(|(_, reason)| *reason)
}

/// The present name of a type that was renamed, else the name itself.
pub(super) fn canonical(type_name: &str) -> String {
    for (present, former) in RENAMED {
        if let Some(class) = type_name.strip_prefix(former) {
            return format!("{present}{class}");
        }
    }
    type_name.to_owned()
}

/// The names that a type had in former packages.
pub(crate) fn former_names(type_name: &str) -> Vec<String> {
    let former = |(present, former): &(&str, &str)| Some(format!("{former}{}", type_name.strip_prefix(present)?));
    RENAMED.iter().filter_map(former).collect()
}

/// The engine's task of this type, under any of its names.
pub(super) fn task(type_name: &str) -> Option<Builtin> {
    let name = canonical(type_name);
    TASKS.iter().find(|(known, _)| *known == name).map(|(_, builtin)| *builtin)
}

/// Why a type is not taken, where that is known.
pub(super) fn not_here(type_name: &str) -> Option<&'static str> {
    let name = canonical(type_name);
    NOT_HERE.iter().find(|(known, _)| *known == name).map(|(_, reason)| *reason)
}

/// Names of all tasks of the engine, for corrections.
pub(super) fn names<'a>() -> impl Iterator<Item = &'a str> {
    TASKS.iter().map(|(name, _)| *name)
}
