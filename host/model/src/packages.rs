//! Kestra's packages and the plugins that stand for them here: what gives a plugin that is not installed its name. Knows names only;
//! what is installed is asked of [`Types`](crate::Types).

/// Packages, and types, whose plugin is not named after their first part. The longest that fits counts.
const PACKAGES: &[(&str, &str)] = &[
    ("io.kestra.plugin.fs.http", "http"),
    ("io.kestra.plugin.googleworkspace.calendar", "google-calendar"),
    ("io.kestra.plugin.googleworkspace.drive", "google-drive"),
    ("io.kestra.plugin.googleworkspace.sheets", "google-sheets"),
    ("io.kestra.plugin.googleworkspace.mail", "google-mail"),
    ("io.kestra.plugin.googleworkspace", "google-workspace"),
    ("io.kestra.plugin.langchain4j", "ai"),
    ("io.kestra.plugin.langchain4j.provider.AmazonBedrock", "bedrock"),
    ("io.kestra.plugin.langchain4j.provider.Anthropic", "anthropic"),
    ("io.kestra.plugin.langchain4j.provider.AzureOpenAI", "azure-openai"),
    ("io.kestra.plugin.langchain4j.provider.DeepSeek", "deepseek"),
    ("io.kestra.plugin.langchain4j.provider.GoogleGemini", "gemini"),
    ("io.kestra.plugin.langchain4j.provider.GoogleVertexAI", "vertexai"),
    ("io.kestra.plugin.langchain4j.provider.MistralAI", "mistral"),
    ("io.kestra.plugin.langchain4j.provider.Ollama", "ollama"),
    ("io.kestra.plugin.langchain4j.provider.OpenAI", "openai"),
    ("io.kestra.plugin.langchain4j.provider.OpenRouter", "openrouter"),
    ("io.kestra.plugin.ai.provider.AmazonBedrock", "bedrock"),
    ("io.kestra.plugin.ai.provider.Anthropic", "anthropic"),
    ("io.kestra.plugin.ai.provider.AzureOpenAI", "azure-openai"),
    ("io.kestra.plugin.ai.provider.DeepSeek", "deepseek"),
    ("io.kestra.plugin.ai.provider.GoogleGemini", "gemini"),
    ("io.kestra.plugin.ai.provider.GoogleVertexAI", "vertexai"),
    ("io.kestra.plugin.ai.provider.MistralAI", "mistral"),
    ("io.kestra.plugin.ai.provider.Ollama", "ollama"),
    ("io.kestra.plugin.ai.provider.OpenAI", "openai"),
    ("io.kestra.plugin.ai.provider.OpenRouter", "openrouter"),
];

/// What the core's package is called.
const PRESENT: &str = "io.kestra.plugin.core.";
/// What the core's package was called before Kestra 0.18. Its test tree uses it still.
const FORMER: &str = "io.kestra.core.tasks.";

/// What begins the name of a type within Kestra's core, present or former, and the plugin that has it here. All others are of `core`.
const OF_CORE: &[(&str, &str)] = &[
    ("http.", "http"),
    ("kv.", "kv"),
    ("state.", "kv"),
    ("states.", "kv"),
    ("namespace.", "storage"),
    ("storage.", "storage"),
    ("storages.", "storage"),
    ("execution.Count", "records"),
    ("executions.Count", "records"),
    ("execution.PurgeExecutions", "records"),
    ("log.Fetch", "records"),
    ("log.PurgeLogs", "records"),
];

/// Packages that hold a plugin per part: `io.kestra.plugin.jdbc.postgresql` is of plugin `jdbc-postgresql`.
const FAMILIES: &[&str] = &["debezium", "ee", "jdbc", "scripts", "serdes", "transform"];

/// Packages whose parts were plugins of their own before or after: `io.kestra.plugin.notifications.slack` is of plugin `slack`.
const COLLECTIONS: &[&str] = &["notifications"];

/// Task and trigger types of Kestra 1.0's core below `io.kestra.plugin.core.`, but for those that the engine carries out itself.
const CORE: &[&str] = &[
    "debug.Echo",
    "debug.Return",
    "execution.Count",
    "execution.Fail",
    "execution.PurgeExecutions",
    "http.Download",
    "http.Request",
    "http.SseRequest",
    "http.Trigger",
    "kv.Delete",
    "kv.Get",
    "kv.GetKeys",
    "kv.PurgeKV",
    "kv.Set",
    "kv.Version",
    "log.Fetch",
    "log.Log",
    "log.PurgeLogs",
    "namespace.DeleteFiles",
    "namespace.DownloadFiles",
    "namespace.PurgeFiles",
    "namespace.UploadFiles",
    "output.OutputValues",
    "state.Delete",
    "state.Get",
    "state.Set",
    "storage.Concat",
    "storage.DeduplicateItems",
    "storage.Delete",
    "storage.FilterItems",
    "storage.LocalFiles",
    "storage.PurgeCurrentExecutionFiles",
    "storage.PurgeExecution",
    "storage.Reverse",
    "storage.Size",
    "storage.Split",
];

/// Parts of the core's package under their former name, and their present one.
const RENAMED: &[(&str, &str)] =
    &[("debugs.", "debug."), ("executions.", "execution."), ("states.", "state."), ("storages.", "storage.")];

