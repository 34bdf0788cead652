//! Webhooks over HTTP: who knows the key starts an execution, and nobody else learns anything.

use base64::Engine as _;
use reqwest::Method;
use serde_json::{Value, json};
use tests::served::{Answer, Api, Options, send, serving, serving_with};

const HOOK: &str = "
id: hook
namespace: tests.api
inputs:
  - {id: who, type: STRING, required: false}
tasks:
  - {id: t, type: io.kestra.plugin.core.debug.Return, format: '{{ trigger.body.name }}'}
outputs:
  - {id: said, type: STRING, value: '{{ outputs.t.value }} {{ inputs.who }}'}
triggers:
  - id: plain
    type: io.kestra.plugin.core.trigger.Webhook
    key: the-key
    inputs: {who: '{{ trigger.parameters.who[0] ?? null }}'}
  - id: picky
    type: io.kestra.plugin.core.trigger.Webhook
    key: \"{{ 'another' ~ '-key' }}\"
    conditions:
      - {type: io.kestra.plugin.core.condition.Expression, expression: \"{{ trigger.body.name == 'Ada' }}\"}
  - {id: waits, type: io.kestra.plugin.core.trigger.Webhook, key: waits, wait: true}
  - {id: tells, type: io.kestra.plugin.core.trigger.Webhook, key: tells, returnOutputs: true}
  - {id: off, type: io.kestra.plugin.core.trigger.Webhook, key: off, disabled: true}
";

async fn call(api: &Api, method: Method, path: &str, body: &str) -> Answer {
    let request = api.request(method, &format!("executions/webhook/{path}")).body(body.to_owned());
    send(request).await
}

fn variables(answer: &Answer) -> Value {
    let shown: Value = serde_json::from_str(&answer.text).expect("JSON");
    shown["trigger"]["variables"].clone()
}

#[tokio::test]
async fn a_request_becomes_variables_of_the_trigger() {
    serving(async |api| {
        api.save(HOOK).await;
        let path = "tests.api/hook/the-key?who=Bob&who=Eve&x=";
        for method in [Method::POST, Method::PUT] {
            let answer = call(api, method, path, r#"{"name":"Ada"}"#).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let told = variables(&answer);
            assert_eq!(told["body"], json!({ "name": "Ada" }));
            assert_eq!(told["parameters"], json!({ "who": ["Bob", "Eve"], "x": [""] }));
            assert_eq!(told["headers"]["host"], json!([api.address.to_string()]));
            let shown: Value = serde_json::from_str(&answer.text).expect("JSON");
            assert_eq!(shown["inputs"]["who"], "Bob");
            assert_eq!(shown["trigger"]["id"], "plain");
        }
        for (body, expected) in [
            ("", Value::Null),
            ("[1,{\"a\":2}]", json!([1, { "a": 2 }])),
            ("no JSON", json!("no JSON")),
            ("42", json!("42")),
        ] {
            let answer = call(api, Method::GET, "tests.api/hook/the-key", body).await;
            assert_eq!(variables(&answer)["body"], expected, "{body}");
        }
        let deeper = call(api, Method::POST, "tests.api/hook/the-key/and/more", "{}").await;
        assert_eq!(variables(&deeper)["path"], "and/more");
    })
    .await;
}

#[tokio::test]
async fn conditions_choose_and_answers_wait() {
    serving(async |api| {
        api.save(HOOK).await;
        let yes = call(api, Method::POST, "tests.api/hook/another-key", r#"{"name":"Ada"}"#).await;
        assert_eq!(yes.status, 200);
        let no = call(api, Method::POST, "tests.api/hook/another-key", r#"{"name":"Bob"}"#).await;
        assert_eq!((no.status, no.text.as_str()), (204, ""));
        let waited = call(api, Method::POST, "tests.api/hook/waits", r#"{"name":"Ada"}"#).await;
        let waited: Value = serde_json::from_str(&waited.text).expect("JSON");
        assert_eq!(waited["state"]["current"], "SUCCESS");
        let told = call(api, Method::POST, "tests.api/hook/tells", r#"{"name":"Ada"}"#).await;
        assert_eq!(told.text, r#"{"said":"Ada "}"#);
    })
    .await;
}

#[tokio::test]
async fn whoever_does_not_know_the_key_learns_nothing() {
    serving(async |api| {
        api.save(HOOK).await;
        api.save(&HOOK.replace("id: hook", "id: away\ndisabled: true")).await;
        let wrong = call(api, Method::POST, "tests.api/hook/wrong", "{}").await;
        assert_eq!(wrong.status, 404);
        for path in [
            "tests.api/hook/off",
            "tests.api/away/the-key",
            "tests.api/nobody/the-key",
            "nowhere/hook/the-key",
            "tests.api/hook/the-key%00",
            "tests.api/hook/THE-KEY",
            "tests.api/hook/wrong/and/more",
        ] {
            let answer = call(api, Method::POST, path, "{}").await;
            assert_eq!((answer.status, &answer.text), (404, &wrong.text), "{path}");
        }
        let put = json!({ "namespace": "tests.api", "flowId": "hook", "triggerId": "plain", "disabled": true });
        let response = api
            .request(Method::PUT, "triggers")
            .header("content-type", "application/json")
            .body(put.to_string())
            .send()
            .await
            .expect("it answers");
        assert_eq!(response.status(), 200);
        let off = call(api, Method::POST, "tests.api/hook/the-key", "{}").await;
        assert_eq!((off.status, &off.text), (404, &wrong.text));
        let long = call(api, Method::POST, "tests.api/hook/the-key", &"x".repeat((1 << 20) + 1)).await;
        assert_eq!(long.status, 413);
        let started = api.get("executions/search?namespace=tests.api").await.ok();
        assert_eq!(started["total"], 0);
    })
    .await;
}

#[tokio::test]
async fn the_key_is_all_that_is_asked_for_and_opens_nothing_else() {
    let options = Options { credentials: Some(("ada", "lovelace")), ..Options::default() };
    serving_with(options, async |api| {
        let login = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("ada:lovelace"));
        let saving = api.request(Method::POST, "flows").header("authorization", login).body(HOOK);
        let saved = saving.header("content-type", "application/x-yaml").send().await.expect("it answers");
        assert!(saved.status().is_success(), "{}", saved.status());
        assert_eq!(call(api, Method::POST, "tests.api/hook/the-key", "{}").await.status, 200);
        // A namespace of that name is no way around the login.
        assert_eq!(call(api, Method::POST, "hook", "{}").await.status, 401);
        assert_eq!(call(api, Method::DELETE, "tests.api/hook/the-key", "{}").await.status, 405);
        assert_eq!(api.get("triggers/search").await.status, 401);
    })
    .await;
}

#[tokio::test]
async fn triggers_are_listed_with_how_they_stand() {
    serving(async |api| {
        api.save(HOOK).await;
        api.save("id: timed\nnamespace: tests.api.deeper\ntasks:\n  - {id: t, type: io.kestra.plugin.core.debug.Return, format: x}\ntriggers:\n  - {id: s, type: io.kestra.plugin.core.trigger.Schedule, cron: '0 0 1 1 *', stopAfter: [FAILED]}\n").await;
        let found = api.get("triggers/search?q=timed").await.ok();
        assert_eq!(found["total"], 1);
        let entry = &found["results"][0];
        assert_eq!(entry["abstractTrigger"]["cron"], "0 0 1 1 *");
        let context = &entry["triggerContext"];
        assert_eq!(context["triggerId"], "s");
        assert_eq!(context["stopAfter"], json!(["FAILED"]));
        assert_eq!(context["disabled"], false);
        assert!(context["nextExecutionDate"].as_str().is_some_and(|date| date.contains("-01-01T00:00:00Z")));
        assert_eq!(api.get("triggers/search?namespace=tests.api").await.ok()["total"], 6);
        let of_flow = api.get("triggers/tests.api/hook?size=2&page=3").await.ok();
        assert_eq!((of_flow["total"].clone(), of_flow["results"].as_array().map(Vec::len)), (json!(5), Some(1)));
        let asked = json!({ "namespace": "tests.api.deeper", "flowId": "timed", "triggerId": "s", "backfill": { "start": "2020-01-01T00:00:00Z", "end": "2020-06-01T00:00:00Z", "inputs": { "a": 1 } } });
        let shown = api.request(Method::PUT, "triggers").header("content-type", "application/json").body(asked.to_string()).send().await.expect("it answers");
        let shown: Value = serde_json::from_str(&shown.text().await.expect("a text")).expect("JSON");
        assert_eq!(shown["backfill"]["currentDate"], "2020-01-01T00:00:00Z");
        assert_eq!(shown["backfill"]["inputs"], json!({ "a": 1 }));
        let nothing = json!({ "namespace": "tests.api.deeper", "flowId": "timed", "triggerId": "s" });
        let refused = api.request(Method::PUT, "triggers").header("content-type", "application/json").body(nothing.to_string()).send().await.expect("it answers");
        assert_eq!(refused.status(), 422);
        let unlock = api.request(Method::POST, "triggers/tests.api/nobody/s/unlock").send().await.expect("it answers");
        assert_eq!(unlock.status(), 404);
    })
    .await;
}

#[tokio::test]
async fn a_webhook_can_ask_for_a_signature() {
    let secrets = [("HOOK".to_owned(), "It's a Secret to Everybody".to_owned())].into();
    serving_with(Options { secrets, ..Options::default() }, async |api| {
        let flow = |id: &str, more: &str| {
            format!("id: {id}\nnamespace: tests.api\ntasks: [{{id: t, type: io.kestra.plugin.core.debug.Return, format: x}}]\ntriggers: [{{id: w, type: io.kestra.plugin.core.trigger.Webhook, key: k, signature: {{secret: \"{{{{ secret('HOOK') }}}}\"{more}}}}}]\n")
        };
        api.save(&flow("github", "")).await;
        api.save(&flow("other", ", header: X-Other")).await;
        // GitHub's own example: the body `Hello, World!`, the secret above.
        let good = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let signed = async |flow: &str, header: &str, value: &str, body: &str| {
            let path = format!("executions/webhook/tests.api/{flow}/k");
            send(api.request(Method::POST, &path).header(header, value).body(body.to_owned())).await
        };
        let body = "Hello, World!";
        assert_eq!(signed("github", "X-Hub-Signature-256", &format!("sha256={good}"), body).await.status, 200);
        assert_eq!(signed("github", "x-hub-signature-256", good, body).await.status, 200);
        let bytes: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&good[at..at + 2], 16).expect("digits")).collect();
        let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
        assert_eq!(signed("other", "X-Other", &encoded, body).await.status, 200);
        signed("github", "X-Hub-Signature-256", &format!("sha256={good}"), "Hello, World?").await.refused(401, "webhook.signature");
        signed("github", "X-Hub-Signature-256", "sha256=", body).await.refused(401, "webhook.signature");
        signed("other", "X-Hub-Signature-256", good, body).await.refused(401, "webhook.signature");
        // Who does not know the key learns nothing.
        let wrong_key = send(api.request(Method::POST, "executions/webhook/tests.api/github/z").body(body)).await;
        wrong_key.refused(404, "not_found");
        let started = api.get("executions/search?flowId=github&namespace=tests.api").await.ok();
        assert_eq!(started["total"], 2);
        api.post("flows", "application/x-yaml", flow("bad", ", header: 'no name'")).await.refused(422, "flow.invalid");
    })
    .await;
}
