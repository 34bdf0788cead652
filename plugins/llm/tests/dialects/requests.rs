//! What is sent: one conversation in the words of every provider, and each provider's peculiarities.

use crate::support::{call, conversation, encoded, options, refused, tool_request};
use llm::http::{Auth, Credential, Options};
use llm::message::*;
use llm::{Dialect, Kind};
use serde_json::{Value, json};

#[test]
fn every_provider_is_asked_at_its_address() {
    for (dialect, model, stream, url, auth) in [
        (Dialect::OpenAi, "gpt-5", false, "https://api.openai.com/v1/chat/completions", Auth::Bearer),
        (Dialect::OpenAiResponses, "gpt-5", true, "https://api.openai.com/v1/responses", Auth::Bearer),
        (
            Dialect::Anthropic,
            "claude-opus-4-5",
            true,
            "https://api.anthropic.com/v1/messages",
            Auth::Header("x-api-key"),
        ),
        (
            Dialect::Gemini,
            "models/gemini-2.5-pro",
            false,
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:generateContent",
            Auth::Header("x-goog-api-key"),
        ),
        (
            Dialect::Gemini,
            "gemini-2.5-pro",
            true,
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
            Auth::Header("x-goog-api-key"),
        ),
        (
            Dialect::VertexAi,
            "gemini-2.5-pro",
            false,
            concat!(
                "https://europe-west4-aiplatform.googleapis.com/v1/projects/p/locations/europe-west4",
                "/publishers/google/models/gemini-2.5-pro:generateContent"
            ),
            Auth::GoogleJwt { scope: "https://www.googleapis.com/auth/cloud-platform" },
        ),
        (Dialect::Mistral, "mistral-large", true, "https://api.mistral.ai/v1/chat/completions", Auth::Bearer),
        (Dialect::DeepSeek, "deepseek-chat", false, "https://api.deepseek.com/v1/chat/completions", Auth::Bearer),
        (Dialect::Ollama, "llama3", true, "http://localhost:11434/api/chat", Auth::Bearer),
        (Dialect::OpenRouter, "vendor/name", false, "https://openrouter.ai/api/v1/chat/completions", Auth::Bearer),
    ] {
        let request = Request { model: model.into(), stream, ..conversation() };
        let sent = dialect.codec().encode_request(&request, &options(dialect)).expect("a request");
        assert_eq!((sent.method, sent.url().as_str(), &sent.auth), ("POST", url, &auth));
        assert!(sent.headers.contains(&("content-type".into(), "application/json".into())));
    }
}

#[test]
fn vertexai_has_a_global_host_and_takes_tokens() {
    let options =
        Options { location: Some("global".into()), credential: Credential::Token, ..options(Dialect::VertexAi) };
    let sent = Dialect::VertexAi.codec().encode_request(&conversation(), &options).expect("a request");
    assert!(
        sent.url().starts_with("https://aiplatform.googleapis.com/v1/projects/p/locations/global/"),
        "{}",
        sent.url()
    );
    assert_eq!(sent.auth, Auth::Bearer);
    let evil = Options { location: Some("evil.example/x".into()), ..options };
    assert_eq!(
        Dialect::VertexAi.codec().encode_request(&conversation(), &evil).expect_err("no location").kind,
        Kind::BadRequest
    );
}

#[test]
fn azure_has_a_dated_api_and_one_without_a_date() {
    let request = Request {
        model: "my deployment".into(),
        sampling: Sampling { max_output_tokens: Some(5), ..Sampling::default() },
        ..conversation()
    };
    let base = Options { base_url: Some("https://r.openai.azure.com/".into()), ..Options::default() };
    let body = |options: &Options| {
        let sent = Dialect::AzureOpenAi.codec().encode_request(&request, options).expect("a request");
        (sent.url(), sent.auth, serde_json::from_slice::<Value>(&sent.body).expect("JSON"))
    };
    let (url, auth, sent) = body(&base);
    assert_eq!(
        (url.as_str(), auth),
        ("https://r.openai.azure.com/openai/v1/chat/completions", Auth::Header("api-key"))
    );
    assert_eq!((&sent["model"], &sent["max_completion_tokens"]), (&json!("my deployment"), &json!(5)));

    let dated =
        |version: &str| Options { api_version: Some(version.into()), credential: Credential::Token, ..base.clone() };
    let (url, auth, sent) = body(&dated("2024-10-21"));
    assert_eq!(
        url,
        "https://r.openai.azure.com/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21"
    );
    assert_eq!((auth, &sent["model"], &sent["max_completion_tokens"]), (Auth::Bearer, &Value::Null, &json!(5)));
    assert_eq!(body(&dated("2024-06-01")).2["max_tokens"], 5);
    assert_eq!(refused(Dialect::AzureOpenAi, &request, &Options::default()), Kind::BadRequest);
}

