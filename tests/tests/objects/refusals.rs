//! All or nothing: whatever is wrong with one change, nothing of the others is done, and all that is wrong is told.

use std::sync::Arc;

use serde_json::{Value, json};
use tests::failing::Failing;
use tests::served::{Api, Options, serving_with};

use super::{applied, change, codes, does, found, options, save, tried};

/// Nothing of namespace `site` is there.
async fn nothing(api: &Api) {
    for kind in ["flow", "file", "app", "test", "dashboard", "blueprint"] {
        assert_eq!(found(api, json!({"kind": kind, "namespace": "site"})).await, json!([]), "{kind}");
    }
}

/// Plans on an empty namespace that are refused: with this code, and these words.
async fn check(api: &Api, changes: Value, code: &str, words: &[&str]) {
    let refused = applied(api, changes.clone()).await;
    let message = refused["message"].as_str().unwrap_or_default();
    assert_eq!(refused["code"], code, "{refused}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    let problems = tried(api, changes).await;
    assert_eq!(codes(&problems).first().map(|(_, code)| *code), Some(code), "{problems}");
    nothing(api).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wrong_change_keeps_all_others_from_being_made() {
    serving_with(options(), async |api| {
        let good = |count: usize| -> Vec<Value> { (0..count).map(|number| save(&format!("f{number}"), "x")).collect() };
        let with = |more: Value| {
            let mut changes = good(3);
            changes.insert(2, more);
            changes.push(change("save", "file", "a.txt", Some("x")));
            Value::from(changes)
        };
        let twice = "id: bad\nnamespace: site\ntasks:\n  - {id: a, type: io.kestra.plugin.core.debug.Return, format: x}\n  - {id: a, type: no.Such}\n";
        let mut hundred = good(99);
        hundred.insert(57, change("save", "flow", "bad", Some(twice)));
        let problems = tried(api, json!(hundred)).await;
        let found = codes(&problems);
        assert!(found.len() > 1 && found.iter().all(|one| *one == (57, "INVALID_FLOW")), "{problems}");
        assert_eq!((&problems[0]["id"], &problems[0]["line"]), (&json!("bad"), &json!(5)), "{problems}");
        check(api, json!(hundred), "INVALID_FLOW", &["flow `bad` of namespace `site`: 5:", "no.Such"]).await;

        let other = "id: x\nnamespace: elsewhere\ntasks:\n  - {id: t, type: io.kestra.plugin.core.debug.Return, format: x}\n";
        check(api, with(change("save", "flow", "f9", Some(&super::flow("f8", "x")))), "INVALID_FLOW", &["of flow `site.f8`, not of `site.f9`"]).await;
        check(api, with(change("save", "flow", "x", Some(other))), "INVALID_FLOW", &["of flow `elsewhere.x`"]).await;
        check(api, with(json!({"op": "save", "kind": "flow", "namespace": "elsewhere", "id": "x", "source": other})), "NOT_GRANTED", &["namespace `elsewhere` is neither"]).await;
        check(api, with(json!({"op": "save", "kind": "app", "namespace": "", "id": "a", "source": "id: a"})), "NOT_GRANTED", &["in no namespace", "hint: give the task `auth`"]).await;
        check(api, with(save("f1", "y")), "BAD_ARGUMENT", &["flow `f1` is in the plan twice"]).await;
        check(api, with(change("save", "file", "../a", Some("x"))), "BAD_ARGUMENT", &["no path of a file"]).await;
        check(api, with(change("save", "test", "t", Some("id: u\n"))), "BAD_ARGUMENT", &["of `u`, not of `t`"]).await;
        check(api, with(change("save", "test", "t", Some("- t\n"))), "BAD_ARGUMENT", &["no YAML map"]).await;
        check(api, with(change("save", "test", "t/u", Some("id: t/u\n"))), "BAD_ARGUMENT", &["`t/u` is no id of a test"]).await;
        check(api, with(change("move", "test", "t", None)), "BAD_ARGUMENT", &["hint: `save` or `delete`"]).await;
        check(api, with(change("save", "file", "b", None)), "BAD_ARGUMENT", &["has no `source`"]).await;
        check(api, with(json!({"op": "save", "kind": "file", "namespace": "site", "id": "b", "uri": "kestra:///x/y"})), "NOT_GRANTED", &["not a file of this execution"]).await;
        check(api, with(json!({"op": "save", "kind": "flow", "namespace": "site", "id": "b", "uri": "kestra:///x/y"})), "BAD_ARGUMENT", &["not by a `uri`"]).await;
        check(api, with(super::at(save("new", "x"), "1")), "CONFLICT", &["flow `new` of namespace `site` was changed meanwhile"]).await;

        // All of it together, in the order of the plan.
        let all = json!([change("save", "test", "t", Some("- t\n")), save("f1", "x"), change("save", "flow", "bad", Some(twice)), super::at(save("g", "x"), "7")]);
        let problems = tried(api, all).await;
        let mut seen = codes(&problems);
        seen.dedup();
        assert_eq!(seen, [(0, "BAD_ARGUMENT"), (2, "INVALID_FLOW"), (3, "CONFLICT")], "{problems}");

        // Of a kind that nobody is granted, and of one that this task does not ask for.
        assert_eq!(applied(api, json!([save("f1", "x"), change("save", "moon", "b", Some("x"))])).await["code"], "NOT_GRANTED");
        for dry in [false, true] {
            let asked = json!({ "namespaces": ["site"], "sequence": 1, "dry": dry, "changes": with(change("delete", "flow", "b", None)) });
            let refused = does(api, "Save", asked).await["answer"].clone();
            let first = if dry { refused[0].clone() } else { refused.clone() };
            assert_eq!(first["code"], "NOT_GRANTED", "{refused}");
            assert!(first["message"].as_str().is_some_and(|said| said.contains("is not granted") && said.contains("does not ask for it")), "{refused}");
        }
        let mixed = applied(api, json!([save("f1", "x"), {"op": "delete", "kind": "execution", "id": "x"}])).await;
        assert_eq!(mixed["code"], "NOT_GRANTED");
        let many: Vec<Value> = (0..10_001).map(|number| change("delete", "app", &format!("a{number}"), None)).collect();
        assert_eq!(applied(api, json!(many)).await["code"], "LIMIT");
        nothing(api).await;
    })
    .await;
}

/// A capability that the policy does not give is refused where the flow is saved, with the line to write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_names_the_word_that_is_missing() {
    let policy = "profile: strict\nplugins: {planner: {files: write, objects: [flow, file, namespace, app, test, dashboard, blueprint, 'flow:delete', 'app:*', 'test:*', 'dashboard:*', 'blueprint:*']}}\n";
    serving_with(Options { policy: Some(policy.to_owned()), ..options() }, async |api| {
        let flow =
            "id: f\nnamespace: plans\ntasks:\n  - {id: t, type: test.planner.Apply, sequence: 1, changes: '[]'}\n";
        let refused = api.post("flows", "application/x-yaml", flow).await;
        assert!(refused.status == 422 || refused.status == 400, "{}", refused.text);
        assert!(refused.text.contains("objects: [\\\"flow:save\\\"]"), "{}", refused.text);
    })
    .await;
}

/// A store that does not take the commit has nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_leaves_nothing() {
    let store = Arc::new(Failing::default());
    serving_with(Options { store: store.clone(), ..options() }, async |api| {
        let changes = json!([
            save("one", "x"),
            change("save", "file", "a.txt", Some("x")),
            change("save", "app", "a", Some("id: a"))
        ]);
        store.fail(true);
        let failed = applied(api, changes.clone()).await;
        assert_eq!(failed["code"], "HOST", "{failed}");
        assert!(failed["message"].as_str().is_some_and(|said| said.contains("its disk has failed")), "{failed}");
        nothing(api).await;
        store.fail(false);
        let asked = json!({ "namespaces": ["site"], "sequence": 1, "changes": changes });
        assert_eq!(does(api, "Apply", asked).await["answer"]["items"][2]["changed"], true);
    })
    .await;
}
