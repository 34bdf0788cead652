//! Bedrock: binary frames, read here by their published layout.

use super::*;

/// The checksum of a frame, by the table of IEEE 802.3.
pub fn crc(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| (0..8).fold(byte, |sum, _| if sum & 1 == 1 { 0xEDB8_8320 ^ (sum >> 1) } else { sum >> 1 }))
        .collect();
    !bytes.iter().fold(!0, |sum, byte| table[((sum ^ u32::from(*byte)) & 0xFF) as usize] ^ (sum >> 8))
}

fn number(bytes: &[u8]) -> usize {
    u32::from_be_bytes(bytes.try_into().expect("four bytes")) as usize
}

/// The headers of a frame, one text a line.
fn headers(mut bytes: &[u8]) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    while !bytes.is_empty() {
        let (name, rest) = bytes[1..].split_at(bytes[0].into());
        assert_eq!(rest[0], 7, "headers are texts");
        let (value, rest) = rest[3..].split_at(u16::from_be_bytes([rest[1], rest[2]]).into());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a text");
        headers.push((text(name), text(value)));
        bytes = rest;
    }
    headers
}

/// Every frame: its headers and its data.
pub fn frames(mut bytes: &[u8]) -> Vec<(Vec<(String, String)>, Value)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (total, heads) = (number(&bytes[..4]), number(&bytes[4..8]));
        assert_eq!(number(&bytes[8..12]), crc(&bytes[..8]) as usize, "the checksum of the prelude");
        assert_eq!(number(&bytes[total - 4..total]), crc(&bytes[..total - 4]) as usize, "the checksum of all");
        let payload = serde_json::from_slice(&bytes[12 + heads..total - 4]).expect("JSON");
        frames.push((headers(&bytes[12..12 + heads]), payload));
        bytes = &bytes[total..];
    }
    frames
}

pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

#[test]
fn checksum_is_that_of_the_published_check_value() {
    assert_eq!(crc(b"123456789"), 0xCBF4_3926);
}

#[tokio::test]
async fn stream_is_made_of_frames() {
    let call = json!({ "name": "weather", "arguments": { "city": "Köln" } });
    with(json!([{ "answer": { "thinking": "Hm.", "text": "So.", "toolCalls": [call] } }]), async |models| {
        let answer = asked_streamed(&models, Provider::Bedrock, &question(Provider::Bedrock, "Hi")).await;
        assert_eq!(answer.header("content-type"), "application/vnd.amazon.eventstream");
        let frames = frames(&answer.bytes);
        assert!(frames.iter().all(|(headers, _)| header(headers, ":message-type") == "event"));
        let names: Vec<_> = frames.iter().map(|(headers, _)| header(headers, ":event-type")).collect();
        assert_eq!(
            (names[0], names[names.len() - 2], names[names.len() - 1]),
            ("messageStart", "messageStop", "metadata")
        );
        let input: String = frames.iter().filter_map(|(_, data)| data["delta"]["toolUse"]["input"].as_str()).collect();
        assert_eq!(input, r#"{"city":"Köln"}"#);
        let thought: String =
            frames.iter().filter_map(|(_, data)| data["delta"]["reasoningContent"]["text"].as_str()).collect();
        assert_eq!(thought, "Hm.");
        assert_eq!(frames[frames.len() - 2].1["stopReason"], "tool_use");
        assert_eq!(frames[frames.len() - 1].1["usage"]["totalTokens"], 18);
    })
    .await;
}

#[tokio::test]
async fn schema_is_a_text() {
    with(json!([]), async |models| {
        let schema =
            json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "additionalProperties": false });
        let format = |schema: Value| {
            let structure = json!({ "jsonSchema": { "schema": schema, "name": "x" } });
            json!({ "outputConfig": { "textFormat": { "type": "json_schema", "structure": structure } } })
        };
        let text = scripts::joined(question(Provider::Bedrock, "Hi"), format(schema.to_string().into()));
        assert_eq!(said(Provider::Bedrock, &asked(&models, Provider::Bedrock, &text).await.body), r#"{"n":0}"#);
        let object = scripts::joined(question(Provider::Bedrock, "Hi"), format(schema));
        let answer = asked(&models, Provider::Bedrock, &object).await;
        assert_eq!(answer.status, 400);
        assert!(answer.header("x-amzn-errortype").starts_with("SerializationException"), "{:?}", answer.headers);
    })
    .await;
}
