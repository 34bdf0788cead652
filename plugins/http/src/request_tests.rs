//! `http.Request` against the mock host.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
use sluice_sdk::http::code;
use sluice_sdk::prelude::*;
use sluice_sdk::testing::{MockHost, Scripted, SentRequest};

use super::request;

/// Runs one request that is answered with an empty 200, and gives what was sent.
#[track_caller]
fn sent(line: &str, properties: Value) -> SentRequest {
    let host = MockHost::new().answer(line, Scripted::status(200)).file("kestra:///in/data.bin", vec![7; 200_000]);
    host.run_task::<request>(properties).unwrap();
    host.requests().remove(0)
}

#[track_caller]
fn failure(host: &MockHost, properties: Value) -> Failure {
    host.run_task::<request>(properties).unwrap_err()
}

#[test]
fn response_becomes_outputs() {
    let answer = Scripted::status(201)
        .header("X-A", "1")
        .header("x-a", "2")
        .header("Content-Type", "application/json")
        .body(r#"{"id":1}"#);
    let host = MockHost::new().answer("GET https://api/p?q=a%20b", answer);
    let outputs = host.run_task::<request>(json!({"uri": "https://api/p?q=a b"})).unwrap();
    assert_eq!(
        outputs,
        json!({
            "uri": "https://api/p?q=a%20b", "code": 201, "body": r#"{"id":1}"#,
            "headers": {"content-type": ["application/json"], "x-a": ["1", "2"]}, "encryptedBody": null, "formData": null,
        })
    );
    assert_eq!(host.metrics()[0].value, 8.0);
    assert!(host.requests()[0].headers.get("user-agent").unwrap().starts_with("Sluice-http/"));
}

#[test]
fn text_body_is_json_unless_said_otherwise() {
    let request = sent("POST https://api/", json!({"uri": "https://api", "method": "post", "body": {"a": [1]}}));
    assert_eq!(request.body, br#"{"a":[1]}"#);
    assert_eq!(request.headers.get("content-type"), Some("application/json; charset=UTF-8"));
    assert_eq!(request.headers.get("content-length"), Some("9"));

    let request = sent(
        "PUT https://api/",
        json!({"uri": "https://api", "method": "PUT", "body": "ä", "contentType": "text/plain", "options": {"defaultCharset": "ISO-8859-1"}}),
    );
    assert_eq!(request.body, [0xE4]);
    assert_eq!(request.headers.get("content-type"), Some("text/plain; charset=ISO-8859-1"));
}

#[test]
fn body_may_be_a_file() {
    let request = sent(
        "POST https://api/",
        json!({"uri": "https://api", "method": "POST", "body": "kestra:///in/data.bin", "contentType": "application/octet-stream"}),
    );
    assert_eq!(request.body.len(), 200_000);
    assert_eq!(request.headers.get("content-length"), Some("200000"));
}

#[test]
fn form_is_url_encoded() {
    let request = sent(
        "POST https://api/",
        json!({"uri": "https://api", "method": "POST", "formData": {"user name": "a&b", "n": 1}}),
    );
    assert_eq!(String::from_utf8(request.body).unwrap(), "user%20name=a%26b&n=1");
    assert_eq!(request.headers.get("content-type"), Some("application/x-www-form-urlencoded"));
}

#[test]
fn multipart_form_streams_files() {
    let form = json!({"note": "hi", "data": "kestra:///in/data.bin", "named": {"name": "a\"b.bin", "content": "kestra:///in/data.bin"}});
    let request = sent(
        "POST https://api/",
        json!({"uri": "https://api", "method": "POST", "contentType": "multipart/form-data", "formData": form}),
    );
    let content_type = request.headers.get("content-type").unwrap().to_owned();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    assert_eq!(request.headers.get("content-length"), Some(request.body.len().to_string().as_str()));
    let text = String::from_utf8_lossy(&request.body);
    assert!(text.starts_with(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--{boundary}\r\n"
    )));
    assert!(
        text.contains(
            "name=\"data\"; filename=\"data.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n\u{7}\u{7}"
        )
    );
    assert!(text.contains("name=\"named\"; filename=\"a%22b.bin\""));
    assert!(text.ends_with(&format!("\r\n--{boundary}--\r\n")));
}

#[test]
fn headers_of_the_flow_win() {
    let headers = json!({"User-Agent": "me", "X-Many": ["1", 2], "Content-Type": "a/b"});
    let request =
        sent("POST https://api/", json!({"uri": "https://api", "method": "POST", "body": "x", "headers": headers}));
    let fields: Vec<_> = request.headers.iter().collect();
    assert_eq!(
        fields,
        [("user-agent", "me"), ("x-many", "1"), ("x-many", "2"), ("content-type", "a/b"), ("content-length", "1")]
    );
}

#[test]
fn credentials_become_a_header() {
    let authorization =
        |properties: Value| sent("GET https://api/", properties).headers.get("authorization").map(str::to_owned);
    let basic = json!({"type": "BASIC", "username": "u", "password": 12});
    assert_eq!(
        authorization(json!({"uri": "https://api", "options": {"auth": basic}})).as_deref(),
        Some("Basic dToxMg==")
    );
    assert_eq!(
        authorization(json!({"uri": "https://api", "options": {"auth": {"type": "BEARER", "token": "t"}}})).as_deref(),
        Some("Bearer t")
    );
    assert_eq!(
        authorization(json!({"uri": "https://api", "options": {"basicAuthUser": "u", "basicAuthPassword": "12"}}))
            .as_deref(),
        Some("Basic dToxMg==")
    );
    assert_eq!(authorization(json!({"uri": "https://u:1%32@api"})).as_deref(), Some("Basic dToxMg=="));
    let missing = failure(
        &MockHost::new(),
        json!({"uri": "https://api", "options": {"auth": {"type": "BASIC", "username": "u"}}}),
    );
    assert_eq!(missing.message(), "property `options.auth.password` is missing");
}

#[test]
fn options_reach_client_and_host() {
    let host = MockHost::new().answer("GET https://api/", Scripted::status(302).header("location", "/x"));
    let options = json!({
        "followRedirects": "false", "ssl": {"insecureTrustAllCertificates": true}, "timeout": {"connectTimeout": "PT2S", "readIdleTimeout": "PT3S"},
        "proxy": {"type": "HTTP", "address": "proxy.local", "port": "3128", "username": "u", "password": "p"},
    });
    let outputs = host.run_task::<request>(json!({"uri": "https://api", "options": options})).unwrap();
    assert_eq!(outputs["code"], 302);
    assert_eq!(
        host.egress_options(),
        [r#"{"insecure":true,"proxy":{"url":"http://proxy.local:3128","username":"u","password":"p"}}"#]
    );
    let request = host.requests().remove(0);
    assert_eq!(request.headers.get("sluice-egress"), Some("mock-egress-1"));
    assert_eq!((request.timeouts.connect.unwrap().as_secs(), request.timeouts.idle.unwrap().as_secs()), (2, 3));
}

#[test]
fn status_of_400_and_above_fails() {
    let answer = || Scripted::status(503).body("later");
    let failed = failure(&MockHost::new().answer("GET https://api/", answer()), json!({"uri": "https://api"}));
    assert_eq!(failed.code(), "HTTP_STATUS");
    assert_eq!(failed.message(), "`GET https://api/` answered 503 Service Unavailable: later");
    assert_eq!(Value::Object(failed.details().clone()), json!({"status": 503, "body": "later"}));

    for allowing in [
        json!({"uri": "https://api", "allowFailed": true}),
        json!({"uri": "https://api", "options": {"allowFailed": "true"}}),
        json!({"uri": "https://api", "options": {"allowedResponseCodes": [503]}}),
    ] {
        let outputs = MockHost::new().answer("GET https://api/", answer()).run_task::<request>(allowing).unwrap();
        assert_eq!((outputs["code"].clone(), outputs["body"].clone()), (json!(503), json!("later")));
    }
    let host = MockHost::new().answer("GET https://api/", Scripted::status(200));
    assert_eq!(
        failure(&host, json!({"uri": "https://api", "options": {"allowedResponseCodes": [201]}})).code(),
        "HTTP_STATUS"
    );
}

#[test]
fn failed_status_says_whether_to_try_again() {
    for (status, expected) in
        [(429, true), (500, true), (503, true), (400, false), (401, false), (404, false), (501, false)]
    {
        let host = MockHost::new().answer("GET https://api/", Scripted::status(status).header("Retry-After", "7"));
        let failed = failure(&host, json!({"uri": "https://api"}));
        assert_eq!(
            (failed.is_retryable(), failed.details().get("retryAfterSeconds")),
            (Some(expected), Some(&json!(7))),
            "{status}"
        );
    }
}

#[test]
fn params_go_into_the_query() {
    sent(
        "GET https://api/?x=1&q=a%20b&tag=1&tag=2",
        json!({"uri": "https://api?x=1", "params": {"q": "a b", "tag": [1, "2"]}}),
    );
}

#[test]
fn redirects_are_followed_without_credentials() {
    let host = MockHost::new()
        .answer("POST https://api/", Scripted::status(302).header("Location", "https://other/x"))
        .answer("GET https://other/x", Scripted::status(200).body("there"));
    let properties = json!({"uri": "https://api", "method": "POST", "body": "{}", "options": {"auth": {"type": "BEARER", "token": "t"}}});
    let outputs = host.run_task::<request>(properties).unwrap();
    assert_eq!((outputs["uri"].clone(), outputs["body"].clone()), (json!("https://other/x"), json!("there")));
    let second = host.requests().remove(1);
    assert_eq!(
        (second.headers.get("authorization"), second.headers.get("content-type"), second.body.len()),
        (None, None, 0)
    );
}

#[test]
fn circle_of_redirects_ends() {
    let circle = (0..30).fold(MockHost::new(), |host, _| {
        host.answer("GET https://api/", Scripted::status(302).header("location", "/"))
    });
    assert_eq!(failure(&circle, json!({"uri": "https://api"})).code(), code::REDIRECT);
    assert_eq!(circle.requests().len(), 21);
}

#[test]
fn response_over_the_limit_is_refused() {
    let host = || MockHost::new().answer("GET https://api/", Scripted::status(200).body(vec![b'x'; 5_000]));
    assert_eq!(
        failure(&host(), json!({"uri": "https://api", "options": {"maxContentLength": 4_999}})).code(),
        code::LIMIT
    );
    assert!(host().run_task::<request>(json!({"uri": "https://api", "options": {"maxContentLength": "5000"}})).is_ok());
}

#[test]
fn character_set_of_the_response_counts() {
    let latin = Scripted::status(200).header("content-type", "text/plain; charset=ISO-8859-1").body([0xE4]);
    let host = MockHost::new().answer("GET https://api/", latin);
    assert_eq!(host.run_task::<request>(json!({"uri": "https://api"})).unwrap()["body"], "ä");
    let host = MockHost::new().answer("GET https://api/", Scripted::status(200).body([0xE4]));
    assert_eq!(failure(&host, json!({"uri": "https://api"})).code(), "HTTP_NOT_TEXT");
}

#[test]
fn logs_hide_credentials() {
    let host = MockHost::new().answer("GET https://api/", Scripted::status(200).header("set-cookie", "s").body("pong"));
    let options = json!({"logs": ["REQUEST_HEADERS", "RESPONSE_HEADERS", "RESPONSE_BODY"], "auth": {"type": "BEARER", "token": "t0ken"}});
    host.run_task::<request>(json!({"uri": "https://api", "options": options})).unwrap();
    let lines: Vec<String> = host.logs().into_iter().map(|line| line.message).collect();
    assert!(lines[0].contains("authorization: ******") && !lines[0].contains("t0ken"));
    assert!(lines[1].contains("set-cookie: ******"));
    assert_eq!(lines[2], "response body: pong");
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_sent() {
    for (properties, expected) in [
        (json!({"uri": "https://api", "encryptBody": true}), "BAD_PROPERTY"),
        (json!({"uri": "https://api", "options": {"proxy": {"type": "SOCKS"}}}), "BAD_PROPERTY"),
        (json!({"uri": "https://api", "options": {"proxy": {"type": "HTTP"}}}), "BAD_PROPERTY"),
        (json!({"uri": "https://api", "options": {"defaultCharset": "EBCDIC"}, "body": "x"}), "BAD_PROPERTY"),
        (json!({"uri": "https://api", "nope": 1}), "BAD_PROPERTY"),
        (json!({"method": "GET"}), "BAD_PROPERTY"),
        (json!({"uri": "api/x"}), code::URL),
        (json!({"uri": "https://api", "method": "G ET"}), code::HEADER),
        (json!({"uri": "https://api", "body": "kestra:///missing"}), "NOT_FOUND"),
    ] {
        let host = MockHost::new();
        assert_eq!(failure(&host, properties.clone()).code(), expected, "{properties}");
        assert_eq!(host.requests().len(), 0, "{properties}");
    }
}

#[test]
fn failures_of_the_connection_pass_through() {
    let broken = Failure::new(code::CONNECT, "the connection broke off").retryable(true);
    let host =
        MockHost::new().answer("GET https://api/", Scripted::status(200).body("half").then_fails(broken.clone()));
    assert_eq!(failure(&host, json!({"uri": "https://api"})), broken);
}