/// The plugin that a type of Kestra's naming belongs to; `None` for types of others.
pub(crate) fn plugin_of(type_name: &str) -> Option<String> {
    let former = type_name.strip_prefix(FORMER).filter(|_| is_core(type_name));
    if let Some(class) = former.or_else(|| type_name.strip_prefix(PRESENT)) {
        let listed = OF_CORE.iter().find(|(begin, _)| class.starts_with(begin));
        return Some(listed.map_or("core", |(_, plugin)| plugin).to_owned());
    }
    let within =
        |package: &str| type_name.strip_prefix(package).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let listed = PACKAGES.iter().filter(|(package, _)| within(package)).max_by_key(|(package, _)| package.len());
    if let Some((_, plugin)) = listed {
        return Some((*plugin).to_owned());
    }
    let mut parts = type_name.strip_prefix("io.kestra.plugin.")?.split('.');
    // The last part is the class, no part of the package.
    let _class = parts.next_back()?;
    let first = parts.next()?;
    let name = match parts.next() {
        Some(second) if FAMILIES.contains(&first) => format!("{first}-{second}"),
        Some(second) if COLLECTIONS.contains(&first) => second.to_owned(),
        _ => first.to_owned(),
    };
    let name = name.to_ascii_lowercase().replace('_', "-");
    let fine = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') && !name.starts_with('-');
    (fine && !name.is_empty()).then_some(name)
}

/// Whether Kestra's core has a type of this name, under its present or former package.
pub(crate) fn is_core(type_name: &str) -> bool {
    let class = [PRESENT, FORMER].iter().find_map(|package| type_name.strip_prefix(package));
    let present = |class: &str| {
        let renamed =
            RENAMED.iter().find_map(|(former, present)| Some(format!("{present}{}", class.strip_prefix(former)?)));
        renamed.unwrap_or_else(|| class.to_owned())
    };
    class.is_some_and(|class| CORE.contains(&present(class).as_str()))
}

/// The package of a type: `com.example.mail` of `com.example.mail.Send`. `None` for what is no type of anybody.
pub(crate) fn package_of(type_name: &str) -> Option<&str> {
    let (package, class) = type_name.rsplit_once('.')?;
    let fine = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-$".contains(&byte))
    };
    (package.contains('.') && package.split('.').chain([class]).all(fine)).then_some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_name_their_plugins() {
        for (type_name, plugin) in [
            ("io.kestra.plugin.git.Clone", Some("git")),
            ("io.kestra.plugin.gitlab.issues.Create", Some("gitlab")),
            ("io.kestra.plugin.core.kv.PurgeKV", Some("kv")),
            ("io.kestra.plugin.core.state.Get", Some("kv")),
            ("io.kestra.plugin.core.storage.Split", Some("storage")),
            ("io.kestra.plugin.core.namespace.UploadFiles", Some("storage")),
            ("io.kestra.plugin.core.log.Fetch", Some("records")),
            ("io.kestra.plugin.core.execution.Count", Some("records")),
            ("io.kestra.plugin.core.log.Log", Some("core")),
            ("io.kestra.plugin.core.execution.Fail", Some("core")),
            ("io.kestra.core.tasks.debugs.Return", Some("core")),
            ("io.kestra.core.tasks.states.Set", Some("kv")),
            ("io.kestra.core.tasks.storages.Concat", Some("storage")),
            ("io.kestra.core.tasks.http.Request", Some("http")),
            ("io.kestra.core.tasks.test.Read", None),
            ("io.kestra.plugin.core.http.Request", Some("http")),
            ("io.kestra.plugin.notifications.slack.SlackIncomingWebhook", Some("slack")),
            ("io.kestra.plugin.slack.SlackIncomingWebhook", Some("slack")),
            ("io.kestra.plugin.googleworkspace.calendar.InsertEvent", Some("google-calendar")),
            ("io.kestra.plugin.jdbc.postgresql.Query", Some("jdbc-postgresql")),
            ("io.kestra.plugin.jdbc.Query", Some("jdbc")),
            ("io.kestra.plugin.scripts.shell.Commands", Some("scripts-shell")),
            ("io.kestra.plugin.ai.agent.AIAgent", Some("ai")),
            ("io.kestra.plugin.kestra.ee.tests.RunTests", Some("kestra")),
            ("io.kestra.plugin.core", None),
            ("io.kestra.plugin.Task", None),
            ("io.kestra.plugin..Task", None),
            ("io.kestra.plugins.git.Clone", None),
            ("com.example.mail.Send", None),
        ] {
            assert_eq!(plugin_of(type_name).as_deref(), plugin, "{type_name}");
        }
    }

    #[test]
    fn types_of_the_core_are_known_by_both_names() {
        assert!(is_core("io.kestra.plugin.core.kv.PurgeKV") && is_core("io.kestra.core.tasks.debugs.Return"));
        assert!(!is_core("io.kestra.plugin.core.kv.PurgeKv") && !is_core("io.kestra.plugin.git.Clone"));
    }

    #[test]
    fn packages_are_reversed_domains() {
        assert_eq!(package_of("com.example.mail.Send"), Some("com.example.mail"));
        for text in ["Send", "mail.Send", "com..Send", "com.example.", "com.exa mple.Send"] {
            assert_eq!(package_of(text), None, "{text}");
        }
    }
}
