//! A plan that was carried out is not carried out again: under the same number it answers as the first time.

use serde_json::{Value, json};
use tests::served::serving_with;

use super::{change, does, found, options, save};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_number_answers_as_the_first_time() {
    serving_with(options(), async |api| {
        let asked = json!({ "namespaces": ["site"], "sequence": 7, "twice": true, "changes": [save("one", "a"), change("save", "file", "f", Some("x"))] });
        let seen = does(api, "Apply", asked.clone()).await;
        assert_eq!(seen["answer"]["items"][0]["changed"], true, "{seen}");
        // Carried out once more, it would have changed nothing.
        assert_eq!(seen["again"], seen["answer"]);
        // Another run has numbers of its own.
        let seen = does(api, "Apply", asked).await;
        assert_eq!(seen["answer"]["items"][0], json!({"kind": "flow", "namespace": "site", "id": "one", "revision": 1, "changed": false}));
        // Looking takes no number.
        let asked = json!({ "namespaces": ["site"], "sequence": 7, "twice": true, "dry": true, "changes": [save("one", "b")] });
        assert_eq!(does(api, "Apply", asked).await["again"], json!([]));
        assert_eq!(found(api, json!({"kind": "flow", "namespace": "site"})).await[0]["revision"], 1);
    })
    .await;
}

/// An answer that is longer than any key is remembered whole. All of it is one commit: one revision each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_answers_are_remembered_whole() {
    serving_with(options(), async |api| {
        let mut changes: Vec<Value> =
            (0..400).map(|number| change("save", "file", &format!("ä/{number}.txt"), Some("x"))).collect();
        changes.extend((0..100).map(|number| save(&format!("f{number}"), "x")));
        let asked = json!({ "namespaces": ["site"], "sequence": 1, "twice": true, "changes": changes });
        let seen = does(api, "Apply", asked).await;
        let items = seen["answer"]["items"].as_array().unwrap_or_else(|| panic!("{seen}"));
        assert_eq!((items.len(), &items[7]["id"]), (500, &json!("ä/7.txt")));
        assert!(items.iter().skip(400).all(|item| item["revision"] == 1));
        assert_eq!(seen["again"], seen["answer"]);
    })
    .await;
}
