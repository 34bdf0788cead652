//! Each kind: saved, found, read, saved again, deleted.

use serde_json::{Value, json};
use tests::served::serving_with;

use super::{at, change, does, flow, found, options, save};

const KINDS: [&str; 4] = ["app", "test", "dashboard", "blueprint"];

fn plan() -> Vec<Value> {
    let mut changes = vec![
        save("one", "a"),
        change("save", "file", "/docs/a.txt", Some("hello")),
        json!({ "op": "save", "kind": "file", "namespace": "site.only", "id": "b.txt", "uri": "WRITTEN" }),
    ];
    changes.extend(KINDS.map(|kind| change("save", kind, "doc", Some("id: doc\nnamespace: site\ntitle: x\n"))));
    changes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_is_saved_read_and_deleted() {
    serving_with(options(), async |api| {
        let asked = json!({ "namespaces": ["site"], "sequence": 1, "write": "by name", "changes": plan() });
        let answer = does(api, "Apply", asked).await["answer"].clone();
        let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
        assert_eq!(items.len(), 7);
        assert!(items.iter().all(|item| item["changed"] == true), "{answer}");
        assert_eq!(items[0], json!({"kind": "flow", "namespace": "site", "id": "one", "revision": 1, "changed": true}));
        assert_eq!(
            items[1],
            json!({"kind": "file", "namespace": "site", "id": "docs/a.txt", "revision": null, "changed": true})
        );
        assert_eq!(answer["problems"], json!([]));

        // As people see it.
        assert_eq!(api.run("site/one").await["state"]["current"], "SUCCESS");
        assert_eq!(api.bytes("namespaces/site/files?path=/docs/a.txt").await, b"hello");
        assert_eq!(api.bytes("namespaces/site.only/files?path=/b.txt").await, b"by name");

        // As the guest sees it.
        let mut reads = vec![json!(["flow", "site", "one"]), json!(["file", "site", "docs/a.txt"])];
        reads.extend(KINDS.map(|kind| json!([kind, "site", "doc"])));
        let queries: Vec<Value> = ["flow", "file"]
            .iter()
            .chain(&KINDS)
            .map(|kind| json!({"kind": kind, "namespace": "site", "exact": true}))
            .collect();
        let look = json!({ "namespaces": ["site"], "queries": queries, "reads": reads });
        let seen = does(api, "Find", look.clone()).await;
        assert_eq!(seen["read"][0], flow("one", "a"));
        assert_eq!(seen["read"][1], "hello");
        assert_eq!(seen["read"][5], "id: doc\nnamespace: site\ntitle: x\n");
        let etags: Vec<&str> = (0..6).map(|at| seen["found"][at][0]["etag"].as_str().unwrap_or_default()).collect();
        assert_eq!((etags[0], etags.iter().all(|etag| !etag.is_empty())), ("1", true), "{seen}");

        // The same again changes nothing, and makes no revision.
        let asked = json!({ "namespaces": ["site"], "sequence": 2, "write": "by name", "changes": plan() });
        let answer = does(api, "Apply", asked).await["answer"].clone();
        let items = answer["items"].as_array().unwrap_or_else(|| panic!("{answer}"));
        assert!(items.iter().all(|item| item["changed"] == false), "{answer}");
        assert_eq!((&items[0]["revision"], &items[3]["revision"]), (&json!(1), &json!(1)));

        // All of it is deleted, at what was seen.
        let kinds = ["flow", "file", "app", "test", "dashboard", "blueprint"];
        let ids = ["one", "docs/a.txt", "doc", "doc", "doc", "doc"];
        let gone: Vec<Value> =
            (0..6).map(|index| at(change("delete", kinds[index], ids[index], None), etags[index])).collect();
        let asked = json!({ "namespaces": ["site"], "sequence": 3, "changes": gone });
        let answer = does(api, "Apply", asked).await["answer"].clone();
        assert!(
            answer["items"].as_array().is_some_and(|items| items.iter().all(|item| item["changed"] == true)),
            "{answer}"
        );
        let seen = does(api, "Find", look).await;
        assert_eq!(seen["found"], json!([[], [], [], [], [], []]));
        assert_eq!(seen["read"][0], Value::Null);
        assert_eq!(seen["read"][1]["code"], "NOT_FOUND");
        // And again: what is gone is gone.
        let again: Vec<Value> = (0..6).map(|index| change("delete", kinds[index], ids[index], None)).collect();
        let asked = json!({ "namespaces": ["site"], "sequence": 4, "changes": again });
        let answer = does(api, "Apply", asked).await["answer"].clone();
        assert!(
            answer["items"].as_array().is_some_and(|items| items.iter().all(|item| item["changed"] == false)),
            "{answer}"
        );
        assert_eq!(
            found(api, json!({"kind": "namespace", "namespace": "site"})).await.as_array().map(Vec::len),
            Some(1)
        );
    })
    .await;
}

/// A file gives way to a folder of its name, and back, within one plan.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_folders_change_places_in_one_plan() {
    serving_with(options(), async |api| {
        let apply = async |sequence: u64, changes: Value| {
            let asked = json!({ "namespaces": ["site"], "sequence": sequence, "changes": changes });
            does(api, "Apply", asked).await["answer"].clone()
        };
        let file = |op: &str, id: &str| change(op, "file", id, (op == "save").then_some("x"));
        assert_eq!(apply(1, json!([file("save", "a")])).await["items"][0]["changed"], true);
        assert_eq!(apply(2, json!([file("save", "a/b")])).await["code"], "CONFLICT");
        let swapped = apply(3, json!([file("save", "a/b/c"), file("delete", "a")])).await;
        assert_eq!(swapped["items"][0]["changed"], true, "{swapped}");
        assert_eq!(apply(4, json!([file("save", "a")])).await["code"], "CONFLICT");
        assert_eq!(apply(5, json!([file("save", "d"), file("save", "d/e")])).await["code"], "CONFLICT");
        let back = apply(6, json!([file("save", "a"), file("delete", "a/b/c")])).await;
        assert_eq!(back["items"][0]["changed"], true, "{back}");
    })
    .await;
}
