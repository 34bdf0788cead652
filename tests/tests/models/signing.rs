//! Signatures of clients, made here and not by the server's code: AWS's version 4, and the assertion of a service account.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::{digest, hmac, rand, rsa::KeyPair, signature};

use super::*;

pub const CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What a signature is made of.
#[derive(Clone)]
pub struct Signing {
    pub id: String,
    pub secret: String,
    pub region: String,
    pub service: String,
    pub at: jiff::Timestamp,
    /// Encodes the path once more than it is sent.
    pub twice: bool,
    pub further: Vec<(&'static str, &'static str)>,
    /// Leaves the further headers out of the signature.
    pub unsigned: bool,
}

impl Signing {
    pub fn of(id: &str, secret: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
            region: "eu-central-1".into(),
            service: "bedrock".into(),
            at: jiff::Timestamp::now(),
            twice: true,
            further: Vec::new(),
            unsigned: false,
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request to Bedrock, signed as the server's credentials are.
pub fn aws(models: &Models, url: &str, body: &Value) -> reqwest::RequestBuilder {
    aws_with(&Signing::of(models.bedrock_access_key_id(), models.key(Provider::Bedrock)), url, body)
}

/// The string that a request is turned into, and the names of what is signed.
fn canonical(signing: &Signing, path: &str, headers: &[(String, String)], body: &str) -> (String, String) {
    let path = if signing.twice { path.replace('%', "%25") } else { path.to_owned() };
    let mut headers: Vec<_> = headers.to_vec();
    headers.sort();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names = headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";");
    (format!("POST\n{path}\n\n{lines}\n{names}\n{}", sha256(body.as_bytes())), names)
}

/// A request signed in some way.
pub fn aws_with(signing: &Signing, url: &str, body: &Value) -> reqwest::RequestBuilder {
    let parsed: reqwest::Url = url.parse().expect("an address");
    let host = format!("{}:{}", parsed.host_str().expect("a host"), parsed.port().expect("a port"));
    let time = signing.at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = &time[..8];
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("host".to_owned(), host),
        ("x-amz-date".to_owned(), time.clone()),
    ];
    if !signing.unsigned {
        headers.extend(signing.further.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    }
    let (canonical, names) = canonical(signing, parsed.path(), &headers, &body.to_string());
    let scope = format!("{day}/{}/{}/aws4_request", signing.region, signing.service);
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let mac =
        |key: &[u8], data: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data.as_bytes()).as_ref().to_vec();
    let key = mac(format!("AWS4{}", signing.secret).as_bytes(), day);
    let key = mac(&mac(&mac(&key, &signing.region), &signing.service), "aws4_request");
    let signature: String = mac(&key, &to_sign).iter().map(|byte| format!("{byte:02x}")).collect();
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", signing.id);
    let request = post(url, body).header("x-amz-date", time).header("authorization", authorization);
    signing.further.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

/// AWS publishes a request and its signature; this code makes the same, so it may be the yardstick of the server's.
#[test]
fn published_canonical_request_is_hashed_as_published() {
    let canonical = "GET\n/\nAction=ListUsers&Version=2010-05-08\ncontent-type:application/x-www-form-urlencoded; charset=utf-8\nhost:iam.amazonaws.com\nx-amz-date:20150830T123600Z\n\ncontent-type;host;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(sha256(canonical.as_bytes()), "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59");
}

/// Claims of a service account.
pub fn claims(models: &Models, scope: &str) -> Value {
    let account: Value = serde_json::from_str(models.service_account()).expect("an account");
    let now = jiff::Timestamp::now().as_second();
    json!({ "iss": account["client_email"], "aud": account["token_uri"], "scope": scope, "iat": now, "exp": now + 3_600 })
}

/// The assertion of some claims, signed with the account's key.
pub fn assertion(models: &Models, header: &Value, claims: &Value) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let data = format!("{}.{}", encoded(header), encoded(claims));
    let pem = models.key(Provider::VertexAi);
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = KeyPair::from_pkcs8(&STANDARD.decode(der).expect("base64")).expect("an RSA key");
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&signature::RSA_PKCS1_SHA256, &rand::SystemRandom::new(), data.as_bytes(), &mut signature)
        .expect("signed");
    format!("{data}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Asks for a token with an assertion.
pub async fn exchanged(models: &Models, assertion: &str) -> Answer {
    let form = format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
    let request = client().post(format!("{}/google/token", models.origin()));
    sent(request.header("content-type", "application/x-www-form-urlencoded").body(form)).await
}

/// A token for a scope.
pub async fn google_token(models: &Models, scope: &str) -> String {
    let header = json!({ "alg": "RS256", "typ": "JWT" });
    let answer = exchanged(models, &assertion(models, &header, &claims(models, scope))).await;
    answer.body["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn assertion_that_is_wrong_in_one_thing_is_refused() {
    with(json!([]), async |models| {
        let header = json!({ "alg": "RS256", "typ": "JWT" });
        let now = jiff::Timestamp::now().as_second();
        let changes = [
            ("iss", json!("somebody@else.example")),
            ("aud", json!("https://oauth2.googleapis.com/token")),
            ("exp", json!(now - 400)),
            ("exp", json!(now + 7_200)),
            ("iat", json!(now + 900)),
            ("scope", json!("")),
        ];
        for (claim, value) in changes {
            let mut claims = claims(&models, CLOUD);
            claims[claim] = value;
            let answer = exchanged(&models, &assertion(&models, &header, &claims)).await;
            assert_eq!(answer.status, 400, "{claims}: {}", answer.text);
        }
        let good = assertion(&models, &header, &claims(&models, CLOUD));
        let (signed, signature) = good.rsplit_once('.').expect("three parts");
        let other = assertion(&models, &json!({ "alg": "RS256" }), &claims(&models, CLOUD));
        let other = other.rsplit_once('.').expect("three parts").1;
        for bad in [format!("{signed}.{other}"), format!("{signed}."), signed.to_owned(), format!("{good}.{signature}")]
        {
            let answer = exchanged(&models, &bad).await;
            assert_eq!((answer.status, &answer.body["error"]), (400, &json!("invalid_grant")), "{}", answer.text);
        }
        let unsigned = assertion(&models, &json!({ "alg": "none" }), &claims(&models, CLOUD));
        assert_eq!(exchanged(&models, &unsigned).await.status, 400);
        assert_eq!(exchanged(&models, &good).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn token_is_good_for_its_scope_alone() {
    with(json!([]), async |models| {
        let token = google_token(&models, "https://www.googleapis.com/auth/calendar").await;
        let (url, body) = (url(&models, Provider::VertexAi, false), question(Provider::VertexAi, "Hello"));
        let answer = sent(post(&url, &body).bearer_auth(token)).await;
        assert_eq!((answer.status, &answer.body["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
    })
    .await;
}

#[tokio::test]
async fn signature_that_is_wrong_in_one_thing_is_refused() {
    with(json!([]), async |models| {
        let (url, body) = (url(&models, Provider::Bedrock, false), question(Provider::Bedrock, "Hello"));
        let right = Signing::of(models.bedrock_access_key_id(), models.key(Provider::Bedrock));
        let ago = |minutes| jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
        let wrong = [
            Signing { secret: "another".into(), ..right.clone() },
            Signing { service: "bedrock-runtime".into(), ..right.clone() },
            Signing { region: "nowhere".into(), ..right.clone() },
            Signing { at: ago(16), ..right.clone() },
            Signing { at: ago(-16), ..right.clone() },
            Signing { twice: false, ..right.clone() },
            Signing { further: vec![("x-amz-target", "x")], unsigned: true, ..right.clone() },
        ];
        for signing in wrong {
            let answer = sent(aws_with(&signing, &url, &body)).await;
            assert_eq!(answer.status, 403, "{}", answer.text);
            assert!(answer.header("x-amzn-errortype").starts_with("InvalidSignatureException"), "{:?}", answer.headers);
        }
        let changed = aws_with(&right, &url, &body).body(question(Provider::Bedrock, "Other").to_string());
        assert_eq!(sent(changed).await.status, 403);
        let good = [
            Signing { at: ago(14), ..right.clone() },
            Signing { further: vec![("x-amz-security-token", "of a session"), ("accept", "a  b")], ..right.clone() },
        ];
        for signing in good {
            // Runs of spaces are one in the signature.
            let signed = Signing {
                further: signing.further.iter().map(|(n, v)| (*n, if *v == "a  b" { "a b" } else { v })).collect(),
                ..signing
            };
            let answer = sent(aws_with(&signed, &url, &body)).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        let bearer = sent(post(&url, &body).bearer_auth(models.bedrock_api_key())).await;
        assert_eq!(bearer.status, 200, "{}", bearer.text);
    })
    .await;
}
