//! Ollama: lines of JSON, a stream unless it is told otherwise, formats of two kinds.

use super::*;

#[tokio::test]
async fn it_streams_unless_it_is_told_not_to() {
    with(
        json!([{ "answer": { "thinking": "Hm.", "text": "So it is.", "toolCalls": [{ "name": "x" }] } }]),
        async |models| {
            let mut body = question(Provider::Ollama, "Hi");
            body.as_object_mut().expect("an object").remove("stream");
            let answer = asked(&models, Provider::Ollama, &body).await;
            assert_eq!(answer.header("content-type"), "application/x-ndjson");
            let lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            let (last, before) = lines.split_last().expect("there are some");
            assert!(before.iter().all(|line| line["done"] == false) && last["done"] == true);
            assert_eq!((&last["done_reason"], &last["eval_count"]), (&json!("stop"), &json!(7)));
            let call = lines.iter().find_map(|line| line.pointer("/message/tool_calls/0")).expect("a call");
            assert_eq!(call, &json!({ "function": { "name": "x", "arguments": {} } }));
        },
    )
    .await;
}

#[tokio::test]
async fn format_is_a_word_or_a_schema() {
    with(json!([]), async |models| {
        let ask = async |format: Value| {
            let body = scripts::joined(question(Provider::Ollama, "Hi"), json!({ "format": format }));
            asked(&models, Provider::Ollama, &body).await
        };
        let made =
            |answer: &Answer| serde_json::from_str::<Value>(&said(Provider::Ollama, &answer.body)).expect("JSON");
        assert!(made(&ask("json".into()).await).is_object());
        let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
        assert_eq!(made(&ask(schema).await), json!({ "n": 0 }));
        assert_eq!(ask("yaml".into()).await.status, 400);
    })
    .await;
}
