//! What comes back from where a secret went.

use serde_json::json;
use tests::served::Options;

use super::{failed, logs, named, run, succeeded, world};

const VALUE: &str = "s3cret/of the+\"mirror\"";

fn options() -> Options {
    Options { secrets: named(&[("KEY", VALUE), ("PIN", "12345")]), ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_does_not_show_what_it_was_sent() {
    world(options(), async |api, mirror, _| {
        let properties = json!({ "url": mirror.url("/x?q={{ secret('KEY') }}"), "method": "POST", "basic": ["me", "{{ secret('KEY') }}"],
            "headers": [["x-key", "{{ secret('KEY') }}"], ["content-type", "application/json"], ["accept-encoding", "gzip"]],
            "body": ["{\"k\": \"{{ secret('KEY') }}\"}"] });
        let ended = run(api, "mirror", "exchange", properties).await;
        let outputs = succeeded(&ended);
        assert_eq!(mirror.last().header("accept-encoding"), "");
        let shown = outputs.to_string();
        for part in ["s3cret", "czNjcmV0", "M2NyZXQv", "3cret%2F"] {
            assert!(!shown.contains(part), "`{part}` in {shown}");
        }
        assert!(shown.contains("******"), "{shown}");
        // What became of the document is still one.
        let body = outputs["body"].as_str().expect("a body");
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
        assert!(!outputs["headers"].to_string().contains("content-length"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_of_an_answer_are_scrubbed_as_they_come() {
    world(options(), async |api, mirror, _| {
        let properties = json!({ "url": mirror.url("/pieces"), "method": "POST", "headers": [["content-type", "text/plain"]],
            "body": ["before {{ secret('KEY') }} between s3cre {{ secret('KEY') }}"] });
        let ended = run(api, "pieces", "exchange", properties).await;
        assert_eq!(succeeded(&ended)["body"], "before ****** between s3cre ******");
        assert!(ended["taskRunList"][0]["outputs"]["pieces"].as_u64() > Some(3));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_compressed_all_the_same_is_refused() {
    world(options(), async |api, mirror, _| {
        let ask = |key: &str| json!({ "url": mirror.url("/packed"), "headers": [["x-key", key]] });
        let ended = run(api, "packed", "exchange", ask("{{ secret('KEY') }}")).await;
        failed(&ended);
        assert!(logs(api, &ended).await.contains("is compressed (`gzip`)"));
        succeeded(&run(api, "open", "exchange", ask("no secret")).await);
        // Nothing could be looked for of a secret as short as this.
        succeeded(&run(api, "short", "exchange", ask("{{ secret('PIN') }}")).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_request_does_not_show_its_url() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let address = gone.local_addr().expect("an address");
    let port = address.port();
    drop(gone);
    let options = Options { outside: vec![address], ..options() };
    world(options, async |api, _, _| {
        let properties = json!({ "url": format!("http://127.0.0.1:{port}/{{{{ secret('KEY') }}}}") });
        let ended = run(api, "gone", "exchange", properties).await;
        failed(&ended);
        let shown = format!("{ended}{}", logs(api, &ended).await);
        assert!(!shown.contains("s3cret"), "{shown}");
    })
    .await;
}
