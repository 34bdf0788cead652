//! HTTPS with a certificate of the server's own CA.

use tests::models::Tls;

use super::*;

fn trusting(models: &Models, with_certificate: bool) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(models.ca_pem().as_bytes()).expect("a certificate");
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([ca]);
    let identity = || reqwest::Identity::from_pem(models.client_pem().as_bytes()).expect("a certificate and its key");
    let builder = if with_certificate { builder.identity(identity()) } else { builder };
    builder.build().expect("a client")
}

async fn asked(client: &reqwest::Client, models: &Models) -> Result<u16, reqwest::Error> {
    let body = question(Provider::OpenAi, "Hi").to_string();
    let request =
        client.post(url(models, Provider::OpenAi, false)).bearer_auth(models.key(Provider::OpenAi)).body(body);
    request.send().await.map(|response| response.status().as_u16())
}

#[tokio::test]
async fn whoever_trusts_the_ca_is_served() {
    let models = Models::start_tls(Script::default(), Tls { require_client: false }).await;
    assert!(models.base(Provider::OpenAi).starts_with("https://localhost:"));
    assert_eq!(asked(&trusting(&models, false), &models).await.expect("an answer"), 200);
    assert!(asked(&client(), &models).await.is_err(), "others do not know the CA");
    models.end().await;
}

#[tokio::test]
async fn certificate_is_asked_for() {
    let models = Models::start_tls(Script::default(), Tls { require_client: true }).await;
    assert_eq!(asked(&trusting(&models, true), &models).await.expect("an answer"), 200);
    assert!(asked(&trusting(&models, false), &models).await.is_err());
    models.end().await;
}
