//! Values of namespaces over HTTP, in Kestra 1.0's paths and shapes.

use reqwest::Method;
use serde_json::{Value, json};
use tests::served::{Answer, Api, send, serving};

const AT: &str = "namespaces/tests.kv/kv";

async fn set(api: &Api, key: &str, value: &str) {
    let answer = api.put(&format!("{AT}/{key}"), "text/plain", value).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{key}");
}

async fn set_with(api: &Api, key: &str, headers: &[(&str, &str)]) -> Answer {
    let request = api.request(Method::PUT, &format!("{AT}/{key}")).header("content-type", "text/plain").body("x");
    send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

fn keys(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().filter_map(|entry| entry["key"].as_str()).collect()
}

#[tokio::test]
async fn values_have_types_and_revisions_and_flows_read_them() {
    serving(async |api| {
        let check = async |text: &str, kind: &str, value: Value| {
            set(api, "one", text).await;
            let got = api.get(&format!("{AT}/one")).await.ok();
            assert_eq!((&got["type"], &got["value"]), (&json!(kind), &value), "{text}");
            got["revision"].as_u64().expect("a number")
        };
        let first = check("hello-kestra", "STRING", json!("hello-kestra")).await;
        let second = check("{\"a\": [1, 2.5]}", "JSON", json!({ "a": [1, 2.5] })).await;
        assert_eq!((first, second), (1, 2));
        check("12", "NUMBER", json!(12)).await;
        check("false", "BOOLEAN", json!(false)).await;
        check("2024-05-01T12:00:00Z", "DATETIME", json!("2024-05-01T12:00:00Z")).await;
        check("2024-05-01", "DATE", json!("2024-05-01")).await;
        check("PT5M", "DURATION", json!("PT5M")).await;
        check("\"PT5M\"", "STRING", json!("PT5M")).await;

        let say = "id: say\nnamespace: tests.kv.inner\ntasks: [{id: t, type: io.kestra.plugin.core.debug.Return, format: \"{{ kv('one') }} {{ kv('up', 'tests.kv') }}\"}]\n";
        api.save(say).await;
        set(api, "up", "there").await;
        let ended = api.run("tests.kv.inner/say").await;
        assert_eq!(ended["taskRunList"][0]["outputs"]["value"], "PT5M there", "{ended}");
    })
    .await;
}

#[tokio::test]
async fn keys_are_listed_and_taken_away() {
    serving(async |api| {
        for key in ["a", "b", "c"] {
            set(api, key, "x").await;
        }
        api.put("namespaces/tests.kv.inner/kv/d", "text/plain", "y").await;
        api.put("namespaces/tests.kvs/kv/e", "text/plain", "z").await;
        assert_eq!(set_with(api, "f", &[("ttl", "PT1H"), ("description", "for an hour")]).await.status, 200);
        let listed = api.get(AT).await.ok();
        assert_eq!(keys(&listed), ["a", "b", "c", "f"]);
        assert_eq!((&listed[0]["namespace"], &listed[0]["version"]), (&json!("tests.kv"), &json!(1)));
        assert_eq!((&listed[3]["description"], listed[3]["expirationDate"].is_string()), (&json!("for an hour"), true));
        let above = api.get("namespaces/tests.kv.inner/kv/inheritance").await.ok();
        assert_eq!(keys(&above), ["a", "b", "c", "f"], "those of the namespaces above");

        let all = async |query: &str| api.get(&format!("kv?{query}")).await.ok();
        assert_eq!(keys(&all("size=100").await["results"]), ["a", "b", "c", "f", "d", "e"]);
        let page = all("size=2&page=2&sort=key:desc").await;
        assert_eq!((keys(&page["results"]), &page["total"]), (vec!["d", "c"], &json!(6)));
        assert_eq!(keys(&all("filters[namespace][PREFIX]=tests.kv").await["results"]), ["a", "b", "c", "f", "d"]);
        assert_eq!(keys(&all("filters[q][EQUALS]=E").await["results"]), ["e"]);
        api.get("kv?filters[kind][EQUALS]=x").await.refused(422, "query.invalid");
        api.get("kv?sort=size").await.refused(422, "query.sort");

        assert_eq!(api.delete(&format!("{AT}/a")).await.ok(), json!(true));
        assert_eq!(api.delete(&format!("{AT}/a")).await.ok(), json!(false));
        api.get(&format!("{AT}/a")).await.refused(404, "not_found");
        let several = api.request(Method::DELETE, AT).header("content-type", "application/json");
        let several = send(several.body(json!({ "keys": ["b", "nothing", "c"] }).to_string())).await.ok();
        assert_eq!(several, json!({ "keys": ["b", "c"] }));
        assert_eq!(keys(&api.get(AT).await.ok()), ["f"]);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_a_value_is_refused() {
    serving(async |api| {
        api.put(&format!("{AT}/-a"), "text/plain", "x").await.refused(422, "kv.key");
        api.put("namespaces/a..b/kv/k", "text/plain", "x").await.refused(422, "namespace.invalid");
        api.put(&format!("{AT}/k"), "text/plain", vec![0xff]).await.refused(422, "kv.value");
        api.put(&format!("{AT}/k"), "text/plain", vec![b'x'; (4 << 20) + 1]).await.refused(413, "body.too_large");
        for ttl in ["soon", "PT0S", "-PT1H", "P99999999Y"] {
            set_with(api, "k", &[("ttl", ttl)]).await.refused(422, "kv.header");
        }
        assert_eq!(api.get(AT).await.ok(), json!([]));
    })
    .await;
}

/// Writers of one key count its revisions, each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_do_not_lose_each_other() {
    serving(async |api| {
        let path = format!("{AT}/k");
        let writes = (0..20).map(|number| api.put(&path, "text/plain", number.to_string().into_bytes()));
        let answers = futures::future::join_all(writes).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(api.get(&format!("{AT}/k")).await.ok()["revision"], 20);
    })
    .await;
}
