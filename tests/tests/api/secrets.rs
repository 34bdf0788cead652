//! Secrets of namespaces over the API and the command line: they go in, are used, and never come out.

use serde_json::json;
use tests::program::command;
use tests::served::{Api, Options, serving_with};
use tests::stand_in::StandIn;

const VALUE: &str = "a-value-that-nobody-guesses";
const AT: &str = "namespaces/tests.api/secrets";

async fn set(api: &Api, namespace: &str, key: &str, value: &str) {
    let body = json!({ "key": key, "value": value }).to_string();
    api.put(&format!("namespaces/{namespace}/secrets"), "application/json", body).await.ok();
}

/// A flow that sends a secret as `x-key`.
fn sending(namespace: &str, expression: &str, outside: &StandIn) -> String {
    format!(
        "{{id: sends, namespace: {namespace}, tasks: [{{id: t, type: io.kestra.plugin.core.http.Request, uri: 'http://{}/', headers: {{x-key: \"{{{{ {expression} }}}}\"}}}}, {{id: says, type: io.kestra.plugin.core.debug.Return, format: \"<{{{{ {expression} }}}}>\"}}]}}",
        outside.address
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_set_used_and_never_shown() {
    let outside = StandIn::open().await;
    let options = Options {
        outside: vec![outside.address],
        secrets: [("FALLBACK", "of-the-environment"), ("TOKEN", "hidden-by-the-namespace")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..Options::default()
    };
    serving_with(options, async |api| {
        let body = json!({ "key": "token", "value": VALUE, "description": "of the mail", "tags": [{ "key": "a", "value": "b" }] });
        let all = api.put(AT, "application/json", body.to_string()).await.ok();
        assert_eq!(
            (&all[0]["key"], &all[0]["description"], &all[0]["tags"][0]["value"], &all[0]["namespace"]),
            (&json!("TOKEN"), &json!("of the mail"), &json!("b"), &json!("tests.api"))
        );
        let listed = api.get(AT).await.ok();
        assert_eq!((&listed["total"], &listed["readOnly"]), (&json!(1), &json!(false)));
        let patched = api
            .request(reqwest::Method::PATCH, &format!("{AT}/token"))
            .header("content-type", "application/json")
            .body(json!({ "description": "of the post" }).to_string());
        let patched = tests::served::send(patched).await.ok();
        assert_eq!((&patched[0]["description"], &patched[0]["tags"][0]["key"]), (&json!("of the post"), &json!("a")));
        set(api, "tests", "PARENT", "of-the-parent").await;
        set(api, "tests", "TOKEN", "of-the-parent-and-hidden").await;
        set(api, "elsewhere", "OTHER", "of-somebody-else").await;
        let inherited = api.get("namespaces/tests.api/inherited-secrets").await.ok();
        assert_eq!(inherited, json!({ "tests.api": ["TOKEN"], "tests": ["PARENT", "TOKEN"] }));

        let mut expected = Vec::new();
        for (expression, value) in [
            ("secret('token')", VALUE),
            ("secret('TOKEN', namespace='tests')", "of-the-parent-and-hidden"),
            ("secret('PARENT')", "of-the-parent"),
            ("secret('FALLBACK')", "of-the-environment"),
        ] {
            api.post("flows", "application/x-yaml", sending("tests.api", expression, &outside)).await.ok();
            let ended = api.run("tests.api/sends").await;
            assert_eq!(ended["state"]["current"], "SUCCESS", "{ended}");
            assert_eq!(ended["taskRunList"][1]["outputs"]["value"], "<******>");
            expected.push(value.to_owned());
            assert_eq!(outside.keys(), expected);
            api.delete("flows/tests.api/sends").await;
        }
        // Not those of namespaces that are not on the way up, and not those that are gone.
        api.delete(&format!("{AT}/TOKEN")).await;
        api.delete("namespaces/tests/secrets/TOKEN").await;
        api.delete("namespaces/tests/secrets/TOKEN").await.refused(404, "not_found");
        for (expression, what) in [
            ("secret('OTHER', namespace='elsewhere')", "there is no secret `OTHER` for namespace `elsewhere`"),
            ("secret('NONE')", "`sluice secret set tests.api/NONE`, or start the server with SECRET_NONE set"),
        ] {
            api.post("flows", "application/x-yaml", sending("tests.api", expression, &outside)).await.ok();
            let ended = api.run("tests.api/sends").await;
            assert!(ended.to_string().contains(what), "{ended}");
            api.delete("flows/tests.api/sends").await;
        }
        assert_eq!(outside.keys(), expected);
        let audit = api.get("/api/v1/cluster/versioned-plugins/audit").await.text;
        assert!(audit.contains("secret.set") && audit.contains("secret.delete") && audit.contains("tests.api/TOKEN"), "{audit}");
        for path in ["executions", AT, "logs/search", "/api/v1/cluster/versioned-plugins/audit"] {
            let shown = api.get(path).await.text;
            for value in [VALUE, "of-the-parent", "of-the-environment", "of-somebody-else"] {
                assert!(!shown.contains(value), "{path} shows {value}");
            }
        }
    })
    .await;
    outside.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_secrets_are_refused_all_at_once() {
    serving_with(Options::default(), async |api| {
        let body = json!([
            { "key": "GOOD", "value": "x" }, { "key": "a b", "value": "" }, { "key": "C", "value": "x".repeat(70_000) },
            { "key": "D", "value": "x", "hosts": ["http://a/b"] },
        ]);
        let problems = api.put(AT, "application/json", body.to_string()).await.refused(422, "secret.invalid");
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert_eq!(api.get(AT).await.ok()["total"], 0, "all or none");
        api.put(AT, "application/json", "{\"key\": \"A\"}").await.refused(422, "secret.invalid");
        api.put("namespaces/a..b/secrets", "application/json", json!({ "key": "A", "value": "x" }).to_string())
            .await
            .refused(422, "namespace.invalid");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn secrets_are_set_from_the_command_line() {
    serving_with(Options::default(), async |api| {
        let server = format!("http://{}", api.address);
        let ran = async |arguments: &[&str], input: &str| {
            let mut asked = command(arguments);
            asked.args(["--server", &server]).stdin(std::process::Stdio::piped());
            let input = input.to_owned();
            tokio::task::spawn_blocking(move || {
                let mut child = asked.spawn().expect("the program was just built");
                std::io::Write::write_all(&mut child.stdin.take().expect("piped"), input.as_bytes()).expect("it reads");
                tests::program::end(child)
            })
            .await
            .expect("no panic")
        };
        ran(&["secret", "set", "tests.api/MAIL", "--host", "smtp.example.com", "--description", "of the mail"], VALUE)
            .await
            .exits(0)
            .says(&["set tests.api/MAIL"]);
        let listed = ran(&["secret", "list", "tests.api"], "").await.exits(0);
        listed.says(&["MAIL  to smtp.example.com  of the mail"]);
        ran(&["secret", "delete", "tests.api/MAIL"], "").await.exits(0);
        ran(&["secret", "list", "tests.api"], "").await.exits(0).says(&["has no secrets of its own"]);
        ran(&["secret", "set", "MAIL"], "x").await.exits(1).complains(&["`MAIL` is not NAMESPACE/NAME"]);
    })
    .await;
}
