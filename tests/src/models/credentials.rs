//! What a stand-in takes as proof of who asks: random for each server, in the forms that providers give their keys.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::json;

use super::{Provider, auth};

/// All that is accepted.
pub(super) struct Credentials {
    keys: HashMap<Provider, String>,
    pub bedrock_access_key_id: String,
    pub bedrock_api_key: String,
    pub account: Account,
    pub entra: Entra,
    pub slack_path: String,
    pub discord_path: String,
    pub todoist: String,
    /// Tokens that the server issued, and for what.
    issued: Mutex<HashMap<String, String>>,
    /// Signs thoughts.
    signing: hmac::Key,
}

/// Google's service account.
pub(super) struct Account {
    pub email: String,
    pub key_id: String,
    pub json: String,
}

/// An application that Entra knows.
#[derive(Clone, Debug)]
pub struct Entra {
    pub tenant: String,
    pub client_id: String,
    pub client_secret: String,
}

impl Credentials {
    /// New ones. `origin` is where the server is.
    pub fn new(origin: &str) -> Self {
        let email = format!("stand-in@project-{}.iam.gserviceaccount.com", hex(6));
        let key_id = hex(40);
        let pem = auth::rsa::pem();
        let json = json!({
            "type": "service_account", "project_id": "stand-in", "private_key_id": key_id, "private_key": pem,
            "client_email": email, "client_id": "100000000000000000001", "token_uri": format!("{origin}/google/token"),
            "universe_domain": "googleapis.com",
        });
        let keys = Provider::ALL.map(|provider| {
            let key = match provider {
                Provider::OpenAi => format!("sk-proj-{}", letters(48)),
                Provider::AzureOpenAi | Provider::Mistral => letters(32),
                Provider::Anthropic => format!("sk-ant-api03-{}", letters(80)),
                Provider::Gemini => format!("AIza{}", letters(35)),
                Provider::VertexAi => pem.clone(),
                Provider::Bedrock => letters(40),
                Provider::DeepSeek => format!("sk-{}", hex(32)),
                Provider::Ollama => format!("{}.{}", hex(32), letters(24)),
                Provider::OpenRouter => format!("sk-or-v1-{}", hex(64)),
            };
            (provider, key)
        });
        Self {
            keys: keys.into(),
            bedrock_access_key_id: format!("AKIA{}", letters(16).to_ascii_uppercase()),
            bedrock_api_key: format!("ABSK{}", letters(60)),
            account: Account { email, key_id, json: json.to_string() },
            entra: Entra {
                tenant: uuid(),
                client_id: uuid(),
                client_secret: format!("{}~{}", letters(5), letters(34)),
            },
            slack_path: format!("/slack/services/T{}/B{}/{}", hex(8), hex(8), letters(24)),
            discord_path: format!("/discord/api/webhooks/1{}/{}", hex(8), letters(68)),
            todoist: hex(40),
            issued: Mutex::default(),
            signing: hmac::Key::new(hmac::HMAC_SHA256, &random(32)),
        }
    }

    /// What a provider accepts.
    pub fn key(&self, provider: Provider) -> &str {
        self.keys.get(&provider).expect("every provider has a key")
    }

    /// A new token for a scope.
    pub fn issue(&self, prefix: &str, scope: &str) -> String {
        let token = format!("{prefix}{}", letters(64));
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        issued.insert(token.clone(), scope.to_owned());
        token
    }

    /// What a token was issued for.
    pub fn scope(&self, token: &str) -> Option<String> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// The signature of a thought, or of a call that was thought of.
    pub fn sign(&self, thought: &str) -> String {
        STANDARD.encode(hmac::sign(&self.signing, thought.as_bytes()))
    }

    /// Whether a signature is one of this server for it. It is bytes: Google's clients write them in the other alphabet.
    pub fn is_signed(&self, thought: &str, signature: &str) -> bool {
        let bytes = STANDARD.decode(signature).or_else(|_| URL_SAFE.decode(signature)).unwrap_or_default();
        hmac::verify(&self.signing, thought.as_bytes(), &bytes).is_ok()
    }
}

/// A key with all but its ends hidden, as OpenAI shows it.
pub(super) fn masked(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    let (Some(first), Some(last)) = (letters.first_chunk::<8>(), letters.last_chunk::<4>()) else {
        return "*".repeat(letters.len());
    };
    let hidden = letters.len().saturating_sub(12);
    format!("{}{}{}", first.iter().collect::<String>(), "*".repeat(hidden), last.iter().collect::<String>())
}

fn random(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
    bytes
}

/// Random letters and digits.
pub(super) fn letters(count: usize) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).map_or('a', |letter| char::from(*letter));
    random(count).into_iter().map(letter).collect()
}

/// Random hexadecimal digits.
pub(super) fn hex(count: usize) -> String {
    let digit = |byte: u8| char::from_digit(u32::from(byte % 16), 16).unwrap_or('0');
    random(count).into_iter().map(digit).collect()
}

/// A random UUID.
pub(super) fn uuid() -> String {
    format!("{}-{}-4{}-a{}-{}", hex(8), hex(4), hex(3), hex(3), hex(12))
}
