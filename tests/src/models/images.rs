//! OpenAI's pictures and files: what is uploaded is counted and forgotten.

use axum::RequestExt as _;
use axum::body::Body;
use axum::extract::{Multipart, Request};
use axum::http::Response;
use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::credentials::{hex, letters};
use super::faults::{Failure, Trouble, json_response, response};
use super::{Incoming, Provider, chat_errors};

/// One transparent pixel.
pub(super) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const PURPOSES: &[&str] = &["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];

/// Reads a request for pictures.
pub(super) fn read(provider: Provider, incoming: &Incoming) -> Result<Asked, Trouble> {
    const FIELDS: &[&str] = &[
        "background",
        "model",
        "moderation",
        "n",
        "output_compression",
        "output_format",
        "partial_images",
        "prompt",
        "quality",
        "response_format",
        "size",
        "stream",
        "style",
        "user",
    ];
    let body = incoming.json()?;
    if let Some(name) = body.as_object().into_iter().flat_map(Map::keys).find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(Trouble::about(name, format!("Unknown parameter: '{name}'.")).coded("unknown_parameter"));
    }
    let Some(prompt) = body["prompt"].as_str().filter(|prompt| !prompt.is_empty()) else {
        let message = "Missing required parameter: 'prompt'.";
        return Err(Trouble::about("prompt", message).coded("missing_required_parameter"));
    };
    let model = body["model"].as_str().unwrap_or("dall-e-2");
    let is_new = !model.starts_with("dall-e");
    if is_new && !body["response_format"].is_null() {
        let message = "Unknown parameter: 'response_format'.";
        return Err(Trouble::about("response_format", message).coded("unknown_parameter"));
    }
    let most = if model == "dall-e-3" { 1 } else { 10 };
    if !body["n"].is_null() && !body["n"].as_u64().is_some_and(|n| (1..=most).contains(&n)) {
        let message = format!("Invalid 'n': expected a value between 1 and {most}, but got {} instead.", body["n"]);
        return Err(Trouble::about("n", message).coded("integer_above_max_value"));
    }
    one_of(
        &body,
        "size",
        match model {
            "dall-e-2" => &["256x256", "512x512", "1024x1024"],
            "dall-e-3" => &["1024x1024", "1792x1024", "1024x1792"],
            _ => &["1024x1024", "1536x1024", "1024x1536", "auto"],
        },
    )?;
    one_of(
        &body,
        "quality",
        match model {
            "dall-e-2" | "dall-e-3" => &["standard", "hd", "auto"],
            _ => &["low", "medium", "high", "auto"],
        },
    )?;
    Ok(Asked { said: prompt.to_owned(), ..Asked::of(provider, model, &body) })
}

fn one_of(body: &Value, name: &str, known: &[&str]) -> Result<(), Trouble> {
    let given = &body[name];
    if given.is_null() || given.as_str().is_some_and(|given| known.contains(&given)) {
        return Ok(());
    }
    let known: Vec<_> = known.iter().map(|word| format!("'{word}'")).collect();
    let message = format!("Invalid value: {given}. Supported values are: {}.", known.join(", "));
    Err(Trouble::about(name, message).coded("invalid_value"))
}

/// Pictures as they are asked for: older models give an address.
pub(super) fn whole(origin: &str, asked: &Asked) -> Value {
    let by_address = asked.model.starts_with("dall-e") && asked.body["response_format"] != "b64_json";
    let count = asked.body["n"].as_u64().unwrap_or(1);
    let picture = |_| match by_address {
        true => json!({ "url": format!("{origin}/openai/pictures/{}.png", letters(24)), "revised_prompt": asked.said }),
        false => json!({ "b64_json": PNG }),
    };
    let mut body =
        json!({ "created": jiff::Timestamp::now().as_second(), "data": (0..count).map(picture).collect::<Vec<_>>() });
    if !asked.model.starts_with("dall-e") {
        body["background"] = "opaque".into();
        body["output_format"] = "png".into();
        body["quality"] = asked.body["quality"].as_str().filter(|quality| *quality != "auto").unwrap_or("high").into();
        body["size"] = asked.body["size"].as_str().filter(|size| *size != "auto").unwrap_or("1024x1024").into();
        body["usage"] = json!({ "input_tokens": 11, "output_tokens": 272, "total_tokens": 283,
            "input_tokens_details": { "text_tokens": 11, "image_tokens": 0 } });
    }
    body
}

/// The picture at an address that was given.
pub(super) fn picture() -> Response<Body> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(PNG).unwrap_or_default();
    response(200, "image/png", Body::from(bytes))
}

/// `POST /files`: a form of `purpose` and `file`.
pub(super) async fn upload(incoming: &Incoming) -> Response<Body> {
    let refused = |trouble: Trouble| chat_errors::failure(Provider::OpenAi, &trouble).into_response();
    let (purpose, file) = match form(incoming).await {
        Some(fields) => fields,
        None => return refused(Trouble::bad("We could not parse the multipart form of your request.")),
    };
    let Some((name, size)) = file else {
        return refused(Trouble::about("file", "'file' is a required property"));
    };
    let Some(purpose) = purpose.filter(|purpose| PURPOSES.contains(&purpose.as_str())) else {
        let message = format!("Invalid value for 'purpose': expected one of {PURPOSES:?}.");
        return refused(Trouble::about("purpose", message));
    };
    let body = json!({ "id": format!("file-{}", letters(22)), "object": "file", "bytes": size, "filename": name,
        "created_at": jiff::Timestamp::now().as_second(), "purpose": purpose, "status": "processed",
        "status_details": null, "expires_at": null });
    json_response(200, &body)
}

type Form = (Option<String>, Option<(String, usize)>);

async fn form(incoming: &Incoming) -> Option<Form> {
    let media_type = incoming.header("content-type")?;
    let request = Request::builder().header("content-type", media_type).body(Body::from(incoming.body.clone())).ok()?;
    let mut fields: Multipart = request.extract().await.ok()?;
    let mut form: Form = (None, None);
    while let Some(field) = fields.next_field().await.ok()? {
        match field.name() {
            Some("purpose") => form.0 = Some(field.text().await.ok()?),
            Some("file") => {
                let name = field.file_name().map_or_else(|| hex(8), str::to_owned);
                form.1 = Some((name, field.bytes().await.ok()?.len()));
            }
            _ => {}
        }
    }
    Some(form)
}

/// `GET` and `DELETE` of a file: there is none.
pub(super) fn absent(id: &str) -> Failure {
    let message = format!("No such File object: {id}");
    let mut failure = chat_errors::failure(Provider::OpenAi, &Trouble::about("id", message));
    failure.status = 404;
    failure
}
