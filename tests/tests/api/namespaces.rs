//! What is set for namespaces, and what flows get of it.

use serde_json::{Value, json};
use tests::served::{Api, serving};

const RETURN: &str = "io.kestra.plugin.core.debug.Return";

async fn put(api: &Api, id: &str, body: Value) -> Value {
    api.put(&format!("namespaces/{id}"), "application/json", body.to_string()).await.ok()
}

async fn create(api: &Api, body: Value) -> Value {
    api.post_json("namespaces", &body).await.ok()
}

fn ids(page: &Value) -> Vec<&str> {
    page["results"].as_array().expect("a page").iter().filter_map(|one| one["id"].as_str()).collect()
}

#[tokio::test]
async fn namespaces_are_set_shown_found_and_taken_away() {
    serving(async |api| {
        api.get("namespaces/company").await.refused(404, "not_found");
        let made = create(api, json!({ "id": "company", "deleted": false, "description": "all of it" })).await;
        assert_eq!(made, json!({ "id": "company", "description": "all of it", "deleted": false }));
        api.post_json("namespaces", &json!({ "id": "company" })).await.refused(409, "namespace.exists");
        api.save(&format!("id: f\nnamespace: other.deep.er\ntasks: [{{id: t, type: {RETURN}, format: x}}]\n")).await;
        assert_eq!(
            ids(&api.get("namespaces/search?size=100").await.ok()),
            ["company", "other", "other.deep", "other.deep.er"]
        );
        assert_eq!(ids(&api.get("namespaces/search?existing=true").await.ok()), ["company"]);
        let page = api.get("namespaces/search?q=DEEP&size=1&page=2&sort=id:desc").await.ok();
        assert_eq!((ids(&page), &page["total"]), (vec!["other.deep"], &json!(2)));
        api.get("namespaces/search?sort=size").await.refused(422, "query.sort");
        assert_eq!(api.get("namespaces/other.deep").await.ok()["id"], "other.deep", "a flow is below it");
        let completed =
            api.post_json("namespaces/autocomplete", &json!({ "q": "deep.", "ids": ["company"] })).await.ok();
        assert_eq!(completed, json!(["company", "other.deep.er"]));

        put(api, "other.deep", json!({ "variables": { "a": { "b": 1 } } })).await;
        api.put("namespaces/company", "application/json", "{\"id\": \"compny\"}")
            .await
            .refused(422, "namespace.invalid");
        api.put("namespaces/nowhere", "application/json", "{}").await.refused(404, "not_found");
        assert_eq!(api.delete("namespaces/company").await.status, 204);
        api.get("namespaces/company").await.refused(404, "not_found");
        api.delete("namespaces/company").await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn flows_see_the_variables_of_their_namespace_and_of_those_above() {
    serving(async |api| {
        create(api, json!({ "id": "company", "variables": { "host": "a", "db": { "name": "x", "port": 1 } } })).await;
        create(api, json!({ "id": "company.team", "variables": { "db": { "port": 2 } } })).await;
        let inherited = api.get("namespaces/company.team/inherited-variables").await.ok();
        assert_eq!(inherited, json!({ "host": "a", "db": { "name": "x", "port": 2 } }));
        api.save(&format!(
            "id: f\nnamespace: company.team\ninputs: [{{id: h, type: STRING, defaults: '{{{{ namespace.host }}}}'}}]\ntasks: [{{id: t, type: {RETURN}, format: '{{{{ namespace.db.name }}}} {{{{ namespace.db.port }}}} {{{{ inputs.h }}}}'}}]\n"
        ))
        .await;
        let said = async || api.run("company.team/f").await["taskRunList"][0]["outputs"]["value"].clone();
        assert_eq!(said().await, "x 2 a");
        // Variables are data: they are looked up when they are needed.
        put(api, "company", json!({ "variables": { "host": "b", "db": { "name": "y" } } })).await;
        assert_eq!(said().await, "y 2 b");
        assert_eq!(api.get("flows/company.team/f").await.ok()["revision"], 1);
    })
    .await;
}

#[tokio::test]
async fn plugin_defaults_of_namespaces_make_new_revisions_of_the_flows_they_change() {
    serving(async |api| {
        let flow = |id: &str, namespace: &str, more: &str| {
            format!("id: {id}\nnamespace: {namespace}\ntasks: [{{id: t, type: {RETURN}{more}}}]\n")
        };
        api.save(&flow("own", "company.team", ", format: own")).await;
        api.save(&flow("without", "company.team", "")).await;
        api.save(&flow("elsewhere", "companion", "")).await;
        let default =
            |forced: bool, text: &str| json!([{ "type": RETURN, "forced": forced, "values": { "format": text } }]);
        let said = async |flow: &str| api.run(flow).await["taskRunList"][0]["outputs"]["value"].clone();
        let revision = async |flow: &str| api.get(&format!("flows/{flow}")).await.ok()["revision"].clone();

        create(api, json!({ "id": "company", "pluginDefaults": default(false, "far") })).await;
        assert_eq!((said("company.team/own").await, said("company.team/without").await), (json!("own"), json!("far")));
        assert_eq!(
            (revision("company.team/without").await, revision("companion/elsewhere").await),
            (json!(2), json!(1))
        );

        create(api, json!({ "id": "company.team", "pluginDefaults": default(false, "near") })).await;
        assert_eq!(said("company.team/without").await, "near");
        let inherited = api.get("namespaces/company.team/inherited-plugindefaults").await.ok();
        let places: Vec<&Value> = inherited.as_array().expect("a list").iter().map(|one| &one["namespace"]).collect();
        assert_eq!(places, ["company.team", "company"]);

        // What is forced above wins over all below it.
        put(api, "company", json!({ "pluginDefaults": default(true, "forced") })).await;
        assert_eq!(said("company.team/own").await, "forced");
        // A flow that is saved later has them from its first revision on.
        api.save(&flow("later", "company.team", "")).await;
        assert_eq!(
            (said("company.team/later").await, revision("company.team/later").await),
            (json!("forced"), json!(1))
        );
        // Nothing changes for anybody: nobody gets a revision.
        let before = revision("company.team/own").await;
        put(api, "company", json!({ "pluginDefaults": default(true, "forced"), "description": "d" })).await;
        assert_eq!(revision("company.team/own").await, before);

        assert_eq!(api.delete("namespaces/company").await.status, 204);
        assert_eq!((said("company.team/own").await, said("company.team/later").await), (json!("own"), json!("near")));
    })
    .await;
}

#[tokio::test]
async fn a_version_that_a_namespace_asks_for_is_heard_after_the_flow() {
    serving(async |api| {
        api.save(&format!("id: f\nnamespace: company\ntasks: [{{id: t, type: {RETURN}, format: x}}]\n")).await;
        let refused = api
            .post_json(
                "namespaces",
                &json!({ "id": "company", "pluginDefaults": [{ "type": RETURN, "values": { "version": "9.9.9" } }] }),
            )
            .await
            .refused(422, "namespace.refused");
        let text = format!("{refused:?}");
        assert!(text.contains("company.f") && text.contains("9.9.9"), "{text}");
        api.get("namespaces/company").await.ok();
        assert_eq!(ids(&api.get("namespaces/search?existing=true").await.ok()), Vec::<&str>::new(), "all or nothing");
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_set_is_told_at_once_and_nothing_is() {
    serving(async |api| {
        let body = json!({
            "id": "company",
            "workerGroup": { "key": "big" },
            "storageIsolation": { "enabled": false },
            "varables": {},
            "variables": [1],
            "pluginDefaults": [{ "type": RETURN, "values": { "format": null } }, { "type": "x" }],
        });
        let refused = api.post_json("namespaces", &body).await.refused(422, "namespace.invalid");
        let paths: Vec<&str> = refused.iter().filter_map(|one| one["path"].as_str()).collect();
        assert_eq!(
            paths,
            ["workerGroup", "varables", "variables", "pluginDefaults[0].values.format", "pluginDefaults[1].values"],
            "{refused:?}"
        );
        api.post_json("namespaces", &json!({})).await.refused(422, "namespace.invalid");
        api.post_json("namespaces", &json!({ "id": "a..b" })).await.refused(422, "namespace.invalid");
        assert_eq!(ids(&api.get("namespaces/search").await.ok()), Vec::<&str>::new());
    })
    .await;
}

#[tokio::test]
async fn plugin_defaults_go_out_as_a_file_and_come_in_again() {
    serving(async |api| {
        create(api, json!({ "id": "from", "pluginDefaults": [{ "type": RETURN, "forced": true, "values": { "format": "x" } }] })).await;
        create(api, json!({ "id": "to", "pluginDefaults": [{ "type": RETURN, "values": { "format": "y" } }, { "type": "io.kestra.plugin.core.log", "values": { "level": "WARN" } }] })).await;
        let file = api.post("namespaces/from/plugindefaults/export", "application/json", "").await;
        assert_eq!(file.status, 200);
        assert!(file.text.starts_with("pluginDefaults:\n- type: io.kestra"), "{}", file.text);
        let types = api.form("namespaces/to/plugindefaults/import", "fileUpload", "d.yaml", &file.text).await.ok();
        assert_eq!(types, json!([RETURN]));
        let now = api.get("namespaces/to").await.ok();
        let set: Vec<(&Value, &Value)> =
            now["pluginDefaults"].as_array().expect("a list").iter().map(|one| (&one["type"], &one["forced"])).collect();
        assert_eq!(set, [(&json!("io.kestra.plugin.core.log"), &json!(false)), (&json!(RETURN), &json!(true))]);
        api.form("namespaces/to/plugindefaults/import", "fileUpload", "d.yaml", "a: 1\n").await.refused(422, "namespace.invalid");
        api.form("namespaces/to/plugindefaults/import", "file", "d.yaml", &file.text).await.refused(422, "body.no_file");
    })
    .await;
}
