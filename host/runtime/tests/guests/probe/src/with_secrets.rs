//! What a guest does with secrets, well or badly. Inputs are JSON objects.

use serde_json::{Value, json};

use crate::exports::sluice::task::run::Failure;
use crate::sluice::host::{egress, log, report, reveal, secrets};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme};
use crate::{failed, refused};

fn read(input: &str) -> Result<Value, Failure> {
    serde_json::from_str(input).map_err(|error| failed("BAD_INPUT", error))
}

fn text<'a>(input: &'a Value, name: &str) -> &'a str {
    input[name].as_str().unwrap_or_default()
}

/// `url`, `method`, `headers` (pairs), `body` (pieces, each a frame of its own), `times` (how often all pieces are sent), `options`,
/// `handles` (names of secrets: `<NAME>` becomes the placeholder), `basic` (user and password that are encoded here).
pub fn exchange(input: &str) -> Result<String, Failure> {
    let mut given = input.to_owned();
    for name in read(input)?["handles"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let placeholder = secrets::handle(name).map_err(refused)?;
        given = given.replace(&format!("<{name}>"), &placeholder);
    }
    let input = read(&given)?;
    let headers = Fields::new();
    for pair in input["headers"].as_array().into_iter().flatten() {
        let (name, value) = (pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default());
        headers.append(name, value.as_bytes()).map_err(|error| failed("HEADER", error))?;
    }
    if let Some(pair) = input["basic"].as_array() {
        let plain = format!("{}:{}", pair[0].as_str().unwrap_or_default(), pair[1].as_str().unwrap_or_default());
        let value = format!("Basic {}", base64(plain.as_bytes()));
        headers.append("authorization", value.as_bytes()).map_err(|error| failed("HEADER", error))?;
    }
    if !input["options"].is_null() {
        let token = egress::options(&input["options"].to_string()).map_err(refused)?;
        headers.append("sluice-egress", token.as_bytes()).map_err(|error| failed("HEADER", error))?;
    }
    let request = OutgoingRequest::new(headers);
    let (scheme, rest) = text(&input, "url").split_once("://").ok_or_else(|| failed("URL", &input))?;
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let method = match text(&input, "method") {
        "" | "GET" => Method::Get,
        other => Method::Other(other.to_owned()),
    };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
    request.set_method(&method).map_err(|error| failed("METHOD", error))?;
    request.set_scheme(Some(&scheme)).map_err(|error| failed("SCHEME", error))?;
    request.set_authority(Some(authority)).map_err(|error| failed("AUTHORITY", error))?;
    request.set_path_with_query(Some(&path)).map_err(|error| failed("PATH", error))?;
    let body = request.body().map_err(|error| failed("BODY", error))?;
    let answer = outgoing_handler::handle(request, None).map_err(|error| failed("HANDLE", error))?;
    let broken = write(&body, &input).is_none();
    let finished = OutgoingBody::finish(body, None);
    answer.subscribe().block();
    let response = answer.get().ok_or_else(|| failed("PENDING", ""))?.map_err(|()| failed("TAKEN", ""))?;
    let response = response.map_err(|error| failed("HTTP", error))?;
    if broken || finished.is_err() {
        return Err(failed("BODY", "the body broke"));
    }
    let (status, fields) = (response.status(), response.headers().entries());
    let incoming = response.consume().map_err(|error| failed("CONSUME", error))?;
    let stream = incoming.stream().map_err(|error| failed("STREAM", error))?;
    let (mut content, mut pieces) = (Vec::new(), 0);
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(bytes) => {
                pieces += usize::from(!bytes.is_empty());
                content.extend(bytes);
            }
            Err(wasip2::io::streams::StreamError::Closed) => break,
            Err(error) => return Err(failed("READ", error)),
        }
    }
    drop(stream);
    let _ = IncomingBody::finish(incoming);
    let fields: serde_json::Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name, Value::from(String::from_utf8_lossy(&value)))).collect();
    let body = String::from_utf8_lossy(&content);
    Ok(json!({ "status": status, "headers": fields, "body": body, "pieces": pieces }).to_string())
}

/// Writes the pieces, each flushed before the next; `None`: the body broke.
fn write(body: &OutgoingBody, input: &Value) -> Option<()> {
    let pieces: Vec<&str> = input["body"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if pieces.is_empty() {
        return Some(());
    }
    let stream = body.write().ok()?;
    for _ in 0..input["times"].as_u64().unwrap_or(1) {
        for piece in &pieces {
            for part in piece.as_bytes().chunks(4096) {
                stream.blocking_write_and_flush(part).ok()?;
            }
        }
    }
    Some(())
}

/// `name`, `algorithm`, `parameters`, `data`.
pub fn sign(input: &str) -> Result<String, Failure> {
    let input = read(input)?;
    let (parameters, data) = (input["parameters"].to_string(), text(&input, "data").as_bytes());
    let signature = secrets::sign(text(&input, "name"), text(&input, "algorithm"), &parameters, data).map_err(refused)?;
    Ok(json!({ "signature": hex(&signature) }).to_string())
}

/// `name`, `pointer`.
pub fn field(input: &str) -> Result<String, Failure> {
    let input = read(input)?;
    let field = secrets::field(text(&input, "name"), text(&input, "pointer")).map_err(refused)?;
    Ok(json!({ "field": read(&field)? }).to_string())
}

/// `secret`: says it in each of the `places`.
pub fn leak(input: &str) -> Result<String, Failure> {
    let input = read(input)?;
    say(text(&input, "secret"), &input)?;
    Ok(json!({ "said": input["secret"] }).to_string())
}

/// `name` of a secret that is revealed, and then said everywhere in every spelling.
pub fn tell(input: &str) -> Result<String, Failure> {
    let input = read(input)?;
    let value = reveal::reveal(text(&input, "name")).map_err(refused)?;
    let plain = String::from_utf8_lossy(&value).into_owned();
    let quoted = Value::from(plain.as_str()).to_string();
    let percent: String = value.iter().map(|byte| format!("%{byte:02X}")).collect();
    let url: String = value
        .iter()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    let shifted = |before: &str| base64(&[before.as_bytes(), &value, b"!"].concat());
    let all = [
        plain.clone(),
        base64(&value),
        shifted("a"),
        shifted("ab"),
        shifted("abc").replace('+', "-").replace('/', "_"),
        hex(&value),
        hex(&value).to_uppercase(),
        quoted.clone(),
        url,
        percent,
    ];
    for one in &all {
        say(&format!("it is {one}."), &input)?;
    }
    Ok(json!({ "length": value.len(), "all": all }).to_string())
}

fn say(what: &str, input: &Value) -> Result<(), Failure> {
    for place in input["places"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        match place {
            "log" => log::log(log::Level::Info, &format!("look: {what}"), &[]),
            "as-written" => log::log(log::Level::Info, what, &[]),
            "field" => log::log(log::Level::Info, "look beside", &[("key".into(), what.into())]),
            "output" => println!("{what}"),
            "metric" => report::metric("counter", what, 1.0, &[]),
            "tag" => report::metric("counter", "plain", 1.0, &[("tag".into(), what.into())]),
            "progress" => report::progress(Some(10), what),
            "error" => {
                return Err(Failure { code: "SAID".into(), message: what.into(), retryable: Some(false), details: None });
            }
            _ => {}
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * index) & 63) as usize];
            text.push(if index <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}
