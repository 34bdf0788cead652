//! Azure OpenAI: two kinds of address, two kinds of credential, a filter in every answer.

use super::*;

async fn at(models: &Models, path: &str, body: &Value) -> Answer {
    let url = format!("{}{path}", models.base(Provider::AzureOpenAi));
    sent(post(&url, body).header("api-key", models.key(Provider::AzureOpenAi))).await
}

#[tokio::test]
async fn classic_address_has_deployment_and_version() {
    with(json!([]), async |models| {
        let body = json!({ "messages": [{ "role": "user", "content": "Hi" }], "max_completion_tokens": 5 });
        let path = "/openai/deployments/my%20own/chat/completions";
        let answer = at(&models, &format!("{path}?api-version=2024-10-21"), &body).await;
        assert_eq!((answer.status, &answer.body["model"]), (200, &json!("my own")), "{}", answer.text);
        assert_eq!(answer.body["prompt_filter_results"][0]["content_filter_results"]["hate"]["filtered"], false);
        // There is no such place without one, and older versions know an older word.
        assert_eq!(at(&models, path, &body).await.status, 404);
        let old = at(&models, &format!("{path}?api-version=2024-06-01"), &body).await;
        assert_eq!((old.status, &old.body["error"]["param"]), (400, &json!("max_completion_tokens")));
    })
    .await;
}

#[tokio::test]
async fn newer_address_has_the_model_in_its_body_and_no_version() {
    with(json!([]), async |models| {
        let body = question(Provider::AzureOpenAi, "Hi");
        assert_eq!(at(&models, "/openai/v1/chat/completions", &body).await.status, 200);
        let dated = at(&models, "/openai/v1/chat/completions?api-version=2024-10-21", &body).await;
        assert_eq!((dated.status, &dated.body["error"]["code"]), (400, &json!("BadRequest")));
        let nameless = json!({ "messages": body["messages"] });
        assert_eq!(at(&models, "/openai/v1/chat/completions", &nameless).await.status, 400);
    })
    .await;
}

#[tokio::test]
async fn stream_begins_with_what_was_filtered() {
    with(json!([]), async |models| {
        let answer = asked_streamed(&models, Provider::AzureOpenAi, &question(Provider::AzureOpenAi, "Hi")).await;
        let first = &events(&answer.text)[0];
        assert_eq!(first["choices"], json!([]));
        assert!(first["prompt_filter_results"].is_array());
    })
    .await;
}

#[tokio::test]
async fn entra_issues_a_token_for_the_right_secret() {
    with(json!([]), async |models| {
        let entra = models.entra().clone();
        let ask = async |secret: &str, scope: &str| {
            let form = format!(
                "grant_type=client_credentials&client_id={}&client_secret={}&scope={scope}",
                entra.client_id,
                secret.replace('~', "%7E")
            );
            let url = format!("{}/{}/oauth2/v2.0/token", models.entra_authority(), entra.tenant);
            sent(client().post(url).header("content-type", "application/x-www-form-urlencoded").body(form)).await
        };
        let scope = "https%3A%2F%2Fcognitiveservices.azure.com%2F.default";
        let answer = ask(&entra.client_secret, scope).await;
        let token = answer.body["access_token"].as_str().expect("a token");
        let request = post(&url(&models, Provider::AzureOpenAi, false), &question(Provider::AzureOpenAi, "Hi"));
        assert_eq!(sent(request.bearer_auth(token)).await.status, 200);
        let wrong = ask("wrong", scope).await;
        assert_eq!((wrong.status, &wrong.body["error"]), (401, &json!("invalid_client")));
        assert_eq!(ask(&entra.client_secret, "https%3A%2F%2Fgraph.microsoft.com%2F.default").await.status, 400);
        let names: Vec<_> = models.seen().into_iter().map(|seen| (seen.name, seen.authorized)).collect();
        let expected = [("entra", true), ("azure-openai", true), ("entra", false), ("entra", false)];
        assert_eq!(names, expected.map(|(name, right)| (name.to_owned(), right)));
    })
    .await;
}
