//! What questions and answers have to pass, and the tasks that hold a model to classes and fields.

use serde_json::{Value, json};
use tests::models::Provider;

use crate::{ask, failure, outputs, provider, run, world};

/// Asks with guardrails; what came, and how many requests there were.
async fn guarded(question: &str, guardrails: Value) -> (Value, usize) {
    let (mut came, mut requests) = (Value::Null, 0);
    world(json!([]), async |api, models| {
        let mut task = ask(provider(models, Provider::Mistral, "mistral-small-latest"), question);
        task["guardrails"] = guardrails.clone();
        came = run(api, "guarded", task).await;
        requests = models.seen().len();
    })
    .await;
    (outputs(&came).clone(), requests)
}

fn rail(expression: &str) -> Value {
    json!([{ "expression": "{{ true }}", "message": "never" }, { "expression": expression, "message": "not that" }])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_may_not_be_asked_is_not() {
    let input = json!({ "input": rail("{{ message | length < 20 }}") });
    let (came, requests) = guarded("What is all that about, and why?", input.clone()).await;
    assert_eq!((&came["guardrailViolated"], &came["guardrailViolationMessage"]), (&json!(true), &json!("not that")));
    assert_eq!((&came["textOutput"], requests), (&Value::Null, 0));
    let (came, requests) = guarded("Why?", input).await;
    assert_eq!((&came["guardrailViolated"], &came["textOutput"]), (&json!(false), &json!("You said: Why?")));
    assert_eq!(requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_may_not_be_given_is_kept() {
    let wants =
        "{{ response contains 'no' and finishReason == 'STOP' and inputTokenCount > 0 and outputTokenCount > 0 }}";
    let output = json!({ "output": rail(wants) });
    let (came, requests) = guarded("yes", output.clone()).await;
    assert_eq!((&came["guardrailViolated"], &came["guardrailViolationMessage"]), (&json!(true), &json!("not that")));
    assert_eq!((&came["textOutput"], requests), (&Value::Null, 1));
    // It was paid for.
    assert_eq!(came["tokenUsage"]["totalTokenCount"], 18);
    let (came, _) = guarded("no", output).await;
    assert_eq!((&came["guardrailViolated"], &came["textOutput"]), (&json!(false), &json!("You said: no")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardrail_that_cannot_be_evaluated_is_violated() {
    let (came, requests) = guarded("Why?", json!({ "input": rail("{{ nothing.of.that.kind }}") })).await;
    assert_eq!((&came["guardrailViolated"], requests), (&json!(true), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guardrail_looks_at_is_never_an_expression() {
    let answer = "{% raw %}{{ 1 + 1 }}{% endraw %}";
    let (came, _) =
        guarded(answer, json!({ "output": rail("{{ response == 'You said: ' ~ '{' ~ '{ 1 + 1 }' ~ '}' }}") })).await;
    assert_eq!(came["textOutput"], "You said: {{ 1 + 1 }}");
}

fn classification(provider: Value) -> Value {
    json!({
        "type": "io.kestra.plugin.ai.completion.Classification", "provider": provider,
        "prompt": "I love it.", "classes": ["happy", "angry"],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_is_one_of_the_classes() {
    let class = |class: &str| json!({ "text": json!({ "class": class }).to_string() });
    let rules = json!([{ "times": 1, "answer": class("delighted") }, { "answer": class("happy") }]);
    world(rules, async |api, models| {
        let came = run(api, "class", classification(provider(models, Provider::Gemini, "gemini-2.5-flash"))).await;
        let outputs = outputs(&came);
        assert_eq!((&outputs["classification"], &outputs["finishReason"]), (&json!("happy"), &json!("STOP")));
        let seen = models.seen();
        assert_eq!(seen.len(), 2);
        let told = seen[0].body["systemInstruction"].to_string();
        assert!(told.contains("happy, angry"), "{told}");
    })
    .await;
    let never = json!([{ "answer": class("delighted") }]);
    world(never, async |api, models| {
        let came =
            run(api, "class", classification(provider(models, Provider::Bedrock, "amazon.nova-lite-v1:0"))).await;
        assert_eq!(failure(&came)["code"], "LLM_NOT_JSON");
        assert_eq!(models.seen().len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_taken_out_of_a_text_by_each_provider() {
    let answer = json!({ "text": "```json\n{\"name\": \"John\", \"city\": \"Paris\"}\n```" });
    world(json!([{ "answer": answer }]), async |api, models| {
        for one in Provider::ALL {
            let task = json!({
                "type": "io.kestra.plugin.ai.completion.JSONStructuredExtraction", "schemaName": "Person",
                "jsonFields": ["name", "city"], "prompt": "My name is John, I live in Paris.",
                "provider": provider(models, one, crate::model_of(one)),
            });
            let came = run(api, &format!("fields_{}", one.name().replace('-', "_")), task).await;
            let outputs = outputs(&came);
            assert_eq!(outputs["schemaName"], "Person", "{}", one.name());
            assert_eq!(outputs["extractedJson"], "{\"name\":\"John\",\"city\":\"Paris\"}", "{}", one.name());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_made_by_those_who_draw() {
    let models_of = [
        (Provider::OpenAi, "gpt-image-1"),
        (Provider::AzureOpenAi, "gpt-image-1"),
        (Provider::Gemini, "gemini-2.5-flash-image"),
        (Provider::VertexAi, "gemini-2.5-flash-image"),
        (Provider::Anthropic, "claude-sonnet-4-5"),
    ];
    world(json!([]), async |api, models| {
        for (one, model) in models_of {
            let task = json!({
                "type": "io.kestra.plugin.ai.completion.ImageGeneration", "prompt": "A cat.",
                "provider": provider(models, one, model),
            });
            let came = run(api, &format!("picture_{}", one.name().replace('-', "_")), task).await;
            if one == Provider::Anthropic {
                assert_eq!(failure(&came)["code"], "LLM_BAD_REQUEST");
                continue;
            }
            let url = outputs(&came)["imageUrl"].as_str().expect("an address");
            assert!(url.starts_with("kestra:///") && url.ends_with("image.png"), "{}: {url}", one.name());
            let execution = came["id"].as_str().expect("an id");
            let file = api.bytes(&format!("executions/{execution}/file?path={url}")).await;
            assert_eq!(file.get(..4), Some(&b"\x89PNG"[..]), "{}", one.name());
        }
        // Older models of OpenAI have it elsewhere.
        let task = json!({
            "type": "io.kestra.plugin.ai.completion.ImageGeneration", "prompt": "A cat.",
            "provider": provider(models, Provider::OpenAi, "dall-e-3"),
        });
        let came = run(api, "picture_elsewhere", task).await;
        let url = outputs(&came)["imageUrl"].as_str().expect("an address");
        assert!(url.starts_with(&format!("{}/openai/pictures/", models.origin())), "{url}");
    })
    .await;
}
