//! OpenAI: chat completions.

use super::*;

async fn asked(models: &Models, body: &Value) -> Answer {
    let request = post(&format!("{}/chat/completions", models.base(Provider::OpenAi)), body);
    sent(request.bearer_auth(models.key(Provider::OpenAi))).await
}

#[tokio::test]
async fn question_without_a_rule_is_echoed() {
    let models = Models::start(Script::default()).await;
    let answer = asked(&models, &question("gpt-4o", "Hello")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["choices"][0]["message"]["content"], "You said: Hello");
    assert_eq!(answer.body["choices"][0]["finish_reason"], "stop");
    let seen = models.seen();
    assert_eq!((seen.len(), seen[0].provider, seen[0].authorized), (1, Some(Provider::OpenAi), true));
    assert_eq!(seen[0].body["model"], "gpt-4o");
    models.end().await;
}

#[tokio::test]
async fn wrong_key_is_told_back_with_its_middle_hidden() {
    let models = Models::start(Script::default()).await;
    let url = format!("{}/chat/completions", models.base(Provider::OpenAi));
    let answer = sent(post(&url, &question("gpt-4o", "Hello")).bearer_auth("sk-abcdefgh-1234567890-wxyz")).await;
    assert_eq!((answer.status, answer.body["error"]["code"].as_str()), (401, Some("invalid_api_key")));
    assert!(answer.text.contains("Incorrect API key provided: sk-abcde***************wxyz"), "{}", answer.text);
    let answer = sent(post(&url, &question("gpt-4o", "Hello"))).await;
    assert_eq!((answer.status, answer.body["error"]["code"].as_str()), (401, None));
    assert!(models.seen().iter().all(|seen| !seen.authorized));
    models.end().await;
}