#[test]
fn bedrock_encodes_the_model_once_and_names_its_region() {
    let request =
        Request { model: "us.anthropic.claude-opus-4-1-20250805-v1:0".into(), stream: true, ..conversation() };
    let at = |options: &Options| Dialect::Bedrock.codec().encode_request(&request, options).expect("a request");
    let sent = at(&Options { region: Some("eu-west-1".into()), ..Options::default() });
    assert_eq!(
        sent.url(),
        "https://bedrock-runtime.eu-west-1.amazonaws.com/model/us.anthropic.claude-opus-4-1-20250805-v1%3A0/converse-stream"
    );
    assert_eq!(sent.auth, Auth::SigV4 { service: "bedrock", region: "eu-west-1".into() });
    assert!(sent.headers.contains(&("accept".into(), "application/vnd.amazon.eventstream".into())));
    assert!(at(&Options::default()).base.contains("us-east-1"), "flows from elsewhere cannot name one");
    assert_eq!(at(&Options { credential: Credential::Token, ..Options::default() }).auth, Auth::Bearer);
    let arn = Request { model: "arn:aws:bedrock:us-east-1:1:x/y".into(), ..conversation() };
    let sent = Dialect::Bedrock.codec().encode_request(&arn, &Options::default()).expect("a request");
    assert_eq!(sent.path, "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ax%2Fy/converse");
    assert_eq!(
        refused(Dialect::Bedrock, &request, &Options { region: Some("x/y".into()), ..Options::default() }),
        Kind::BadRequest
    );
}

#[test]
fn address_may_name_the_version_already() {
    for (dialect, base, url) in [
        (Dialect::Anthropic, "https://h/v1/", "https://h/v1/messages"),
        (Dialect::Gemini, "https://h/v1beta", "https://h/v1beta/models/m:generateContent"),
        (Dialect::AzureOpenAi, "https://h/openai/v1", "https://h/openai/v1/chat/completions"),
    ] {
        let options = Options { base_url: Some(base.into()), ..Options::default() };
        assert_eq!(dialect.codec().encode_request(&conversation(), &options).expect("a request").url(), url);
    }
}

#[test]
fn anthropic_names_its_version_unless_told_another() {
    let versions = |options: &Options| {
        let sent = Dialect::Anthropic.codec().encode_request(&conversation(), options).expect("a request");
        let versions = sent.headers.into_iter().filter(|(name, _)| name == "anthropic-version").map(|(_, value)| value);
        versions.collect::<Vec<_>>()
    };
    assert_eq!(versions(&Options::default()), ["2023-06-01"]);
    assert_eq!(
        versions(&Options { headers: [("Anthropic-Version".into(), "x".into())].into(), ..Options::default() }),
        ["x"]
    );
}

#[test]
fn no_request_has_a_key_in_it() {
    for dialect in Dialect::ALL {
        let sent = dialect.codec().encode_request(&tool_request(), &options(dialect)).expect("a request");
        for (name, _) in &sent.headers {
            assert!(["content-type", "accept", "anthropic-version"].contains(&name.as_str()), "{dialect:?}: {name}");
        }
        assert!(!sent.url().contains("key"), "{dialect:?}: {}", sent.url());
    }
}

