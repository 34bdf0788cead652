//! `http.Trigger`.

use serde_json::json;
use sluice_sdk::prelude::*;

use crate::request::{RequestOutputs, read_text};
use crate::target::properties_of_requests;

properties_of_requests! {
    pub struct TriggerProperties {
        /// Whether the response starts an execution; `response` has `statusCode`, `body` and `headers`. False are `false`, `0`, `-0` and nothing.
        #[default("{{ response.statusCode < 400 }}")]
        #[render(later)]
        response_condition: String,
        /// Not supported: this host has no encrypted outputs. Only `false` is accepted.
        encrypt_body: Option<bool>,
    }
}

/// Start an execution when an API answers as wanted.
///
/// Asks in intervals (`interval`, without it PT1M). Any status is an answer: `responseCondition` chooses. A request that got no answer is in
/// the log of the trigger, and the next one comes an interval later.
///
/// # When a price falls
/// ```yaml
/// id: cheap
/// type: io.kestra.plugin.core.http.Trigger
/// uri: https://api.example.com/products/1
/// responseCondition: "{{ fromJson(response.body).price < 110 }}"
/// interval: PT30S
/// ```
#[trigger("io.kestra.plugin.core.http.Trigger", aliases = ["io.kestra.plugin.fs.http.Trigger"])]
pub fn trigger(
    mut properties: TriggerProperties,
    _cursor: Option<&str>,
    cx: &Context,
) -> Result<Option<Fired<RequestOutputs>>, Failure> {
    if properties.encrypt_body == Some(true) {
        return Err(Failure::bad_property("property `encryptBody` is not supported: leave it out"));
    }
    let options = properties.take_options();
    options.charset()?;
    let mut response = properties.target().send(&options, cx)?;
    let body = read_text(&mut response, &options, cx)?;
    let outputs = RequestOutputs::of(&response, body);
    let seen = json!({ "response": { "statusCode": outputs.code, "body": outputs.body, "headers": outputs.headers } });
    Ok(is_true(&cx.render(&properties.response_condition, &seen)?).then(|| Fired::new(outputs)))
}

/// What a rendered condition means.
fn is_true(rendered: &str) -> bool {
    !matches!(rendered.trim(), "" | "false" | "0" | "-0")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use sluice_sdk::testing::{MockHost, Scripted};

    use super::*;
    use crate::Plugin;

    const TYPE: &str = "io.kestra.plugin.core.http.Trigger";
    const INPUT: &str = r#"{"uri": "https://api.example.com/p", "responseCondition": "{{ cheap }}"}"#;

    #[test]
    fn fires_when_the_condition_holds() {
        for (rendered, fires) in [("true", true), ("1", true), ("false", false), ("0", false), (" ", false)] {
            let answer = Scripted::status(404).header("x-a", "b").body("text");
            let host =
                MockHost::new().answer("GET https://api.example.com/p", answer).rendered("{{ cheap }}", rendered);
            let fired = host.poll::<Plugin>(TYPE, INPUT, None).unwrap();
            assert_eq!(fired.is_some(), fires, "`{rendered}`");
            if let Some(fired) = fired {
                let fired: Value = serde_json::from_str(&fired).unwrap();
                assert_eq!(fired["outputs"]["code"], 404);
                assert_eq!(fired["outputs"]["body"], "text");
                assert_eq!(fired["outputs"]["headers"]["x-a"], json!(["b"]));
                assert_eq!(fired["cursor"], Value::Null);
            }
        }
    }

    #[test]
    fn failure_is_told() {
        let host = MockHost::new().answer("GET https://api.example.com/p", Scripted::status(200).body("x"));
        let failure = host.poll::<Plugin>(TYPE, INPUT, None).unwrap_err();
        assert!(failure.message().contains("{{ cheap }}"), "{}", failure.message());
        let unknown = host.poll::<Plugin>("io.kestra.plugin.core.http.Triger", INPUT, None).unwrap_err();
        assert_eq!(unknown.code(), "UNKNOWN_TASK");
    }
}
