//! What is found: of one namespace, of those below it, of all; with sources, page by page; the namespaces themselves.

use serde_json::{Value, json};
use tests::served::serving_with;

use super::{change, does, options, save};

fn ids(items: &Value) -> Vec<String> {
    let name =
        |item: &Value| format!("{}/{}", item["namespace"].as_str().unwrap_or("?"), item["id"].as_str().unwrap_or("?"));
    items.as_array().unwrap_or_else(|| panic!("{items}")).iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_namespace_its_tree_and_its_sources() {
    serving_with(options(), async |api| {
        let below = "id: low\nnamespace: site.below\ntasks:\n  - {id: t, type: io.kestra.plugin.core.debug.Return, format: x}\n";
        let changes = json!([
            save("one", "a"),
            json!({ "op": "save", "kind": "flow", "namespace": "site.below", "id": "low", "source": below }),
            json!({ "op": "save", "kind": "file", "namespace": "site.files.deep", "id": "x", "source": "x" }),
            json!({ "op": "save", "kind": "app", "namespace": "site.apps", "id": "app", "source": "id: app" }),
        ]);
        let asked = json!({ "namespaces": ["site"], "sequence": 1, "changes": changes });
        let answer = does(api, "Apply", asked).await["answer"].clone();
        assert!(answer["items"].is_array(), "{answer}");
        // More than one page of bytes.
        for number in 0..6 {
            let (id, text) = (format!("d{number}"), "x".repeat(900_000));
            let changes = json!([change("save", "dashboard", &id, Some(&format!("id: {id}\ntext: {text}\n")))]);
            let answer = super::applied(api, changes).await;
            assert_eq!(answer["items"][0]["changed"], true, "{answer}");
        }
        let queries = json!([
            {"kind": "flow", "namespace": "site"},
            {"kind": "flow", "namespace": "site", "exact": true, "sources": true},
            {"kind": "dashboard", "namespace": "site", "sources": true},
            {"kind": "dashboard", "namespace": "site", "count": true},
            {"kind": "namespace", "namespace": "site"},
            {"kind": "namespace", "namespace": "site.files"},
            {"kind": "file", "namespace": "site.files.deep"},
            {"kind": "file", "namespace": "other"},
            {"kind": "flow", "everywhere": true},
            {"kind": "file", "everywhere": true},
            {"kind": "app", "namespace": ""},
            {"kind": "moon"}
        ]);
        let seen = does(api, "Find", json!({ "namespaces": ["site"], "queries": queries })).await["found"].clone();
        assert_eq!(ids(&seen[0]), ["site/one", "site.below/low"]);
        assert!(seen[0][0].get("source").is_none());
        assert_eq!((ids(&seen[1]), &seen[1][0]["etag"]), (vec!["site/one".to_owned()], &json!("1")));
        assert!(seen[1][0]["source"].as_str().is_some_and(|source| source.starts_with("id: one")));
        assert_eq!(ids(&seen[2]).len(), 6);
        assert!(seen[2][5]["source"].as_str().is_some_and(|source| source.starts_with("id: d5")));
        assert_eq!(seen[3], 6);
        let names: Vec<&str> = seen[4].as_array().into_iter().flatten().filter_map(|item| item["namespace"].as_str()).collect();
        assert_eq!(names, ["site", "site.apps", "site.below", "site.files.deep"]);
        assert_eq!(seen[5], json!([{"kind": "namespace", "namespace": "site.files.deep"}]));
        assert_eq!((&seen[6][0]["id"], &seen[6][0]["size"]), (&json!("x"), &json!(1)));
        let refused: Vec<&str> = (7..12).map(|at| seen[at]["code"].as_str().unwrap_or_default()).collect();
        assert_eq!(refused, ["NOT_GRANTED", "NOT_GRANTED", "BAD_ARGUMENT", "NOT_GRANTED", "NOT_GRANTED"], "{seen}");
    })
    .await;
}