#[test]
fn openai_conversation_has_a_message_per_result() {
    assert_eq!(
        encoded(Dialect::OpenAi, &tool_request())["messages"],
        json!([
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": [
                { "type": "text", "text": "what is this?" },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAA" } },
            ] },
            { "role": "assistant", "content": "I look.", "tool_calls": [
                { "id": "call_1", "type": "function", "function": { "name": "look", "arguments": "{\"at\":\"it\"}" } },
                { "id": "call_2", "type": "function", "function": { "name": "smell", "arguments": "{}" } },
            ] },
            { "role": "tool", "tool_call_id": "call_1", "content": "{\"animal\":\"cat\"}" },
            { "role": "tool", "tool_call_id": "call_2", "content": "error: no nose" },
            { "role": "user", "content": "go on" },
        ])
    );
}

#[test]
fn responses_conversation_is_a_list_of_items_that_is_not_kept() {
    let sent = encoded(Dialect::OpenAiResponses, &tool_request());
    assert_eq!(
        sent["input"],
        json!([
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": [
                { "type": "input_text", "text": "what is this?" },
                { "type": "input_image", "image_url": "data:image/png;base64,AAAA" },
            ] },
            { "role": "assistant", "content": "I look." },
            { "type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{\"at\":\"it\"}" },
            { "type": "function_call", "call_id": "call_2", "name": "smell", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "call_1", "output": "{\"animal\":\"cat\"}" },
            { "type": "function_call_output", "call_id": "call_2", "output": "error: no nose" },
            { "role": "user", "content": [{ "type": "input_text", "text": "go on" }] },
        ])
    );
    assert_eq!((&sent["store"], sent.get("include")), (&json!(false), None));
    assert_eq!(sent["tools"][0]["strict"], false, "unsaid it would be true");
    let named = Request { tool_choice: ToolChoice::Tool("look".into()), ..tool_request() };
    let choice = &encoded(Dialect::OpenAiResponses, &named)["tool_choice"];
    assert_eq!(*choice, json!({ "type": "function", "name": "look" }));
}

#[test]
fn responses_ask_for_encrypted_thoughts_of_models_that_think() {
    for (model, thinks) in [("gpt-5-mini", true), ("o4-mini", true), ("gpt-4.1", false), ("omni", false)] {
        let sent = encoded(Dialect::OpenAiResponses, &Request { model: model.into(), ..conversation() });
        assert_eq!(sent["include"].is_array(), thinks, "{model}");
    }
}

#[test]
fn responses_know_no_stop_words() {
    let sampling = Sampling { stop: vec!["x".into()], ..Sampling::default() };
    let request = Request { sampling, ..conversation() };
    assert_eq!(refused(Dialect::OpenAiResponses, &request, &Options::default()), Kind::BadRequest);
}

#[test]
fn anthropic_results_of_a_turn_are_one_user_message_and_first() {
    let sent = encoded(Dialect::Anthropic, &tool_request());
    assert_eq!(sent["system"], json!([{ "type": "text", "text": "be brief" }]));
    assert_eq!(
        sent["messages"],
        json!([
            { "role": "user", "content": [
                { "type": "text", "text": "what is this?" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } },
            ] },
            { "role": "assistant", "content": [
                { "type": "text", "text": "I look." },
                { "type": "tool_use", "id": "call_1", "name": "look", "input": { "at": "it" } },
                { "type": "tool_use", "id": "call_2", "name": "smell", "input": {} },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "call_1", "content": "{\"animal\":\"cat\"}", "is_error": false },
                { "type": "tool_result", "tool_use_id": "call_2", "content": "no nose", "is_error": true },
                { "type": "text", "text": "go on" },
            ] },
        ])
    );
}

#[test]
fn google_results_of_a_turn_are_one_content_of_objects() {
    for dialect in [Dialect::Gemini, Dialect::VertexAi] {
        let sent = encoded(dialect, &tool_request());
        assert_eq!(sent["systemInstruction"], json!({ "parts": [{ "text": "be brief" }] }));
        assert_eq!(
            sent["contents"],
            json!([
                { "role": "user", "parts": [{ "text": "what is this?" }, { "inlineData": { "mimeType": "image/png", "data": "AAAA" } }] },
                { "role": "model", "parts": [
                    { "text": "I look." },
                    { "functionCall": { "id": "call_1", "name": "look", "args": { "at": "it" } } },
                    { "functionCall": { "id": "call_2", "name": "smell", "args": {} } },
                ] },
                { "role": "user", "parts": [
                    { "functionResponse": { "id": "call_1", "name": "look", "response": { "animal": "cat" } } },
                    { "functionResponse": { "id": "call_2", "name": "smell", "response": { "error": "no nose" } } },
                    { "text": "go on" },
                ] },
            ])
        );
    }
}

