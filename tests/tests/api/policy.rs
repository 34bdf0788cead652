//! What an operator allows plugins: looked at when a flow is saved and when its tasks run, and what a refusal tells to write is enough.

use serde_json::{Value, json};
use tests::registered::core_as;
use tests::served::{Api, Options, POLICY, serving_with};
use tests::stand_in::StandIn;

use super::versions::upload;

const FLOW: &str = "
id: needs
namespace: tests.api.part
tasks:
  - {id: asks, type: io.kestra.plugin.core.http.Request, uri: https://api.example.com/v1, headers: {key: \"{{ secret('API_KEY') }}\"}}
  - {id: again, type: io.kestra.plugin.core.http.Request, uri: 'https://api.example.com/v2/{{ inputs.x ?? 1 }}'}
  - {id: keeps, type: io.kestra.plugin.core.kv.Set, key: a, value: b}
  - {id: says, type: io.kestra.plugin.core.log.Log, message: 'see http://10.0.0.1/'}
";

fn with(policy: &str) -> Options {
    Options {
        policy: Some(policy.to_owned()),
        secrets: [("API_KEY".to_owned(), "a-key-nobody-guesses".to_owned())].into(),
        ..Options::default()
    }
}

/// Waits until a source may be saved, or may not.
async fn until(api: &Api, source: &str, may: bool) {
    for _ in 0..200 {
        if api.node.validate_flow(source).await.problems.is_empty() == may {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{:?}", api.node.validate_flow(source).await.problems);
}

/// The lines and places that the problems of a source tell to add.
async fn hints(api: &Api, source: &str) -> Vec<String> {
    let answer = api.post("flows", "application/x-yaml", source.to_owned()).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    let body: Value = serde_json::from_str(&answer.text).expect("JSON");
    let issues = body["problems"].as_array().cloned().unwrap_or_default();
    assert!(issues.iter().all(|issue| issue["code"] == "grant.missing" && issue["line"].is_u64()), "{issues:?}");
    issues.iter().map(|issue| issue["hint"].as_str().expect("a hint").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_refuses_all_that_is_not_written_and_tells_what_to_write() {
    serving_with(with("profile: strict\n"), async |api| {
        let found = hints(api, FLOW).await;
        let expected = [
            "add `files: write` under `plugins: http:` in `",
            "add `network: [\"api.example.com:443\"]` under `plugins: http:` in `",
            "add `secrets: [\"API_KEY\"]` under `plugins: http:` in `",
            "add `kv: [\"write *\"]` under `plugins: kv:` in `",
            "add `kv: [\"read *\"]` under `plugins: kv:` in `",
        ];
        for part in expected {
            assert_eq!(found.iter().filter(|hint| hint.starts_with(part)).count(), 1, "{part}: {found:#?}");
        }
        assert!(found.iter().all(|hint| hint.contains(POLICY)), "{found:#?}");
        // What was told, added, is enough; so is what is written by itself.
        let told = "profile: strict\nplugins:\n  http: {files: write, network: ['api.example.com:443'], secrets: ['API_KEY']}\n  kv: {kv: ['write *', 'read *']}\n";
        let least = server::least(FLOW, &api.node.plugins(), &runtime::Limits::default()).expect("a flow");
        assert!(least.contains("namespaces:\n  tests.api.part:\n    plugins:\n      http:\n"), "{least}");
        let noticing = tokio::spawn({
            let node = api.node.clone();
            async move { node.notice_plugins().await }
        });
        for policy in [told, least.as_str()] {
            std::fs::write(api.folder.join(POLICY), policy).expect("a file is written");
            api.until("/api/v1/cluster/versioned-plugins/audit", |log| log["results"][0]["action"] == "policy.change").await;
            until(api, FLOW, true).await;
            std::fs::write(api.folder.join(POLICY), "profile: strict # again\n").expect("a file is written");
            until(api, FLOW, false).await;
        }
        // One that cannot be read changes nothing, and the next that can be is taken.
        std::fs::write(api.folder.join(POLICY), "profile: lax\n").expect("a file is written");
        tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
        hints(api, FLOW).await;
        std::fs::write(api.folder.join(POLICY), told).expect("a file is written");
        until(api, FLOW, true).await;
        noticing.abort();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_only_a_run_knows_are_refused_there() {
    let outside = StandIn::open().await;
    let flow = |grants: &str| {
        format!(
            "{{id: runs, namespace: tests.api, {grants} inputs: [{{id: uri, type: STRING}}], tasks: [{{id: t, type: io.kestra.plugin.core.http.Request, uri: '{{{{ inputs.uri }}}}'}}]}}"
        )
    };
    let ask = async |api: &Api| {
        let uri = format!("http://{}/x", outside.address);
        let form = format!("--cut\r\ncontent-disposition: form-data; name=\"uri\"\r\n\r\n{uri}\r\n--cut--\r\n");
        let run = "executions/tests.api/runs?wait=true";
        let ended = api.post(run, "multipart/form-data; boundary=cut", form).await.ok();
        let attempt = &ended["taskRunList"][0]["attempts"][0];
        (ended["state"]["current"].clone(), attempt["failure"]["message"].as_str().unwrap_or_default().to_owned())
    };
    let policy = "profile: strict\nplugins: {http: {files: write, network: [flow]}}\n";
    serving_with(with(policy), async |api| {
        api.save(&flow("")).await;
        let (state, message) = ask(api).await;
        assert_eq!(state, "FAILED");
        let expected = format!("add `network: [\"{}\"]` under `plugins: http:` in `", outside.address);
        assert!(message.contains(&expected), "`{message}` does not say `{expected}`");
        assert!(outside.keys().is_empty());
    })
    .await;
    let open = format!("plugins: {{http: {{network: ['GET http://{}']}}}}\n", outside.address);
    serving_with(with(&open), async |api| {
        api.save(&flow("")).await;
        assert_eq!(ask(api).await.0, "SUCCESS");
        // A flow says less for itself; what it says of every plugin holds as well.
        let narrowed = flow("grants: {'*': {files: write}, http: {network: [api.example.com]}},");
        api.put("flows/tests.api/runs", "application/x-yaml", narrowed).await.ok();
        let (state, message) = ask(api).await;
        assert_eq!(state, "FAILED");
        assert!(message.contains("under `grants: http:` in the flow"), "{message}");
    })
    .await;
    outside.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_a_property_are_granted_to_its_plugin() {
    let flow = |name: &str| {
        format!(
            "{{id: uses, namespace: tests.api, inputs: [{{id: name, type: STRING, defaults: API_KEY}}], tasks: [{{id: t, type: io.kestra.plugin.core.debug.Return, format: \"{{{{ secret({name}) }}}}\"}}]}}"
        )
    };
    serving_with(with("plugins: {core: {profile: strict, secrets: ['OTHER_*']}}\n"), async |api| {
        let found = hints(api, &flow("'API_KEY'")).await;
        assert!(found[0].starts_with("add `secrets: [\"API_KEY\"]` under `plugins: core:`"), "{found:?}");
        // A name that only the run knows.
        api.save(&flow("inputs.name")).await;
        let ended = api.run("tests.api/uses").await;
        let failure = &ended["taskRunList"][0]["attempts"][0]["failure"];
        assert_eq!((&ended["state"]["current"], &failure["code"]), (&json!("FAILED"), &json!("GRANT_MISSING")));
        assert!(failure["message"].as_str().is_some_and(|text| text.contains("secret `API_KEY` is not granted")));
        assert!(!ended.to_string().contains("nobody-guesses"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_and_the_server_ask_for_versions() {
    let policy = "versions: {core: '1.0.0'}\nnamespaces: {tests.api.new: {versions: {core: ^1.1}}}\n";
    serving_with(with(policy), async |api| {
        upload(api, core_as("1.2.0")).await.ok();
        let saved = async |namespace: &str, more: &str| {
            let task = format!("{{id: t, type: io.kestra.plugin.core.debug.Return, format: x{more}}}");
            api.save(&format!("{{id: f, namespace: {namespace}, tasks: [{task}]}}")).await;
            api.get(&format!("flows/{namespace}/f/lock")).await.ok()["tasks"]["t"]["version"].clone()
        };
        assert_eq!(saved("tests.api", "").await, "1.0.0");
        assert_eq!(saved("tests.api.new.below", "").await, "1.2.0");
        assert_eq!(saved("tests.api.new", ", version: 1.1.0").await, "1.1.0");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn special_ranges_are_refused_when_they_are_written() {
    serving_with(Options::default(), async |api| {
        let flow = |uri: &str| format!("{{id: s, namespace: tests.api, tasks: [{{id: t, type: io.kestra.plugin.core.http.Request, uri: '{uri}'}}]}}");
        for uri in ["http://127.0.0.1:9/", "http://localhost:9/", "http://169.254.169.254/", "http://[::ffff:10.0.0.1]/", "http://0x7f.1/"] {
            let found = hints(api, &flow(uri)).await;
            assert!(found[0].contains("or start with `--allow-net="), "{uri}: {found:?}");
        }
        api.save(&flow("https://example.com/")).await;
    })
    .await;
}
