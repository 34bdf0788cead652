//! OpenAI's Responses: items, numbered events, conversations that are kept.

use super::*;

async fn ask(models: &Models, body: &Value) -> Answer {
    let request = post(&format!("{}/responses", models.base(Provider::OpenAi)), body);
    sent(request.bearer_auth(models.key(Provider::OpenAi))).await
}

fn body(further: Value) -> Value {
    scripts::joined(json!({ "model": "gpt-5", "input": "Hi" }), further)
}

#[tokio::test]
async fn question_is_echoed_as_an_item() {
    with(json!([]), async |models| {
        let answer = ask(&models, &body(json!({}))).await;
        assert_eq!(answer.body["output"][0]["content"][0]["text"], "You said: Hi", "{}", answer.text);
        assert_eq!((&answer.body["status"], &answer.body["usage"]["total_tokens"]), (&json!("completed"), &json!(18)));
        let list = json!([{ "role": "user", "content": [{ "type": "input_text", "text": "Hi" }] }]);
        let answer = ask(&models, &body(json!({ "input": list }))).await;
        assert_eq!(answer.body["output"][0]["content"][0]["text"], "You said: Hi");
        let cut = json!([{ "answer": { "text": "So", "finish": "length" } }]);
        models.add(Script::parse(&cut.to_string()).expect("a script"));
        let answer = ask(&models, &body(json!({}))).await;
        assert_eq!(
            (&answer.body["status"], &answer.body["incomplete_details"]["reason"]),
            (&json!("incomplete"), &json!("max_output_tokens"))
        );
    })
    .await;
}

#[tokio::test]
async fn events_are_numbered_and_end_with_the_whole() {
    let call = json!({ "name": "weather", "arguments": { "city": "Köln" } });
    with(json!([{ "answer": { "thinking": "Hm.", "text": "So it is.", "toolCalls": [call] } }]), async |models| {
        let further =
            json!({ "stream": true, "include": ["reasoning.encrypted_content"], "reasoning": { "summary": "auto" } });
        let events = events(&ask(&models, &body(further)).await.text);
        assert!(events.iter().enumerate().all(|(at, event)| event["sequence_number"] == at));
        let deltas = |name: &str| -> String {
            events.iter().filter(|event| event["type"] == name).filter_map(|event| event["delta"].as_str()).collect()
        };
        assert_eq!(deltas("response.output_text.delta"), "So it is.");
        assert_eq!(deltas("response.reasoning_summary_text.delta"), "Hm.");
        assert_eq!(deltas("response.function_call_arguments.delta"), r#"{"city":"Köln"}"#);
        let last = events.last().expect("there are some");
        assert_eq!(last["type"], "response.completed");
        let kinds: Vec<_> =
            last["response"]["output"].as_array().expect("items").iter().map(|item| &item["type"]).collect();
        assert_eq!(kinds, ["reasoning", "message", "function_call"]);
        assert!(last["response"]["output"][0]["encrypted_content"].is_string());
    })
    .await;
}

#[tokio::test]
async fn results_follow_calls_of_this_request_or_of_the_one_before() {
    with(json!([{ "when": { "toolResults": 0 }, "answer": { "toolCalls": [{ "name": "weather" }] } }]), async |models| {
        let first = ask(&models, &body(json!({}))).await;
        let call = first.body["output"][0].clone();
        let result = json!({ "type": "function_call_output", "call_id": call["call_id"], "output": "sunny" });
        let kept = body(json!({ "input": [result], "previous_response_id": first.body["id"] }));
        assert_eq!(ask(&models, &kept).await.status, 200);
        let whole = body(json!({ "input": [{ "role": "user", "content": "Hi" }, call, result], "store": false }));
        assert_eq!(ask(&models, &whole).await.status, 200);
        let refused = [
            body(json!({ "input": [result] })),
            body(json!({ "input": [{ "role": "user", "content": "Hi" }, call] })),
            body(json!({ "previous_response_id": "resp_unknown" })),
            body(json!({ "store": false, "input": [{ "type": "reasoning", "id": "rs_1", "summary": [] }] })),
            body(json!({ "temperature": 0.5 })),
            body(json!({ "max_tokens": 5 })),
            body(json!({ "tools": [{ "type": "function", "name": "x", "parameters": { "type": "object", "properties": {} } }] })),
        ];
        for body in refused {
            let answer = ask(&models, &body).await;
            assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        }
        // What is not to be kept is not.
        let forgotten = ask(&models, &body(json!({ "store": false }))).await;
        let after = body(json!({ "input": [result], "previous_response_id": forgotten.body["id"] }));
        assert_eq!(ask(&models, &after).await.body["error"]["code"], "previous_response_not_found");
    })
    .await;
}
