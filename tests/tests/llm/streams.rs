//! Answers in parts: they are what the whole answer is, in its order.

use serde_json::{Value, json};

use crate::row::{column, question, text_of, with};

#[tokio::test(flavor = "multi_thread")]
async fn parts_add_up_to_the_answer() {
    let answer = json!({ "texts": ["Wör", "ter ", "für ", "✨", " alle."] });
    column("stream", json!([{ "answer": answer }]), async |row| {
        let whole = row.came(question("Say it.")).await;
        let came = row.came(with(question("Say it."), json!({ "stream": true }))).await;
        assert_eq!(text_of(&came["parts"], "text"), "Wörter für ✨ alle.", "{row}");
        assert!(came["parts"].as_array().is_some_and(|parts| parts.len() > 2), "{row}: {}", came["parts"]);
        for field in ["parts", "finish", "finishWord", "usage", "model"] {
            assert_eq!(came["answer"][field], whole["answer"][field], "{row} {field}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_come_as_a_name_and_pieces_of_arguments() {
    let calls = json!([{ "name": "add", "arguments": { "numbers": [1, 2, 3], "of": "größer" } }, { "name": "stop" }]);
    column("stream of calls", json!([{ "answer": { "text": "So.", "toolCalls": calls } }]), async |row| {
        let tool = |name: &str| json!({ "name": name, "schema": { "type": "object", "properties": {} } });
        let fields = json!({ "stream": true, "tools": [tool("add"), tool("stop")] });
        let came = row.came(with(question("Add."), fields)).await;
        assert_eq!(text_of(&came["parts"], "text"), "So.", "{row}");
        let parts = came["parts"].as_array().expect("a list");
        for call in came["answer"]["parts"].as_array().into_iter().flatten().filter(|part| part["type"] == "toolCall") {
            let of_call =
                |kind: &'static str| parts.iter().filter(move |part| part["type"] == kind && part["id"] == call["id"]);
            assert_eq!(of_call("toolCall").map(|part| &part["name"]).collect::<Vec<_>>(), [&call["name"]], "{row}");
            let json: String = of_call("arguments").filter_map(|part| part["json"].as_str()).collect();
            let arguments: Value = if json.is_empty() { json!({}) } else { serde_json::from_str(&json).expect("JSON") };
            assert_eq!(arguments, call["arguments"], "{row}");
        }
        assert_eq!(parts.iter().filter(|part| part["type"] == "toolCall").count(), 2, "{row}: {parts:?}");
    })
    .await;
}
