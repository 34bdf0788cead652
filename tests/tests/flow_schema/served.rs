//! Where editors get the schema from: a server, or the command line.

use reqwest::Method;
use serde_json::{Value, json};
use server::flow_schema::{Of, document};
use tests::program::run;
use tests::registered::core_as;
use tests::served::{Api, send, serving};

use crate::{catalog, validator};

const SCHEMA: &str = "plugins/schemas/flow";

async fn asked_again(api: &Api, tag: &str) -> u16 {
    send(api.request(Method::GET, SCHEMA).header("if-none-match", tag)).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_is_served_and_follows_the_plugins() {
    serving(async |api| {
        let first = api.get(SCHEMA).await;
        let tag = first.header("etag").to_owned();
        assert_eq!((first.header("content-type"), first.header("cache-control")), ("application/json", "no-cache"));
        assert_eq!(first.ok(), document(&api.node.catalog(), Of::Flow));
        assert_eq!(asked_again(api, &tag).await, 304);
        assert_eq!(asked_again(api, &format!("\"other\", W/{tag}")).await, 304);
        assert_eq!(asked_again(api, "\"other\"").await, 200);

        let form = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"p.wasm\"\r\n\r\n";
        let body = [form.as_bytes(), &core_as("7.0.0"), b"\r\n--edge--\r\n"].concat();
        let upload = "/api/v1/cluster/versioned-plugins/upload";
        api.post(upload, "multipart/form-data; boundary=edge", body).await.ok();
        let second = api.get(SCHEMA).await;
        assert_ne!(second.header("etag"), tag);
        assert_eq!(asked_again(api, &tag).await, 200);
        let versions = &second.ok()["definitions"]["io.kestra.plugin.core.log.Log@versions"]["anyOf"][0]["enum"];
        assert_eq!(versions, &json!(["7.0.0", "1.1.0", "1.0.0", "LATEST", "OLDEST"]));

        for of in ["task", "trigger"] {
            validator(&api.get(&format!("plugins/schemas/{of}")).await.ok());
        }
        api.get("plugins/schemas/dashboard").await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_a_type_is_described() {
    serving(async |api| {
        let log = "plugins/io.kestra.plugin.core.log.Log/versions";
        let fields = async |version: &str| -> Value {
            let found = api.get(&format!("{log}/{version}")).await.ok();
            assert!(found["markdown"].as_str().is_some_and(|text| text.starts_with("Log ")), "{found}");
            found["schema"]["properties"]["properties"]["fields"].clone()
        };
        assert!(fields("1.1.0").await.is_object() && fields("1.0.0").await.is_null());
        api.get(&format!("{log}/9.9.9")).await.refused(404, "not_found");
    })
    .await;
}

#[test]
fn the_command_line_writes_it_without_a_server() {
    let folder = tempfile::tempdir().expect("tests have a temporary folder");
    let file = folder.path().join("flow.json");
    let path = file.to_str().expect("temporary folders have plain names");
    assert_eq!(run(&["flow", "schema", "-o", path]).exits(0).out, "");
    let written: Value =
        serde_json::from_str(&std::fs::read_to_string(&file).expect("it was written")).expect("which is JSON");
    assert_eq!(run(&["flow", "schema"]).exits(0).json(), written);
    let (own, known) = (&written["definitions"]["Flow"], document(&catalog(), Of::Flow));
    assert_eq!((own, &written["properties"]), (&Value::Null, &known["properties"]));
    run(&["flow", "schema", "-o", "no/such/folder/flow.json"]).exits(1).complains(&["no/such/folder"]);
}
