//! How large published components may be. The repository carries every version for ever, so small comes first.

/// Largest component, in bytes.
pub const COMPONENT_BYTES: usize = 300_000;
/// Components that carry a whole library of their field or the properties of many task types, and what they may have.
const LARGER: &[(&str, usize)] = &[
    ("ai", 800_000),
    ("anthropic", 1_150_000),
    ("azure-openai", 1_150_000),
    ("bedrock", 1_150_000),
    ("deepseek", 1_150_000),
    ("discord", 480_000),
    ("gemini", 1_150_000),
    // Eleven task types, gitoxide, deflate and SHA-1 with its collision detection: a third is names of functions and manifest.
    ("git", 1_950_000),
    ("google-calendar", 470_000),
    ("http", 580_000),
    ("kv", 400_000),
    ("mistral", 1_150_000),
    ("ollama", 1_150_000),
    ("openai", 1_150_000),
    ("openrouter", 1_150_000),
    ("records", 400_000),
    ("slack", 470_000),
    ("storage", 550_000),
    ("vertexai", 1_150_000),
];
/// All components together, since a clone carries them all.
pub const REGISTRY_BYTES: usize = 20_000_000;

/// What a plugin's component may have.
pub fn of(plugin: &str) -> usize {
    LARGER.iter().find(|(name, _)| *name == plugin).map_or(COMPONENT_BYTES, |(_, budget)| *budget)
}
