//! As whom a run acts: with the credentials of this server it reaches the whole tenant, within what it is granted; otherwise its own.

use serde_json::{Value, json};
use server::{Save, Start};
use tests::served::{Api, Options, serving_with};

use super::{does, options};

const PASSWORD: &str = "correct horse battery";
const HIDDEN: &str =
    "id: hidden\nnamespace: far.away\ntasks:\n  - {id: t, type: io.kestra.plugin.core.debug.Return, format: x}\n";

fn queries() -> Value {
    json!([{"kind": "flow", "everywhere": true, "count": true}, {"kind": "flow", "namespace": "far.away", "count": true}, {"kind": "namespace", "everywhere": true, "count": true}])
}

/// What who shows this is answered, and whether it reaches all.
async fn check(api: &Api, auth: Option<Value>, acted: &Value, everywhere: bool) -> Value {
    let mut asked = json!({ "queries": queries() });
    if let Some(auth) = auth {
        asked["auth"] = auth;
    }
    let seen = does(api, "Find", asked).await;
    match acted.is_null() {
        true => assert!(seen["acted"].is_null(), "{seen}"),
        false => assert!(seen["acted"] == *acted || seen["acted"]["code"] == *acted, "{seen}"),
    }
    let found = seen["found"].as_array().expect("an answer for each");
    assert!(found.iter().all(|answer| answer.is_u64() == everywhere), "{seen}");
    assert!(everywhere || found.iter().all(|answer| answer["code"] == "NOT_GRANTED"), "{seen}");
    assert!(!seen.to_string().contains(PASSWORD), "{seen}");
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_shows_the_credentials_reaches_the_tenant() {
    let secrets = [("ADMIN".to_owned(), PASSWORD.to_owned()), ("OTHER".to_owned(), "wrong horse".to_owned())].into();
    let credentials = Some(("ada", PASSWORD));
    serving_with(Options { credentials, secrets, ..options() }, async |api| {
        api.node.save_flow(HIDDEN, Save::Any).await.expect("it is valid");
        let user = |password: &str| Some(json!({ "username": "ada", "password": password }));
        let no = json!("NOT_GRANTED");
        check(api, None, &Value::Null, false).await;
        check(api, user("{{ secret('ADMIN') }}"), &json!("ok"), true).await;
        let wrong = check(api, user("{{ secret('OTHER') }}"), &no, false).await;
        assert!(wrong["acted"]["message"].as_str().is_some_and(|said| said.contains("hint: give the task `auth`")), "{wrong}");
        check(api, user(""), &no, false).await;
        check(api, Some(json!({ "username": "ada" })), &no, false).await;
        check(api, Some(json!({})), &no, false).await;
        let token = check(api, Some(json!({ "apiToken": "{{ secret('ADMIN') }}" })), &no, false).await;
        assert!(token["acted"]["message"].as_str().is_some_and(|said| said.contains("no API tokens")), "{token}");
        check(api, Some(json!({ "user": "ada" })), &json!("BAD_ARGUMENT"), false).await;
        check(api, Some(json!({ "username": "{{ secret('ADMIN') }}", "password": "ada" })), &no, false).await;

        // What is saved then is anybody's; what is not granted stays so.
        let changes = json!([
            {"op": "save", "kind": "dashboard", "namespace": "", "id": "all", "source": "id: all\ntitle: x"},
            {"op": "delete", "kind": "flow", "namespace": "far.away", "id": "hidden"},
            {"op": "save", "kind": "file", "namespace": "far", "id": "a.txt", "source": "x"}
        ]);
        let auth = user("{{ secret('ADMIN') }}");
        let saved = does(api, "Apply", json!({ "auth": auth, "sequence": 1, "changes": changes })).await["answer"].clone();
        assert_eq!(saved["items"][2]["changed"], true, "{saved}");
        let looked = json!({ "auth": auth, "queries": [{"kind": "dashboard", "everywhere": true, "sources": true}, {"kind": "dashboard", "namespace": ""}], "reads": [["dashboard", "", "all"], ["file", "far", "a.txt"]] });
        let seen = does(api, "Find", looked).await;
        assert_eq!((&seen["found"][0][0]["namespace"], &seen["found"][0][0]["source"]), (&json!(""), &json!("id: all\ntitle: x")));
        assert_eq!(seen["found"][1].as_array().map(Vec::len), Some(1));
        assert_eq!(seen["read"], json!(["id: all\ntitle: x", "x"]));
        let refused = does(api, "Save", json!({ "auth": auth, "sequence": 1, "changes": [{"op": "delete", "kind": "flow", "namespace": "far", "id": "b"}] })).await;
        assert_eq!(refused["answer"]["code"], "NOT_GRANTED", "{refused}");
    })
    .await;
}

/// Where nobody is asked for a login, whoever asks has all rights, and the log says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_server_takes_anybody() {
    serving_with(options(), async |api| {
        api.node.save_flow(HIDDEN, Save::Any).await.expect("it is valid");
        check(api, None, &Value::Null, false).await;
        check(api, Some(json!({ "apiToken": "whatever" })), &json!("ok"), true).await;
        let id = api.node.start(Start::of("plans", "find")).await.expect("it starts");
        api.node.ended(&id).await.expect("it ends");
        let lines = api.node.logs(id.as_str(), 0, 100).await.expect("it has a log");
        let said: Vec<String> = lines.iter().map(|line| format!("{line:?}")).collect();
        let told = said.iter().find(|line| line.contains("this server asks for no login"));
        assert!(told.is_some_and(|line| line.to_uppercase().contains("DEBUG")), "{said:?}");
    })
    .await;
}
