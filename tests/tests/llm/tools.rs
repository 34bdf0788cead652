//! Tools: what the model calls, several at once, and what it is told came of it.

use serde_json::{Value, json};
use tests::models::Provider;

use crate::row::{Row, column, question, text_of, user, with};

fn tools() -> Value {
    let tool = |name: &str, property: &str| {
        json!({ "name": name, "description": format!("Tells the {name}."), "strict": false, "schema": {
            "type": "object", "properties": { property: { "type": "string" } }, "required": [property] } })
    };
    json!([tool("weather", "city"), tool("time", "zone")])
}

/// A model that calls both tools, and says what came of it.
fn calls_both() -> Value {
    let calls = json!([
        { "name": "weather", "arguments": { "city": "Köln", "days": [1, 2] } },
        { "name": "time", "arguments": { "zone": "Europe/Berlin" } },
    ]);
    json!([
        { "when": { "toolResults": 0 }, "answer": { "text": "A moment.", "toolCalls": calls } },
        { "when": { "toolResults": 2 }, "answer": { "text": "It rains at noon." } },
    ])
}

/// The calls among the parts of an answer.
#[track_caller]
fn called(row: &Row<'_>, answer: &Value) -> [Value; 2] {
    assert_eq!(answer["finish"], "toolCalls", "{row}: {answer:#}");
    let parts = answer["parts"].as_array().expect("parts");
    let calls: Vec<Value> = parts.iter().filter(|part| part["type"] == "toolCall").cloned().collect();
    calls.try_into().unwrap_or_else(|calls| panic!("{row}: {calls:?}"))
}

/// The conversation after both tools have run: one well, one not.
fn after(answer: &Value, [one, other]: &[Value; 2]) -> Value {
    let results = json!([
        { "id": one["id"], "name": "weather", "content": "{\"sky\":\"rain\"}", "isError": false },
        { "id": other["id"], "name": "time", "content": "the clock stands still", "isError": true },
    ]);
    let turns = json!([
        user("What is it like?"), { "role": "assistant", "parts": answer["parts"] }, { "role": "tool", "results": results },
    ]);
    json!({ "model": "", "messages": turns, "tools": tools() })
}

/// Names and contents of the results in a request, where and as the provider wants them.
fn results(row: &Row<'_>, body: &Value, ids: [&Value; 2]) -> [Value; 2] {
    let last = |list: &Value, back: usize| {
        let list = list.as_array().expect("a list");
        list[list.len() - back].clone()
    };
    let in_last = |list: &Value, field: &str| {
        let turn = last(list, 1);
        assert_eq!(turn["role"], "user", "{row}: {body:#}");
        assert_eq!(turn[field].as_array().map(Vec::len), Some(2), "{row}: {body:#}");
        [turn[field][0].clone(), turn[field][1].clone()]
    };
    match row.provider {
        Provider::Anthropic => in_last(&body["messages"], "content").map(|result| {
            assert!(ids.contains(&&result["tool_use_id"]), "{row}: {body:#}");
            json!([result["content"], result["is_error"] == true])
        }),
        Provider::Bedrock => in_last(&body["messages"], "content").map(|result| {
            let result = &result["toolResult"];
            assert!(ids.contains(&&result["toolUseId"]), "{row}: {body:#}");
            let said = &result["content"][0];
            // What is an object goes as one.
            let said = said["text"].as_str().map_or_else(|| said["json"].to_string(), str::to_owned);
            json!([said, result["status"] == "error"])
        }),
        Provider::Gemini | Provider::VertexAi => in_last(&body["contents"], "parts").map(|result| {
            let response = &result["functionResponse"]["response"];
            let said = response.get("error").cloned().unwrap_or_else(|| response.to_string().into());
            json!([said, response["error"].is_string()])
        }),
        // A result says by its words alone that it is none.
        _ => [(2, "weather"), (1, "time")].map(|(back, name)| {
            let result = last(&body["messages"], back);
            let (of, expected) = match row.provider {
                Provider::Ollama => (&result["tool_name"], &json!(name)),
                _ => (&result["tool_call_id"], ids[2 - back]),
            };
            assert_eq!((&result["role"], of), (&json!("tool"), expected), "{row}: {body:#}");
            let said = result["content"].as_str().expect("a text");
            json!([said.trim_start_matches("error: "), said.starts_with("error: ")])
        }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_called_in_parallel_and_their_results_come_back() {
    column("tools", calls_both(), async |row| {
        for stream in [false, true] {
            let asked = with(question("What is it like?"), json!({ "tools": tools(), "stream": stream }));
            let answer = row.came(asked).await["answer"].clone();
            assert_eq!(text_of(&answer["parts"], "text"), "A moment.", "{row}");
            let calls = called(&row, &answer);
            let [one, other] = &calls;
            assert_eq!((&one["name"], &other["name"]), (&json!("weather"), &json!("time")), "{row}");
            assert_eq!(one["arguments"], json!({ "city": "Köln", "days": [1, 2] }), "{row}");
            assert_eq!(other["arguments"], json!({ "zone": "Europe/Berlin" }), "{row}");
            assert_ne!(one["id"], other["id"], "{row}");

            let came = row.came(with(after(&answer, &calls), json!({ "stream": stream }))).await;
            assert_eq!(text_of(&came["answer"]["parts"], "text"), "It rains at noon.", "{row}");
            let seen = row.seen();
            let body = &seen.last().expect("a request").body;
            let told = results(&row, body, [&one["id"], &other["id"]]);
            assert_eq!(told[0], json!(["{\"sky\":\"rain\"}", false]), "{row}: {body:#}");
            assert_eq!(told[1], json!(["the clock stands still", true]), "{row}: {body:#}");
        }
        assert_eq!(row.seen().len(), 4, "{row}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_can_be_made_to_call_a_tool() {
    column("tool choice", json!([]), async |row| {
        let asked = |choice: Value| {
            let fields = json!({ "tools": tools(), "toolChoice": choice });
            row.ask(with(question("What is it like?"), fields))
        };
        let name = |answer: &Value| answer["answer"]["parts"][0]["name"].clone();
        if row.provider == Provider::Ollama {
            // It has no word for that.
            assert_eq!(row.failure(&asked(json!("required")).await)["code"], "LLM_BAD_REQUEST", "{row}");
            return;
        }
        assert_eq!(name(&row.outputs(&asked(json!("required")).await)), "weather", "{row}");
        assert_eq!(name(&row.outputs(&asked(json!({ "tool": "time" })).await)), "time", "{row}");
        let free = row.outputs(&asked(json!("none")).await);
        assert_eq!(text_of(&free["answer"]["parts"], "text"), "You said: What is it like?", "{row}");
    })
    .await;
}
