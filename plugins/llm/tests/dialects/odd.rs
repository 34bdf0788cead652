//! Providers that send anything: whatever it is, it is an answer or an error, and never the end of the one who reads it.

use llm::{Dialect, Kind};
use serde_json::{Value, json};

use crate::streams::decode;
use crate::transcripts::all;

/// The value with each of its places, one after the other, replaced by each of these.
fn replaced(value: &Value, visit: &mut dyn FnMut(&Value)) {
    let mut places = vec![String::new()];
    let mut at = 0;
    while let Some(place) = places.get(at).cloned() {
        at += 1;
        match value.pointer(&place) {
            Some(Value::Object(fields)) => places.extend(fields.keys().map(|name| format!("{place}/{name}"))),
            Some(Value::Array(items)) => places.extend((0..items.len()).map(|index| format!("{place}/{index}"))),
            _ => {}
        }
        for other in [
            Value::Null,
            json!(true),
            json!(-1),
            json!(1e300),
            json!("x"),
            json!([]),
            json!([[]]),
            json!({}),
            json!({ "type": "x" }),
        ] {
            let mut changed = value.clone();
            if let Some(found) = changed.pointer_mut(&place) {
                *found = other;
            }
            visit(&changed);
        }
    }
}

#[test]
fn any_value_may_stand_anywhere() {
    for transcript in all() {
        replaced(&transcript.whole, &mut |body| {
            let bytes = body.to_string().into_bytes();
            if let Err(error) = transcript.dialect.codec().decode_response(200, &[], &bytes) {
                let known = matches!(error.kind, Kind::Malformed | Kind::Truncated | Kind::Server | Kind::BadRequest);
                assert!(known, "{:?}: {body}: {error}", transcript.dialect);
            }
            for status in [400, 429, 500] {
                transcript.dialect.codec().decode_response(status, &[], &bytes).expect_err("no success");
            }
        });
    }
}

#[test]
fn any_value_may_stand_anywhere_in_an_error() {
    let error = json!({
        "error": { "message": "x", "type": "x", "code": 1, "status": "RESOURCE_EXHAUSTED", "innererror": { "code": "x" },
            "metadata": { "reasons": null }, "details": [{ "violations": [{ "quotaId": "x" }], "retryDelay": "1s" }] },
        "message": { "detail": [{ "loc": ["a", 1], "msg": "x" }] }, "__type": "x#y:z",
    });
    replaced(&error, &mut |body| {
        for dialect in Dialect::ALL {
            dialect.codec().decode_response(429, &[], body.to_string().as_bytes()).expect_err("no success");
        }
    });
}

#[test]
fn any_byte_of_a_stream_may_be_another() {
    for transcript in all() {
        for at in 0..transcript.stream.len() {
            for byte in [0, b'"', b'{', b'\n', 0xff] {
                let mut bytes = transcript.stream.clone();
                bytes[at] = byte;
                if let Err(error) = decode(transcript.dialect, &[&bytes]).1 {
                    assert!(!error.message().is_empty(), "{:?}: {error:?}", transcript.dialect);
                }
            }
        }
    }
}