#[test]
fn bedrock_results_have_a_status() {
    let sent = encoded(Dialect::Bedrock, &tool_request());
    assert_eq!(sent["system"], json!([{ "text": "be brief" }]));
    assert_eq!(
        sent["messages"][0]["content"][1],
        json!({ "image": { "format": "png", "source": { "bytes": "AAAA" } } })
    );
    assert_eq!(
        sent["messages"][2],
        json!({ "role": "user", "content": [
            { "toolResult": { "toolUseId": "call_1", "content": [{ "json": { "animal": "cat" } }], "status": "success" } },
            { "toolResult": { "toolUseId": "call_2", "content": [{ "text": "no nose" }], "status": "error" } },
            { "text": "go on" },
        ] })
    );
}

#[test]
fn ollama_knows_calls_by_their_name_and_says_whether_it_streams() {
    let sent = encoded(Dialect::Ollama, &tool_request());
    assert_eq!(sent["stream"], false, "unsaid it would be true");
    assert_eq!(sent["messages"][1], json!({ "role": "user", "content": "what is this?", "images": ["AAAA"] }));
    assert_eq!(
        sent["messages"][2]["tool_calls"][0],
        json!({ "function": { "name": "look", "arguments": { "at": "it" } } })
    );
    assert_eq!(sent["messages"][3], json!({ "role": "tool", "tool_name": "look", "content": "{\"animal\":\"cat\"}" }));
    assert_eq!(encoded(Dialect::Ollama, &Request { stream: true, ..tool_request() })["stream"], true);
}

#[test]
fn mistral_ids_have_nine_characters() {
    let sent = encoded(Dialect::Mistral, &tool_request());
    let messages = sent["messages"].as_array().expect("messages");
    assert_eq!(messages[2]["tool_calls"][0]["id"], "call00000");
    assert_eq!(messages[2]["tool_calls"][1]["id"], "call00001");
    assert_eq!(
        (&messages[3]["tool_call_id"], &messages[4]["tool_call_id"]),
        (&json!("call00000"), &json!("call00001"))
    );
    let own = Request {
        messages: vec![Message::Assistant { parts: vec![call("D681PevKs", "look", json!({}))] }, Message::user("x")],
        ..conversation()
    };
    assert_eq!(encoded(Dialect::Mistral, &own)["messages"][0]["tool_calls"][0]["id"], "D681PevKs");
}

#[test]
fn ids_of_several_answers_do_not_meet() {
    let turn = |results: &[&str]| {
        let parts = results.iter().enumerate().map(|(at, _)| call(&format!("sluice_call_{at}"), "look", json!({})));
        let result = |(at, content): (usize, &&str)| ToolResult {
            id: format!("sluice_call_{at}"),
            name: "look".into(),
            content: content.to_string(),
            is_error: false,
        };
        let results = results.iter().enumerate().map(result).collect();
        [Message::Assistant { parts: parts.collect() }, Message::Tool { results }]
    };
    let messages = [turn(&["a", "b"]), turn(&["c"]), turn(&["d", "e"])].concat();
    let sent = encoded(Dialect::Anthropic, &Request { messages, ..conversation() });
    let blocks: Vec<&Value> = sent["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|turn| turn["content"].as_array())
        .flatten()
        .collect();
    let mut ids: Vec<_> = blocks.iter().filter_map(|block| block["id"].as_str()).collect();
    let answered: Vec<_> = blocks.iter().filter_map(|block| block["tool_use_id"].as_str()).collect();
    assert_eq!(ids, answered, "every result follows its call");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 5);
}

#[test]
fn mistral_takes_no_assistant_at_the_end() {
    let request =
        Request { messages: vec![Message::Assistant { parts: vec![AnswerPart::text("x")] }], ..conversation() };
    assert_eq!(refused(Dialect::Mistral, &request, &Options::default()), Kind::BadRequest);
    encoded(Dialect::OpenAi, &request);
}

