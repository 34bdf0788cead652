//! Etags hold at the commit: of all who saw the same, one is the first.

use serde_json::{Value, json};
use tests::served::serving_with;

use super::{applied, at, change, does, found, options, save};

/// How many try at the same time.
const RACERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_saves_in_between_is_not_lost() {
    serving_with(options(), async |api| {
        applied(api, json!([save("one", "a"), save("two", "a"), change("save", "file", "f", Some("a")), change("save", "app", "p", Some("id: p"))])).await;
        let etag = async |kind: &str, number: usize| {
            let items = found(api, json!({"kind": kind, "namespace": "site"})).await;
            items[number]["etag"].as_str().unwrap_or_else(|| panic!("{items}")).to_owned()
        };
        let (one, two, file, app) = (etag("flow", 0).await, etag("flow", 1).await, etag("file", 0).await, etag("app", 0).await);
        let plan = |file: &str, app: &str| {
            json!([
                at(save("one", "b"), &one), at(save("two", "b"), &two), at(change("save", "file", "f", Some("b")), file),
                at(change("save", "app", "p", Some("id: p\nb: 1")), app)
            ])
        };
        // A flow is saved meanwhile, which is in the middle of the plan.
        api.put("flows/site/two", "application/x-yaml", super::flow("two", "theirs")).await.ok();
        let refused = applied(api, plan(&file, &app)).await;
        assert_eq!(refused["code"], "CONFLICT", "{refused}");
        assert!(refused["message"].as_str().is_some_and(|said| said.contains("flow `two` of namespace `site` was changed meanwhile")), "{refused}");
        let flows = found(api, json!({"kind": "flow", "namespace": "site", "sources": true})).await;
        assert_eq!((&flows[0]["revision"], &flows[1]["revision"]), (&json!(1), &json!(2)));
        assert!(flows[1]["source"].as_str().is_some_and(|source| source.contains("theirs")));

        // Deleted and made again it is another one; so is a file of other content.
        let check = async |changes: Value, code: &str| assert_eq!(applied(api, changes).await["code"], code);
        assert_eq!(api.form("namespaces/site/files?path=/f", "fileContent", "f", "theirs").await.status, 200);
        check(json!([at(change("save", "file", "f", Some("b")), &file)]), "CONFLICT").await;
        check(json!([at(change("delete", "file", "f", None), &file)]), "CONFLICT").await;
        check(json!([at(change("save", "file", "f", Some("b")), "")]), "CONFLICT").await;
        check(json!([at(save("one", "b"), "")]), "CONFLICT").await;
        check(json!([at(change("delete", "flow", "two", None), "1")]), "CONFLICT").await;
        check(json!([at(change("delete", "app", "p", None), "1")]), "CONFLICT").await;
        assert_eq!(applied(api, json!([at(change("delete", "app", "p", None), &app)])).await["items"][0]["changed"], true);
        assert_eq!(applied(api, json!([at(change("save", "app", "p", Some("id: p\nc: 1")), "")])).await["items"][0]["revision"], 1);
        check(json!([at(change("save", "app", "p", Some("id: p\nb: 1")), &app)]), "CONFLICT").await;
        assert_eq!(applied(api, json!([at(save("one", "b"), &one), at(change("delete", "flow", "two", None), "2")])).await["items"][0]["revision"], 2);
    })
    .await;
}

/// Many plans that saw the same: one is carried out, and the others say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_saw_the_same_one_is_first() {
    serving_with(options(), async |api| {
        applied(
            api,
            json!([
                save("one", "a"),
                change("save", "file", "f", Some("a")),
                change("save", "app", "p", Some("id: p"))
            ]),
        )
        .await;
        let file = found(api, json!({"kind": "file", "namespace": "site"})).await[0]["etag"].clone();
        for (round, etag) in (1..=3).zip(["1", "2", "3"]) {
            let racers = (0..RACERS).map(|racer| {
                let mut changes = vec![
                    at(save("one", &format!("r{round}x{racer}")), etag),
                    change("save", "app", "p", Some(&format!("id: p\nby: {round}x{racer}"))),
                ];
                if round == 1 {
                    changes.push(at(
                        change("save", "file", "f", Some(&format!("by {racer}"))),
                        file.as_str().unwrap_or_default(),
                    ));
                }
                does(api, "Apply", json!({ "namespaces": ["site"], "sequence": 1, "changes": changes }))
            });
            let answers = futures::future::join_all(racers).await;
            let won: Vec<&Value> = answers.iter().filter(|answer| answer["answer"]["items"].is_array()).collect();
            assert_eq!(won.len(), 1, "{answers:?}");
            assert_eq!(won[0]["answer"]["items"][0]["revision"], round + 1);
            let lost = answers.iter().filter(|answer| answer["answer"]["code"] == "CONFLICT").count();
            assert_eq!(lost, RACERS - 1, "{answers:?}");
            // What came with the flow is of the same plan.
            let seen = does(
                api,
                "Find",
                json!({ "namespaces": ["site"], "reads": [["flow", "site", "one"], ["app", "site", "p"]] }),
            )
            .await;
            let (flow, app) =
                (seen["read"][0].as_str().unwrap_or_default(), seen["read"][1].as_str().unwrap_or_default());
            let by = app.rsplit_once("by: ").map(|(_, by)| by.to_owned()).unwrap_or_default();
            assert!(!by.is_empty() && flow.contains(&format!("r{by}")), "{flow} {app}");
        }
    })
    .await;
}
