//! How answers arrive: in whatever pieces, with whatever between them, they are the same; and those that do not arrive whole are none.

use serde_json::{Value, json};
use tests::models::Provider;

use crate::errors::check;
use crate::row::{column, column_of, question, text_of, with};

const SAID: &str = "Wörter für ✨ alle.";

fn rule(marker: &str, faults: Value) -> Value {
    let answer = json!({ "text": SAID, "toolCalls": [{ "name": "add", "arguments": { "to": "größer" } }] });
    json!({ "when": { "says": marker }, "answer": answer, "faults": faults })
}

fn asked(marker: &str, stream: bool) -> Value {
    let tool = json!({ "name": "add", "schema": { "type": "object", "properties": { "to": { "type": "string" } } } });
    with(question(marker), json!({ "stream": stream, "tools": [tool] }))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_the_same_however_it_arrives() {
    let ways = [
        ("<bytes>", json!(["everyByte"])),
        ("<alive>", json!(["keepAlive"])),
        ("<blank>", json!(["blankLines"])),
        ("<fields>", json!(["unknownFields"])),
        ("<drip>", json!([{ "drip": { "delayMs": 3 } }])),
        ("<all>", json!(["everyByte", "keepAlive", "blankLines", "unknownFields"])),
    ];
    let rules: Value = ways.iter().map(|(marker, faults)| rule(marker, faults.clone())).collect();
    column("delivery", rules, async |row| {
        for (marker, _) in &ways {
            for stream in [false, true] {
                let came = row.came(asked(marker, stream)).await;
                let parts = &came["answer"]["parts"];
                assert_eq!(text_of(parts, "text"), SAID, "{row} {marker}");
                assert_eq!(parts[1]["arguments"], json!({ "to": "größer" }), "{row} {marker}");
                if stream {
                    assert_eq!(text_of(&came["parts"], "text"), SAID, "{row} {marker}");
                }
            }
        }
        assert_eq!(row.seen().len(), 2 * ways.len(), "{row}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_handed_out_parts_is_not_asked_again() {
    let rules = json!([rule("<cut>", json!(["truncated"])), rule("<error>", json!(["errorInStream", "overloaded"]))]);
    column("late failures", rules, async |row| {
        let cut = row.ask(asked("<cut>", true)).await;
        check(&row, &cut, "<cut>", ("LLM_TRUNCATED", true, 1)).await;
        let error = row.ask(asked("<error>", true)).await;
        // Without a status only some tell the one from the other.
        let code = match row.provider {
            Provider::OpenAi | Provider::AzureOpenAi | Provider::Mistral => "LLM_SERVER",
            Provider::DeepSeek | Provider::Ollama => "LLM_SERVER",
            _ => "LLM_OVERLOADED",
        };
        check(&row, &error, "<error>", (code, true, 1)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fails_before_the_first_part_is_asked_again() {
    column("early failures", json!([]), async |row| {
        for (marker, fault, stream) in [("<stream>", "errorInStream", true), ("<body>", "errorInBody", false)] {
            if row.provider == Provider::Bedrock && !stream {
                // Its bodies do not say that they are errors.
                continue;
            }
            row.once(json!({ "answer": {}, "faults": [fault, "overloaded"] }));
            let came = row.came(with(question(marker), json!({ "stream": stream }))).await;
            assert_eq!(text_of(&came["answer"]["parts"], "text"), format!("You said: {marker}"), "{row}");
            assert_eq!(row.seen_with(marker).len(), 2, "{row} {marker}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_body_of_a_success_is_one() {
    let rules = json!([
        { "when": { "says": "<quota>" }, "faults": ["errorInBody", "quotaExhausted"] },
        { "when": { "says": "<choice>" }, "answer": { "text": "So" }, "faults": ["errorInChoice", "overloaded"] },
    ]);
    column("errors of successes", rules, async |row| {
        let ended = row.ask(question("<quota>")).await;
        let code = match row.provider {
            // Amazon's errors are told by status and header, and neither is there.
            Provider::Bedrock => "LLM_MALFORMED",
            _ => "LLM_QUOTA_EXHAUSTED",
        };
        check(&row, &ended, "<quota>", (code, false, 1)).await;
        if row.provider == Provider::OpenRouter {
            let ended = row.ask(question("<choice>")).await;
            check(&row, &ended, "<choice>", ("LLM_OVERLOADED", true, 4)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_of_a_provider_is_told_apart() {
    let rules = json!([
        { "when": { "says": "<page>" }, "faults": [{ "htmlError": { "status": 502 } }] },
        { "when": { "says": "<login>" }, "faults": [{ "htmlError": { "status": 200 } }] },
        { "when": { "says": "<json>" }, "faults": ["notJson"] },
        rule("<whole>", json!(["truncated"])),
    ]);
    column("no answers", rules, async |row| {
        let expected = [
            ("<page>", ("LLM_SERVER", true, 4)),
            ("<login>", ("LLM_MALFORMED", false, 1)),
            ("<json>", ("LLM_TRUNCATED", true, 4)),
            ("<whole>", ("LLM_TRUNCATED", true, 4)),
        ];
        let all = expected.iter().map(async |(marker, expected)| {
            check(&row, &row.ask(asked(marker, false)).await, marker, *expected).await;
        });
        futures::future::join_all(all).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_with_a_wrong_checksum_is_not_believed() {
    column_of("checksum", &[Provider::Bedrock], json!([rule("<crc>", json!(["wrongCrc"]))]), async |row| {
        check(&row, &row.ask(asked("<crc>", true)).await, "<crc>", ("LLM_MALFORMED", false, 1)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_google_model_that_stops_without_a_word_is_asked_again() {
    column_of("empty stop", &[Provider::Gemini, Provider::VertexAi], json!([]), async |row| {
        for stream in [false, true] {
            row.once(json!({ "faults": ["emptyStop"] }));
            let came = row.came(with(question("<silent>"), json!({ "stream": stream }))).await;
            assert_eq!(text_of(&came["answer"]["parts"], "text"), "You said: <silent>", "{row}");
        }
        assert_eq!(row.seen().len(), 4, "{row}");
    })
    .await;
}