#[test]
fn stream_asks_for_usage_where_that_is_allowed() {
    let stream = Request { stream: true, ..conversation() };
    for (dialect, expected) in [
        (Dialect::OpenAi, json!([{ "include_usage": true }, null])),
        (Dialect::AzureOpenAi, json!([{ "include_usage": true }, null])),
        (Dialect::DeepSeek, json!([{ "include_usage": true }, null])),
        (Dialect::OpenRouter, json!([null, { "include": true }])),
        // It answers 422 to `stream_options`.
        (Dialect::Mistral, json!([null, null])),
    ] {
        let sent = encoded(dialect, &stream);
        assert_eq!(json!([sent["stream_options"], sent["usage"]]), expected, "{dialect:?}");
        assert_eq!(sent["stream"], true);
        assert_eq!(encoded(dialect, &conversation()).get("stream_options"), None);
    }
}

#[test]
fn sampling_has_a_name_with_every_provider() {
    let sampling = Sampling {
        temperature: Some(0.5),
        top_p: Some(0.25),
        top_k: None,
        max_output_tokens: Some(100),
        stop: vec!["END".into()],
        seed: None,
    };
    for (dialect, expected) in [
        (Dialect::OpenAi, json!({ "temperature": 0.5, "top_p": 0.25, "max_completion_tokens": 100, "stop": ["END"] })),
        (Dialect::Mistral, json!({ "temperature": 0.5, "top_p": 0.25, "max_tokens": 100, "stop": ["END"] })),
        (Dialect::DeepSeek, json!({ "temperature": 0.5, "top_p": 0.25, "max_tokens": 100, "stop": ["END"] })),
        (Dialect::OpenRouter, json!({ "temperature": 0.5, "top_p": 0.25, "max_tokens": 100, "stop": ["END"] })),
        (
            Dialect::Anthropic,
            json!({ "temperature": 0.5, "top_p": 0.25, "max_tokens": 100, "stop_sequences": ["END"] }),
        ),
        (
            Dialect::Gemini,
            json!({ "generationConfig": { "temperature": 0.5, "topP": 0.25, "maxOutputTokens": 100, "stopSequences": ["END"] } }),
        ),
        (
            Dialect::Bedrock,
            json!({ "inferenceConfig": { "maxTokens": 100, "temperature": 0.5, "topP": 0.25, "stopSequences": ["END"] } }),
        ),
        (
            Dialect::Ollama,
            json!({ "options": { "temperature": 0.5, "top_p": 0.25, "num_predict": 100, "stop": ["END"] } }),
        ),
    ] {
        let sent = encoded(dialect, &Request { sampling: sampling.clone(), ..conversation() });
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(&sent[name], value, "{dialect:?}: {name}");
        }
    }
}

#[test]
fn sampling_that_a_provider_lacks_is_refused() {
    let with = |top_k, seed| Request { sampling: Sampling { top_k, seed, ..Sampling::default() }, ..conversation() };
    for dialect in [Dialect::OpenAi, Dialect::AzureOpenAi, Dialect::Mistral, Dialect::DeepSeek, Dialect::Bedrock] {
        assert_eq!(
            refused(dialect, &with(Some(1), None), &options(dialect)),
            Kind::BadRequest,
            "{dialect:?} has no topK"
        );
    }
    for dialect in [Dialect::Anthropic, Dialect::Bedrock] {
        assert_eq!(
            refused(dialect, &with(None, Some(1)), &options(dialect)),
            Kind::BadRequest,
            "{dialect:?} has no seed"
        );
    }
    assert_eq!(encoded(Dialect::Mistral, &with(None, Some(7)))["random_seed"], 7);
    assert_eq!(encoded(Dialect::Gemini, &with(Some(3), Some(7)))["generationConfig"], json!({ "topK": 3, "seed": 7 }));
    let claude = Request { model: "anthropic.claude-opus-4-1".into(), ..with(Some(3), None) };
    assert_eq!(encoded(Dialect::Bedrock, &claude)["additionalModelRequestFields"], json!({ "top_k": 3 }));
}

