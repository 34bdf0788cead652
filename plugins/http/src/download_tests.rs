//! `http.Download` against the mock host.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;
use sluice_sdk::testing::{MockHost, Scripted};

use super::download;

const LINE: &str = "GET https://files/a/orders.csv?v=1";

fn host(answer: Scripted) -> MockHost {
    MockHost::new().answer(LINE, answer)
}

fn uri() -> serde_json::Value {
    json!({"uri": "https://files/a/orders.csv?v=1"})
}

#[test]
fn response_becomes_a_file() {
    let body: Vec<u8> = (0..9 * 1024 * 1024_u32).map(|index| (index % 251) as u8).collect();
    let host = host(Scripted::status(200).header("content-length", &body.len().to_string()).body(body.clone()));
    let outputs = host.run_task::<download>(uri()).unwrap();
    let file = outputs["uri"].as_str().unwrap();
    assert!(file.starts_with("kestra:///") && file.ends_with("/orders.csv"), "{file}");
    assert_eq!(host.file_bytes(file).unwrap(), body);
    assert_eq!((outputs["code"].clone(), outputs["length"].clone()), (json!(200), json!(body.len())));
    assert_eq!(outputs["headers"]["content-length"], json!([body.len().to_string()]));
    assert_eq!(host.progress().iter().map(|progress| progress.percent).collect::<Vec<_>>(), [Some(44), Some(88)]);
    assert_eq!(host.metrics()[0].name, "response.length");
}

#[test]
fn server_names_the_file() {
    for (disposition, expected) in [
        ("attachment; filename=\"day 1.csv\"", "/day_1.csv"),
        ("attachment; filename=plain.csv; filename*=UTF-8''r%C3%A9sum%C3%A9.csv", "/r_C3_A9sum_C3_A9.csv"),
        ("attachment; filename=\"../../etc/passwd\"", "/passwd"),
        ("attachment; filename=\"..\"", "/download"),
        ("inline", "/orders.csv"),
    ] {
        let host = host(Scripted::status(200).header("Content-Disposition", disposition).body("x"));
        let outputs = host.run_task::<download>(uri()).unwrap();
        assert!(outputs["uri"].as_str().unwrap().ends_with(expected), "{disposition}: {outputs}");
    }
}

#[test]
fn empty_response_fails_unless_allowed() {
    assert_eq!(host(Scripted::status(200)).run_task::<download>(uri()).unwrap_err().code(), "EMPTY_RESPONSE");
    let accepting = json!({"uri": "https://files/a/orders.csv?v=1", "failOnEmptyResponse": "false"});
    let host = host(Scripted::status(204));
    let outputs = host.run_task::<download>(accepting).unwrap();
    assert_eq!(
        (outputs["length"].clone(), host.file_bytes(outputs["uri"].as_str().unwrap())),
        (json!(0), Some(Vec::new()))
    );
    assert_eq!(host.logs()[0].message, "`https://files/a/orders.csv?v=1` is empty");
}

#[test]
fn short_response_fails_and_leaves_no_file() {
    let host = host(Scripted::status(200).header("content-length", "10").body("half"));
    let failure = host.run_task::<download>(uri()).unwrap_err();
    assert_eq!(host.file_uris(), Vec::<String>::new());
    assert_eq!((failure.code(), failure.is_retryable()), ("HTTP_INCOMPLETE", Some(true)));
    assert_eq!(failure.message(), "`https://files/a/orders.csv?v=1` ended after 4 of 10 bytes");
}

#[test]
fn status_decides_before_a_file_is_made() {
    assert_eq!(host(Scripted::status(404).body("no")).run_task::<download>(uri()).unwrap_err().code(), "HTTP_STATUS");
    let allowing = json!({"uri": "https://files/a/orders.csv?v=1", "allowFailed": true});
    let outputs = host(Scripted::status(404).body("no")).run_task::<download>(allowing).unwrap();
    assert_eq!((outputs["code"].clone(), outputs["length"].clone()), (json!(404), json!(2)));
}
