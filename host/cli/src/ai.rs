//! `sluice ai check`: asks each provider of models that a configuration names one small question, and says what comes of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use console::style;
use serde_json::{Value, json};
use server::{ModelProvider, Node};

use crate::args::{AiCheck, Global};
use crate::setup::{self, Kept};

/// What is asked: whoever answers at all has passed.
const QUESTION: &str = "Answer with the one word OK.";
/// Letters of an answer that are shown.
const SHOWN_LETTERS: usize = 60;

/// Asks all of them, one after the other, so that each line tells of one.
pub async fn check(global: &Global, arguments: &AiCheck) -> Result<ExitCode> {
    let files: Vec<PathBuf> = match arguments.files.as_slice() {
        [] => global.config.iter().cloned().collect(),
        files => files.to_vec(),
    };
    if files.is_empty() {
        bail!("there is no configuration to check\n  hint: `sluice ai check FILE`, or --config FILE");
    }
    let mut providers = Vec::new();
    for file in &files {
        let read = setup::model_providers(file)?;
        if read.is_empty() {
            bail!("`{}` configures no provider of models: there is no `kestra.ai` in it", file.display());
        }
        providers.extend(read.into_iter().filter(|one| arguments.provider.as_ref().is_none_or(|id| *id == one.id)));
    }
    if providers.is_empty() {
        bail!("no provider has the id `{}`", arguments.provider.as_deref().unwrap_or_default());
    }
    let kept = Kept::open(global, None)?;
    let node = setup::node(global, &kept, &[], &[]).await?;
    let mut failed = 0;
    for provider in &providers {
        failed += usize::from(!ask(&node, provider).await);
    }
    kept.end(node).await?;
    if failed > 0 {
        crate::complain(&format!("{failed} of {} providers did not answer", providers.len()));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a provider answers.
async fn ask(node: &Arc<Node>, provider: &ModelProvider) -> bool {
    let title = format!("{} ({})", provider.id, provider.model());
    let request = json!({
        "model": "",
        "messages": [{ "role": "user", "parts": [{ "type": "text", "text": QUESTION }] }],
    });
    let began = Instant::now();
    match node.ask_provider(provider, request).await {
        Ok(answer) => {
            let tokens = |name: &str| answer.pointer(&format!("/usage/{name}")).and_then(Value::as_u64).unwrap_or(0);
            crate::print(&format!(
                "{} {title}: answered in {} ms, {} tokens in, {} out: {}",
                style("ok    ").green(),
                began.elapsed().as_millis(),
                tokens("inputTokens"),
                tokens("outputTokens"),
                said(&answer)
            ));
            true
        }
        Err(failure) => {
            crate::print(&format!("{} {title}: {}: {}", style("failed").red(), failure.code, failure.message));
            false
        }
    }
}

/// The beginning of an answer.
fn said(answer: &Value) -> String {
    let parts = answer.get("parts").and_then(Value::as_array).into_iter().flatten();
    let text: String = parts
        .filter(|part| part.get("type").is_some_and(|kind| kind == "text"))
        .filter_map(|part| part.get("text")?.as_str())
        .collect();
    let shown: String = text.chars().filter(|letter| !letter.is_control()).take(SHOWN_LETTERS).collect();
    format!("\"{shown}\"")
}