#[test]
fn imitators_of_openai_know_the_older_limit() {
    let request =
        Request { sampling: Sampling { max_output_tokens: Some(9), ..Sampling::default() }, ..conversation() };
    let options = Options {
        base_url: Some("http://localhost:8000/v1".into()),
        credential: Credential::None,
        ..Options::default()
    };
    let sent = Dialect::OpenAi.codec().encode_request(&request, &options).expect("a request");
    assert_eq!((sent.url().as_str(), &sent.auth), ("http://localhost:8000/v1/chat/completions", &Auth::None));
    let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!((&body["max_tokens"], body.get("max_completion_tokens")), (&json!(9), None));
}

#[test]
fn anthropic_always_limits_the_answer() {
    assert_eq!(encoded(Dialect::Anthropic, &conversation())["max_tokens"], 4_096);
}

#[test]
fn anthropic_thinking_fits_into_the_limit() {
    let thinking = |budget_tokens, max_output_tokens| Request {
        thinking: Thinking::On { budget_tokens, shown: true },
        sampling: Sampling { max_output_tokens, ..Sampling::default() },
        ..conversation()
    };
    let sent = encoded(Dialect::Anthropic, &thinking(Some(8_000), None));
    assert_eq!(sent["thinking"], json!({ "type": "enabled", "budget_tokens": 8_000 }));
    assert_eq!(sent["max_tokens"], 12_096);
    assert_eq!(encoded(Dialect::Anthropic, &thinking(Some(1), None))["thinking"]["budget_tokens"], 1_024, "the least");
    assert_eq!(refused(Dialect::Anthropic, &thinking(Some(2_000), Some(2_000)), &Options::default()), Kind::BadRequest);
}

