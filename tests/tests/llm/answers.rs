//! What comes of a question, whoever is asked.

use serde_json::json;
use tests::models::Provider;

use crate::{ask, model_of, outputs, provider, run, world};

#[tokio::test(flavor = "multi_thread")]
async fn each_provider_answers() {
    world(json!([]), async |api, models| {
        for one in Provider::ALL {
            let id = format!("ask_{}", one.name().replace('-', "_"));
            let execution = run(api, &id, ask(provider(models, one, model_of(one)), "Who are you?")).await;
            let outputs = outputs(&execution);
            assert_eq!(outputs["textOutput"], "You said: Who are you?", "{}", one.name());
            assert_eq!(outputs["finishReason"], "STOP", "{}", one.name());
            let used = &outputs["tokenUsage"];
            assert!(used["inputTokenCount"].as_u64().is_some_and(|count| count > 0), "{}: {used}", one.name());
        }
        assert!(models.seen().iter().filter(|seen| seen.provider.is_some()).all(|seen| seen.authorized));
    })
    .await;
}
