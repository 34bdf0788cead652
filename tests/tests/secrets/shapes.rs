//! The shapes in which a secret leaves: whole URL, path, query, header, Basic credentials, bodies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tests::served::Options;

use super::{alarms, failed, logs, named, run, run_flow, succeeded, world};

const REQUEST: &str = "io.kestra.plugin.core.http.Request";

fn with(secrets: &[(&str, &str)]) -> Options {
    Options { secrets: named(secrets), ..Options::default() }
}

fn http(id: &str, properties: serde_json::Value) -> String {
    let mut task = json!({ "id": "t", "type": REQUEST });
    task.as_object_mut().expect("an object").extend(properties.as_object().expect("an object").clone());
    json!({ "id": id, "namespace": "tests.secrets", "tasks": [task] }).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_url() {
    let mirror = tests::mirror::Mirror::open().await;
    let hook = format!("http://me:pass%40word@127.0.0.1:{}/services/T0/B0?key=k3y-of-the-hook", mirror.address.port());
    let mut options = with(&[("HOOK", &hook)]);
    options.outside.push(mirror.address);
    world(options, async |api, _, _| {
        // The flow names no host: the secret may go to its own.
        succeeded(&run_flow(api, "whole", &http("whole", json!({ "uri": "{{ secret('HOOK') }}" }))).await);
        assert_eq!(mirror.last().uri, "/services/T0/B0?key=k3y-of-the-hook");
        assert_eq!(mirror.last().header("authorization"), format!("Basic {}", STANDARD.encode("me:pass@word")));
        let more = json!({ "uri": "{{ secret('HOOK') }}/more", "params": { "q": "1" } });
        let ended = run_flow(api, "more", &http("more", more)).await;
        assert_eq!(mirror.last().uri, "/services/T0/B0/more?key=k3y-of-the-hook&q=1");
        assert!(!succeeded(&ended).to_string().contains("k3y-of-the-hook"), "{ended}");
        assert!(!logs(api, &ended).await.contains("k3y-of-the-hook"));
        assert_eq!(alarms(api).await, [""; 0]);
    })
    .await;
    mirror.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn path_and_query() {
    world(with(&[("KEY", "a/b c?d&e=f#g%é")]), async |api, mirror, _| {
        let path = mirror.url("/x/{{ secret('KEY') }}/y?z=1");
        succeeded(&run_flow(api, "path", &http("path", json!({ "uri": path }))).await);
        assert_eq!(mirror.last().uri, "/x/a/b%20c%3Fd&e=f%23g%25%C3%A9/y?z=1");
        let query =
            json!({ "uri": mirror.url("/q?k={{ secret('KEY') }}&z=1"), "params": { "p": "{{ secret('KEY') }}" } });
        succeeded(&run_flow(api, "query", &http("query", query)).await);
        let value = "a%2Fb%20c%3Fd%26e%3Df%23g%25%C3%A9";
        assert_eq!(mirror.last().uri, format!("/q?k={value}&z=1&p={value}").as_str());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_and_basic_credentials() {
    world(with(&[("KEY", "t0ken/of+mine"), ("LINE", "with a break\n")]), async |api, mirror, _| {
        let header = json!({ "uri": mirror.url("/quiet"), "headers": { "x-key": "key {{ secret('KEY') }}" } });
        succeeded(&run_flow(api, "header", &http("header", header)).await);
        assert_eq!(mirror.last().header("x-key"), "key t0ken/of+mine");
        assert_eq!(mirror.last().header("accept-encoding"), "");
        let auth = json!({ "type": "BASIC", "username": "me", "password": "{{ secret('KEY') }}" });
        let basic = json!({ "uri": mirror.url("/quiet"), "options": { "auth": auth } });
        succeeded(&run_flow(api, "basic", &http("basic", basic)).await);
        let expected = format!("Basic {}", STANDARD.encode("me:t0ken/of+mine"));
        assert_eq!(mirror.last().header("authorization"), expected);
        // The same made by the flow itself is a secret of its own.
        let derived = "Basic {{ ('me:' ~ secret('KEY')) | base64encode }}";
        let derived = json!({ "uri": mirror.url("/x"), "headers": { "authorization": derived } });
        let ended = run_flow(api, "derived", &http("derived", derived)).await;
        assert_eq!(mirror.last().header("authorization"), expected);
        let shown = succeeded(&ended).to_string();
        assert!(!shown.contains(&STANDARD.encode("me:t0ken/of+mine")) && !shown.contains("t0ken"), "{shown}");
        // What a plugin marks as secret is one, wherever it comes from.
        let auth = json!({ "type": "BASIC", "username": "me", "password": "l1teral-password" });
        let literal = json!({ "uri": mirror.url("/x"), "options": { "auth": auth } });
        let ended = run_flow(api, "literal", &http("literal", literal)).await;
        assert_eq!(mirror.last().header("authorization"), format!("Basic {}", STANDARD.encode("me:l1teral-password")));
        let shown = succeeded(&ended).to_string();
        assert!(!shown.contains(&STANDARD.encode("l1teral-pas").replace('=', "")), "{shown}");
        // What no header may have is refused with words.
        let before = mirror.seen().len();
        let line = json!({ "uri": mirror.url("/quiet"), "headers": { "x-key": "{{ secret('LINE') }}" } });
        let ended = run_flow(api, "line", &http("line", line)).await;
        failed(&ended);
        assert!(logs(api, &ended).await.contains("ends with a line break"));
        assert_eq!(mirror.seen().len(), before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_filled_as_their_type_wants() {
    const VALUE: &str = "a \"b\" & c=\\d\n";
    world(with(&[("KEY", VALUE)]), async |api, mirror, _| {
        let request = |more: serde_json::Value| {
            let mut all = json!({ "uri": mirror.url("/quiet"), "method": "POST" });
            all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            all
        };
        let body = request(json!({ "body": "{\"password\": \"{{ secret('KEY') }}\", \"n\": 1}" }));
        succeeded(&run_flow(api, "json", &http("json", body)).await);
        let seen = mirror.last();
        let sent: serde_json::Value = serde_json::from_str(seen.body.as_deref().expect("a body")).expect("JSON");
        assert_eq!(sent, json!({ "password": VALUE, "n": 1 }));
        assert_eq!(seen.header("content-length"), seen.body.as_deref().unwrap_or_default().len().to_string());
        succeeded(
            &run_flow(
                api,
                "form",
                &http("form", request(json!({ "formData": { "p": "{{ secret('KEY') }}", "q": "1" } }))),
            )
            .await,
        );
        assert_eq!(mirror.last().body.as_deref(), Some("p=a%20%22b%22%20%26%20c%3D%5Cd%0A&q=1"));
        let text = request(json!({ "body": "<{{ secret('KEY') }}>", "contentType": "text/plain" }));
        succeeded(&run_flow(api, "text", &http("text", text)).await);
        assert_eq!(mirror.last().body, Some(format!("<{VALUE}>")));
        let multipart =
            request(json!({ "formData": { "p": "{{ secret('KEY') }}" }, "contentType": "multipart/form-data" }));
        succeeded(&run_flow(api, "multipart", &http("multipart", multipart)).await);
        assert!(mirror.last().body.is_some_and(|body| body.contains(VALUE)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_placeholder_is_found_across_frames_and_never_sent_half() {
    world(with(&[("KEY", "k3y-in-a-body")]), async |api, mirror, _| {
        // The length the guest announced is that of the placeholders.
        let body = json!(["{\"k\":\"", "{{ secret('KEY') | slice(0, 13) }}", "\",\"l\":\"", "{{ secret('KEY') }}", "\"}"]);
        let properties = json!({ "url": mirror.url("/quiet"), "method": "POST", "body": body,
            "headers": [["content-type", "application/json"], ["content-length", "103"]] });
        succeeded(&run(api, "frames", "exchange", properties).await);
        assert_eq!(mirror.last().body.as_deref(), Some("{\"k\":\"k3y-in-a-body\",\"l\":\"k3y-in-a-body\"}"));
        assert_eq!(mirror.last().header("content-length"), "41");

        // The guest writes 4,096 bytes at once: the placeholder is cut.
        let long = format!("{}{{{{ secret('KEY') }}}}", "x".repeat(4_080));
        let cut = json!({ "url": mirror.url("/quiet"), "method": "POST", "body": [long] });
        succeeded(&run(api, "cut", "exchange", cut).await);
        assert_eq!(mirror.last().body, Some(format!("{}k3y-in-a-body", "x".repeat(4_080))));

        // Long bodies of runs with secrets are streamed as they are.
        let long = json!({ "url": mirror.url("/quiet"), "method": "POST", "body": ["0123456789abcdef"], "times": 80_000,
            "password": "{{ secret('KEY') }}" });
        succeeded(&run(api, "long", "exchange", long).await);
        assert_eq!(mirror.last().body.map(|body| body.len()), Some(1_280_000));
        assert_eq!(alarms(api).await, [""; 0]);

        // A placeholder late in one is not sent, and neither is its value.
        let late = json!({ "url": mirror.url("/quiet"), "method": "POST", "body": ["0123456789abcdef", "{{ secret('KEY') }}"],
            "times": 25_000 });
        let ended = run(api, "late", "exchange", late).await;
        failed(&ended);
        assert!(logs(api, &ended).await.contains("too long to put it in"));
        let sent = mirror.last().body.unwrap_or_default();
        assert!(!sent.contains("sluicesecret") && !sent.contains("k3y-in-a-body"));
        assert_eq!(alarms(api).await, ["KEY body"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bound_secrets_go_to_their_hosts_alone() {
    let options = Options {
        policy: Some("secrets: {BOUND: {hosts: [localhost]}}\n".to_owned()),
        ..with(&[("BOUND", "b0und-to-localhost"), ("FREE", "fr33-to-the-flow")])
    };
    world(options, async |api, mirror, _| {
        let send = |name: &str, host: &str| {
            json!({ "uri": format!("http://{host}/quiet"), "headers": { "x-key": format!("{{{{ secret('{name}') }}}}") } })
        };
        let here = mirror.address.to_string();
        let before = mirror.seen().len();
        let ended = run_flow(api, "astray", &http("astray", send("BOUND", &here))).await;
        failed(&ended);
        assert!(logs(api, &ended).await.contains("bound to `localhost`"));
        let elsewhere = format!("{{{{ '127.0' ~ '.0.1' }}}}:{}", mirror.address.port());
        let ended = run_flow(api, "unnamed", &http("unnamed", send("FREE", &elsewhere))).await;
        failed(&ended);
        assert!(logs(api, &ended).await.contains("neither the flow's source nor the plugin's manifest names it"));
        assert_eq!(mirror.seen().len(), before);
        assert_eq!(alarms(api).await, ["BOUND request", "FREE request"]);
        succeeded(&run_flow(api, "named", &http("named", send("FREE", &here))).await);
        assert_eq!(mirror.last().header("x-key"), "fr33-to-the-flow");
        // The host of a bound one need not stand in the flow.
        let made = format!("{{{{ 'local' ~ 'host' }}}}:{}", mirror.address.port());
        succeeded(&run_flow(api, "bound", &http("bound", send("BOUND", &made))).await);
        assert_eq!(mirror.last().header("x-key"), "b0und-to-localhost");
    })
    .await;
}