#[test]
fn tool_choice_has_a_word_with_every_provider() {
    let chosen = |dialect, tool_choice| encoded(dialect, &Request { tool_choice, ..tool_request() });
    let named = || ToolChoice::Tool("look".into());
    for (dialect, required) in
        [(Dialect::OpenAi, "required"), (Dialect::Mistral, "any"), (Dialect::DeepSeek, "required")]
    {
        assert_eq!(chosen(dialect, ToolChoice::Required)["tool_choice"], required);
        assert_eq!(chosen(dialect, ToolChoice::None)["tool_choice"], "none");
        assert_eq!(
            chosen(dialect, named())["tool_choice"],
            json!({ "type": "function", "function": { "name": "look" } })
        );
    }
    assert_eq!(chosen(Dialect::Anthropic, ToolChoice::Required)["tool_choice"], json!({ "type": "any" }));
    assert_eq!(chosen(Dialect::Anthropic, named())["tool_choice"], json!({ "type": "tool", "name": "look" }));
    assert_eq!(
        chosen(Dialect::Gemini, ToolChoice::None)["toolConfig"],
        json!({ "functionCallingConfig": { "mode": "NONE" } })
    );
    assert_eq!(
        chosen(Dialect::VertexAi, named())["toolConfig"],
        json!({ "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["look"] } })
    );
    assert_eq!(chosen(Dialect::Bedrock, ToolChoice::Required)["toolConfig"]["toolChoice"], json!({ "any": {} }));
    let alone = Request { parallel_tool_calls: Some(false), ..tool_request() };
    assert_eq!(encoded(Dialect::OpenAi, &alone)["parallel_tool_calls"], false);
    assert_eq!(
        encoded(Dialect::Anthropic, &alone)["tool_choice"],
        json!({ "type": "auto", "disable_parallel_tool_use": true })
    );
    let none = Request { tool_choice: ToolChoice::Required, ..conversation() };
    for dialect in Dialect::ALL {
        assert_eq!(refused(dialect, &none, &options(dialect)), Kind::BadRequest, "{dialect:?}: there is none");
    }
}

#[test]
fn bedrock_keeps_the_tools_of_a_conversation_with_calls() {
    let none = Request { tool_choice: ToolChoice::None, ..tool_request() };
    let config = &encoded(Dialect::Bedrock, &none)["toolConfig"];
    assert!(config["tools"].is_array() && config.get("toolChoice").is_none(), "{config}");
    let fresh = Request { messages: conversation().messages, ..none };
    assert_eq!(encoded(Dialect::Bedrock, &fresh).get("toolConfig"), None);
}

#[test]
fn ollama_leaves_tools_out_or_to_the_model() {
    let none = Request { tool_choice: ToolChoice::None, ..tool_request() };
    assert_eq!(encoded(Dialect::Ollama, &none).get("tools"), None);
    let required = Request { tool_choice: ToolChoice::Required, ..tool_request() };
    assert_eq!(refused(Dialect::Ollama, &required, &Options::default()), Kind::BadRequest);
}

#[test]
fn tool_is_strict_only_with_a_closed_schema() {
    let with = |schema: Value| {
        let tool = Tool { name: "t".into(), description: String::new(), schema, strict: true };
        Request { tools: vec![tool], ..conversation() }
    };
    let closed = with(json!({ "type": "object", "properties": {}, "required": [], "additionalProperties": false }));
    let open = with(json!({ "type": "object", "properties": { "a": {} } }));
    assert_eq!(encoded(Dialect::OpenAi, &closed)["tools"][0]["function"]["strict"], true);
    assert_eq!(encoded(Dialect::OpenAi, &open)["tools"][0]["function"].get("strict"), None);
    assert_eq!(encoded(Dialect::Anthropic, &closed)["tools"][0]["strict"], true);
    assert_eq!(encoded(Dialect::Bedrock, &open)["toolConfig"]["tools"][0]["toolSpec"].get("strict"), None);
}

#[test]
fn gemini_tool_without_parameters_has_none() {
    let tool = |schema| Tool { name: "t".into(), description: "d".into(), schema, strict: false };
    let tools = vec![
        tool(json!({ "type": "object", "properties": {} })),
        tool(json!({ "type": "object", "properties": { "a": { "type": "string" } } })),
        tool(
            json!({ "type": "object", "properties": { "a": { "type": ["string", "null"] } }, "additionalProperties": false }),
        ),
    ];
    let sent = encoded(Dialect::Gemini, &Request { tools: tools.clone(), ..conversation() });
    let declared = &sent["tools"][0]["functionDeclarations"];
    assert_eq!(declared[0], json!({ "name": "t", "description": "d" }));
    assert_eq!(declared[1]["parameters"], tools[1].schema);
    assert_eq!(declared[2]["parametersJsonSchema"], tools[2].schema);
}

#[test]
fn pictures_by_address_go_to_those_who_fetch() {
    let part = UserPart::Image { image: Image::Url("https://example.com/a.png".into()) };
    let request = Request { messages: vec![Message::User { parts: vec![part] }], ..conversation() };
    assert_eq!(
        encoded(Dialect::OpenAi, &request)["messages"][0]["content"][0],
        json!({ "type": "image_url", "image_url": { "url": "https://example.com/a.png" } })
    );
    assert_eq!(
        encoded(Dialect::Anthropic, &request)["messages"][0]["content"][0]["source"],
        json!({ "type": "url", "url": "https://example.com/a.png" })
    );
    for dialect in [Dialect::Ollama, Dialect::Bedrock] {
        assert_eq!(refused(dialect, &request, &options(dialect)), Kind::BadRequest, "{dialect:?}");
    }
}

#[test]
fn cache_is_asked_for_where_it_does_not_come_unasked() {
    let request = Request { cache_prompt: true, ..tool_request() };
    let anthropic = encoded(Dialect::Anthropic, &request);
    assert_eq!(anthropic["system"][0]["cache_control"], json!({ "type": "ephemeral" }));
    assert_eq!(anthropic["tools"][1]["cache_control"], json!({ "type": "ephemeral" }));
    assert_eq!(encoded(Dialect::Bedrock, &request)["system"][1], json!({ "cachePoint": { "type": "default" } }));
    assert_eq!(encoded(Dialect::OpenAi, &request), encoded(Dialect::OpenAi, &tool_request()));
}

#[test]
fn arguments_that_are_no_json_go_back_all_the_same() {
    let parts = vec![call("call_1", "look", json!("{\"at\": "))];
    let request = Request {
        messages: vec![Message::user("x"), Message::Assistant { parts }, Message::user("y")],
        ..tool_request()
    };
    assert_eq!(
        encoded(Dialect::OpenAi, &request)["messages"][1]["tool_calls"][0]["function"]["arguments"],
        "{\"at\": "
    );
    assert_eq!(
        encoded(Dialect::Anthropic, &request)["messages"][1]["content"][0]["input"],
        json!({ "unreadable": "{\"at\": " })
    );
}
