//! A guest that wants out. A task type is a kind of thing that is tried, the property `with` says on what; an attempt that the host lets
//! through succeeds. It is honest about one thing only: what it is told in refusal is what it fails with.
//!
//! On the raw world, since the SDK would do half of this for it, and with care.

mod answers;
mod bombs;
mod files;
mod http;
mod inside;

wit_bindgen::generate!({
    path: ["../../../wit/task@1.0.0", "../../../wit/host@1.0.0", "../../../wit/llm@1.0.0", "../../../wit/plugin@1.0.0"],
    world: "sluice:plugin/trusted-task",
    generate_all,
});

use answers::{Answer, failed, texts};
use exports::sluice::task::describe::Guest as Describe;
use exports::sluice::task::run::{Failure, Guest as Run};

struct Hostile;
export!(Hostile);

impl Describe for Hostile {
    fn describe() -> String {
        r#"{"name":"hostile"}"#.to_owned()
    }
}

impl Run for Hostile {
    fn run(task: String, input: String) -> Result<String, Failure> {
        // What would name a namespace or an expression in the flow's text is written otherwise there.
        let said: Vec<String> = texts(&input)
            .iter()
            .map(|text| {
                let shown = text.replace("hidden:", "nsfile://").replace("((", "{{").replace("))", "}}");
                shown.replace("(%", "{%").replace("%)", "%}").replace(":!//", "://")
            })
            .collect();
        let with: Vec<&str> = said.iter().map(String::as_str).collect();
        let answer = attempt(task.rsplit('.').next().unwrap_or_default(), &with)?;
        Ok(format!("{{\"value\":{}}}", answers::quoted(&answer)))
    }
}

fn attempt(kind: &str, with: &[&str]) -> Answer {
    match kind {
        "File" => files::file(with),
        "Storage" => files::storage(with),
        "Around" => inside::around(with),
        "Sleep" => inside::sleep(with),
        "Socket" => inside::socket(with),
        "Kv" => inside::kv(with),
        "Object" => inside::object(with),
        "Process" => inside::process(with),
        "Model" => inside::model(with),
        "Secret" => inside::secret(with),
        "Template" => inside::template(with),
        "Http" => http::http(with),
        "Bomb" => bombs::bomb(with),
        other => Err(failed("NO_TASK", other)),
    }
}
