//! Providers that cannot be reached, or must not be believed.

use serde_json::{Value, json};
use tests::models::{Models, Provider, Script, Tls};
use tests::served::{Options, serving_with};

use crate::row::{Row, column, question, text_of};
use crate::{model_of, options, provider};

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_provider_is_left_after_its_time() {
    column("silence", json!([{ "faults": ["hang"] }]), async |row| {
        let mut asked = provider(row.models, row.provider, model_of(row.provider));
        asked["timeout"] = "PT0.3S".into();
        let ended = row.ask_of(asked, question("<hang>")).await;
        let failure = row.failure(&ended);
        assert_eq!(failure["code"], "HTTP_TIMEOUT", "{row}: {failure:#}");
        assert!(failure["message"].as_str().is_some_and(|words| words.contains("hint: ")), "{row}: {failure:#}");
        // What a provider may have begun to answer is not asked for twice.
        assert_eq!(row.seen_with("<hang>").len(), 1, "{row}");
    })
    .await;
}

/// Asks a provider that is elsewhere; the stand-in hears nothing of it.
async fn unreachable(row: &Row<'_>, origin: &str, code: &str) {
    let asked = provider(row.models, row.provider, model_of(row.provider)).to_string();
    let asked: Value = serde_json::from_str(&asked.replace(row.models.origin(), origin)).expect("JSON");
    let failure = row.failure(&row.ask_of(asked, question("<nobody>")).await);
    assert_eq!(failure["code"], code, "{row}: {failure:#}");
    let words = failure["message"].as_str().unwrap_or_default();
    // Tokens are asked for where the service account says.
    assert!(words.contains(origin) && words.contains("hint: "), "{row}: {words}");
    assert_eq!(row.seen().len(), 0, "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_address_is_told_apart_from_no_such_host() {
    let models = Models::start(Script::default()).await;
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let address = gone.local_addr().expect("a bound listener has an address");
    drop(gone);
    let own = options(&models);
    let outside = own.outside.iter().copied().chain([address]).collect();
    serving_with(Options { outside, ..own }, async |api| {
        for provider in Provider::ALL {
            let row = Row { api, models: &models, provider, column: "nobody" };
            unreachable(&row, &format!("http://{address}"), "HTTP_CONNECT").await;
            unreachable(&row, "https://nobody.invalid", "HTTP_DNS").await;
        }
    })
    .await;
    models.end().await;
}

/// Asks OpenAI over TLS, with these certificates.
async fn over_tls(tls: Tls, pems: impl Fn(&Models, &Models) -> Value) -> Result<(), String> {
    let models = Models::start_tls(Script::default(), tls).await;
    // Whose certificates are as good, but another CA's.
    let other = Models::start_tls(Script::default(), tls).await;
    let mut came = Ok(());
    serving_with(options(&models), async |api| {
        let row = Row { api, models: &models, provider: Provider::OpenAi, column: "tls" };
        let mut asked = provider(&models, Provider::OpenAi, "gpt-4o");
        let fields = pems(&models, &other).as_object().expect("an object").clone();
        asked.as_object_mut().expect("an object").extend(fields);
        let ended = row.ask_of(asked, question("Who are you?")).await;
        if ended["state"]["current"] == "SUCCESS" {
            let outputs = row.outputs(&ended);
            assert_eq!(text_of(&outputs["answer"]["parts"], "text"), "You said: Who are you?");
            return;
        }
        let failure = row.failure(&ended);
        assert!(failure["message"].as_str().is_some_and(|words| words.contains("caPem")), "{failure:#}");
        assert_eq!(row.seen().len(), 0);
        came = Err(failure["code"].as_str().unwrap_or_default().to_owned());
    })
    .await;
    models.end().await;
    other.end().await;
    came
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_ca_that_is_named_is_trusted() {
    let tls = Tls { require_client: false };
    let refused = Err("HTTP_TLS".to_owned());
    assert_eq!(over_tls(tls, |own, _| json!({ "caPem": own.ca_pem() })).await, Ok(()));
    assert_eq!(over_tls(tls, |_, other| json!({ "caPem": other.ca_pem() })).await, refused);
    assert_eq!(over_tls(tls, |_, _| json!({})).await, refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_may_want_to_know_who_asks() {
    let tls = Tls { require_client: true };
    let refused = Err("HTTP_TLS".to_owned());
    let own = |own: &Models, _: &Models| json!({ "caPem": own.ca_pem(), "clientPem": own.client_pem() });
    assert_eq!(over_tls(tls, own).await, Ok(()));
    assert_eq!(over_tls(tls, |own, _| json!({ "caPem": own.ca_pem() })).await, refused);
    let wrong = |own: &Models, other: &Models| json!({ "caPem": own.ca_pem(), "clientPem": other.client_pem() });
    assert_eq!(over_tls(tls, wrong).await, refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_is_no_silence() {
    let rules = json!([{ "answer": { "text": "Slowly but surely." }, "faults": [{ "drip": { "delayMs": 60 } }] }]);
    column("slow drip", rules, async |row| {
        let mut asked = provider(row.models, row.provider, model_of(row.provider));
        // Longer than a drop, shorter than all.
        asked["timeout"] = "PT0.4S".into();
        let ended = row.ask_of(asked, question("<slow>")).await;
        assert_eq!(text_of(&row.outputs(&ended)["answer"]["parts"], "text"), "Slowly but surely.", "{row}");
        assert_eq!(row.seen().len(), 1, "{row}");
    })
    .await;
}
