//! Requests that make no sense: each is refused in the one shape, and the server goes on.

use reqwest::Method;
use serde_json::json;
use server::http::BODY_MAX_BYTES;
use tests::served::{send, serving};

use super::saying;

const JSON: &str = "application/json";

#[tokio::test]
async fn unknown_places_are_told_apart() {
    serving(async |api| {
        api.get("/api/v1/other/flows/search").await.refused(404, "tenant.unknown");
        api.get("nothing/here").await.refused(404, "path.unknown");
        api.get("/nothing").await.refused(404, "path.unknown");
        api.delete("flows/search").await.refused(405, "method.unknown");
        api.put("executions/search", JSON, "{}").await.refused(405, "method.unknown");
    })
    .await;
}

#[tokio::test]
async fn health_is_told_to_everybody() {
    serving(async |api| {
        assert_eq!(api.get("/health").await.ok()["status"], "UP");
        assert_eq!(api.get("/health/live").await.ok()["status"], "UP");
        assert_eq!(api.get("/health/ready").await.ok()["status"], "UP");
        assert_eq!(api.get("/ping").await.text, "pong");
    })
    .await;
}

#[tokio::test]
async fn plugins_are_listed() {
    serving(async |api| {
        let plugins = api.get("plugins").await.ok();
        let core = plugins.as_array().and_then(|all| all.iter().find(|one| one["name"] == "core"));
        assert!(
            core.expect("core is there")["tasks"]
                .as_array()
                .is_some_and(|tasks| tasks.iter().any(|task| task == "io.kestra.plugin.core.log.Log"))
        );
    })
    .await;
}

#[tokio::test]
async fn queries_that_cannot_be_read_are_refused_in_shape() {
    serving(async |api| {
        api.get("flows/search?page=first").await.refused(400, "request.invalid");
        api.get("executions/search?size=-1").await.refused(400, "request.invalid");
        api.post("flows", "application/x-yaml", vec![0xff, 0xfe, b'x']).await.refused(400, "request.invalid");
        // As large as asked for, but never more than a page holds.
        api.get("executions/search?size=99999999999&page=9999999").await.ok();
    })
    .await;
}

#[tokio::test]
async fn inputs_of_the_wrong_kind_are_refused() {
    serving(async |api| {
        api.save(&saying("a", "x")).await;
        let path = "executions/tests.api/a";
        api.post(path, "text/plain", "name=x").await.refused(422, "body.content_type");
        api.post(path, JSON, "{\"name\":").await.refused(422, "body.json");
        api.post(path, JSON, "[1]").await.refused(422, "body.json");
        api.post(path, JSON, vec![b'{', 0xff, b'}']).await.refused(422, "body.json");
        api.post(path, JSON, "[".repeat(100_000)).await.refused(422, "body.json");
        let many: Vec<String> = (0..1_001).map(|number| format!("\"i{number}\":1")).collect();
        api.post(path, JSON, format!("{{{}}}", many.join(","))).await.refused(422, "body.too_many");
        assert_eq!(api.get("executions/search").await.ok()["total"], 0);
    })
    .await;
}

#[tokio::test]
async fn broken_multipart_is_refused() {
    serving(async |api| {
        api.save(&saying("a", "x")).await;
        let path = "executions/tests.api/a";
        let form = "multipart/form-data; boundary=cut";
        api.post(path, "multipart/form-data", "x").await.refused(422, "body.multipart");
        api.post(path, form, "no boundary here").await.refused(422, "body.multipart");
        let cut = "--cut\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\nhalf of it";
        api.post(path, form, cut).await.refused(422, "body.multipart");
        let binary = [
            b"--cut\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\n".as_slice(),
            &[0xff, 0xfe],
            b"\r\n--cut--\r\n",
        ]
        .concat();
        api.post(path, form, binary).await.refused(422, "body.multipart");
        assert_eq!(api.get("executions/search").await.ok()["total"], 0);
    })
    .await;
}

#[tokio::test]
async fn oversize_bodies_are_refused() {
    serving(async |api| {
        api.save(&saying("a", "x")).await;
        let large = vec![b' '; BODY_MAX_BYTES + 1];
        api.post("executions/tests.api/a", JSON, large.clone()).await.refused(413, "body.too_large");
        let mut form = b"--cut\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\n".to_vec();
        form.extend_from_slice(&large);
        form.extend_from_slice(b"\r\n--cut--\r\n");
        api.post("executions/tests.api/a", "multipart/form-data; boundary=cut", form)
            .await
            .refused(413, "body.too_large");
        api.post("flows", "application/x-yaml", large).await.refused(413, "body.too_large");
        assert_eq!(api.run("tests.api/a").await["state"]["current"], "SUCCESS", "the server goes on");
    })
    .await;
}

#[tokio::test]
async fn names_from_hell_name_nothing() {
    serving(async |api| {
        for name in ["..%2f..%2fetc", "%00", "a%0ab", &"x".repeat(5_000), "%ff"] {
            let answer = api.get(&format!("flows/tests.api/{name}")).await;
            assert!((400..500).contains(&answer.status), "{name}: {}", answer.status);
            assert_eq!(answer.header("content-type"), "application/json", "{name}: {}", answer.text);
            let answer = send(api.request(Method::GET, &format!("executions/{name}"))).await;
            assert!((400..500).contains(&answer.status), "{name}: {}", answer.status);
        }
    })
    .await;
}

#[tokio::test]
async fn names_that_are_too_long_are_refused_and_nothing_breaks() {
    serving(async |api| {
        api.save(&saying("a", "x")).await;
        let long = "a".repeat(5_000);
        api.put(&format!("namespaces/tests.api/kv/{long}"), "text/plain", "1").await.refused(422, "kv.key");
        api.put(&format!("namespaces/{long}/kv/a"), "text/plain", "1").await.refused(422, "namespace.invalid");
        api.post_json("namespaces", &json!({ "id": long })).await.refused(422, "namespace.invalid");
        api.put(&format!("namespaces/{long}/secrets"), "application/json", "{\"key\": \"A\", \"value\": \"x\"}")
            .await
            .refused(422, "namespace.invalid");
        api.form(&format!("namespaces/{long}/files?path=a"), "fileContent", "x", "x")
            .await
            .refused(422, "namespace.invalid");
        api.form(&format!("namespaces/tests.api/files?path={long}"), "fileContent", "x", "x")
            .await
            .refused(422, "file.path");
        let labelled =
            api.post(&format!("executions/tests.api/a?labels={long}:{long}"), "application/json", "{}").await;
        assert!(matches!(labelled.status, 413 | 422), "{} {}", labelled.status, labelled.text);
        assert_eq!(api.get("executions/search").await.ok()["total"], 0);
        for path in ["executions", "flows", "logs", "metrics"] {
            api.get(&format!("{path}/{long}/{long}")).await;
            let answer = api.get(&format!("{path}/{long}")).await;
            assert!(answer.status < 500, "{path}: {}", answer.text);
        }
    })
    .await;
}
