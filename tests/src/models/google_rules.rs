//! What Gemini and Vertex AI refuse: unknown names, schemas beyond the subset, calls without their signature, results that are not all of a turn.

use serde_json::{Map, Value};

use super::asked::list;
use super::credentials::Credentials;
use super::faults::Trouble;

const FIELDS: &[&str] = &[
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "safetySettings",
    "cachedContent",
    "labels",
    "model",
    "store",
];
const GENERATION: &[&str] = &[
    "temperature",
    "topP",
    "topK",
    "seed",
    "maxOutputTokens",
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "thinkingConfig",
    "candidateCount",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "responseModalities",
    "speechConfig",
    "imageConfig",
    "mediaResolution",
    "enableEnhancedCivicAnswers",
];
/// The words of its own schemas.
const SCHEMA: &[&str] = &[
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
    "items",
    "minimum",
    "maximum",
];
/// What the documents name for calls that were made elsewhere.
const NO_SIGNATURE: &[&str] = &["context_engineering_is_the_way_to_go", "skip_thought_signature_validator"];

pub(super) fn check(credentials: &Credentials, model: &str, body: &Value) -> Result<(), Trouble> {
    known(body, FIELDS, "")?;
    let generation = &body["generationConfig"];
    known(generation, GENERATION, " at 'generation_config'")?;
    if let Some(schema) = generation.get("responseSchema") {
        subset(schema, "generation_config.response_schema")?;
    }
    let has_schema = generation.get("responseSchema").or(generation.get("responseJsonSchema")).is_some();
    let is_json = generation["responseMimeType"] == "application/json";
    if has_schema && !is_json {
        return Err(Trouble::bad(
            "Function calling config is set without function_declarations or the response mime type does not allow a response schema: only application/json does.",
        ));
    }
    let old = model.starts_with("gemini-1") || model.starts_with("gemini-2");
    let declared = list(&body["tools"]).iter().flat_map(|tools| list(&tools["functionDeclarations"]));
    for (at, declaration) in declared.enumerate() {
        if old && is_json {
            return Err(Trouble::bad("Function calling with a response mime type: 'application/json' is unsupported"));
        }
        declaration_fits(declaration, at)?;
    }
    contents(credentials, model, list(&body["contents"]))
}

fn known(object: &Value, names: &[&str], place: &str) -> Result<(), Trouble> {
    let snake = |name: &str| name.contains('_');
    let mut given = object.as_object().into_iter().flat_map(Map::keys);
    // Names are taken in snake case as well; their values are not looked at then.
    match given.find(|name| !names.contains(&name.as_str()) && !snake(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field.");
            Err(Trouble::about(name, message))
        }
    }
}

fn subset(schema: &Value, place: &str) -> Result<(), Trouble> {
    known(schema, SCHEMA, &format!(" at '{place}'"))?;
    if schema["type"].is_array() {
        let message = format!(
            "Invalid value at '{place}.type' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type), Proto field is not repeating, cannot start list."
        );
        return Err(Trouble::about(place, message));
    }
    if let Some(value) = list(&schema["enum"]).iter().find(|value| !value.is_string()) {
        let message = format!("Invalid value at '{place}.enum[0]' (TYPE_STRING), {value}");
        return Err(Trouble::about(place, message));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        subset(inner, &format!("{place}.properties[{name}].value"))?;
    }
    for inner in schema.get("items").into_iter().chain(list(&schema["anyOf"])) {
        subset(inner, &format!("{place}.items"))?;
    }
    Ok(())
}

fn declaration_fits(declaration: &Value, at: usize) -> Result<(), Trouble> {
    let place = format!("tools[0].function_declarations[{at}]");
    let name = declaration["name"].as_str().unwrap_or_default();
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    if !begins || name.len() > 64 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte)) {
        let message = format!(
            "* GenerateContentRequest.{place}.name: Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64."
        );
        return Err(Trouble::bad(message));
    }
    let Some(parameters) = declaration.get("parameters") else { return Ok(()) };
    subset(parameters, &format!("{place}.parameters"))?;
    let is_object = parameters["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("object"));
    if is_object && parameters["properties"].as_object().is_none_or(Map::is_empty) {
        let message =
            format!("* GenerateContentRequest.{place}.parameters.properties: should be non-empty for OBJECT type");
        return Err(Trouble::bad(message));
    }
    Ok(())
}

fn contents(credentials: &Credentials, model: &str, contents: &[Value]) -> Result<(), Trouble> {
    if contents.is_empty() {
        return Err(Trouble::bad("* GenerateContentRequest.contents: contents is not specified"));
    }
    let has = |turn: &Value, name: &str| list(&turn["parts"]).iter().any(|part| part[name].is_object());
    let count = |turn: &Value, name: &str| list(&turn["parts"]).iter().filter(|part| part[name].is_object()).count();
    for (at, turn) in contents.iter().enumerate() {
        if !matches!(turn["role"].as_str(), None | Some("user" | "model" | "function")) {
            return Err(Trouble::bad("Please use a valid role: user, model."));
        }
        if list(&turn["parts"]).is_empty() {
            return Err(Trouble::bad(format!(
                "* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty."
            )));
        }
        let before = at.checked_sub(1).and_then(|before| contents.get(before));
        let calls = before.map_or(0, |before| count(before, "functionCall"));
        if calls != count(turn, "functionResponse") {
            return Err(Trouble::bad(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            ));
        }
        if turn["role"] == "model" && has(turn, "functionCall") && before.is_none_or(|before| before["role"] == "model")
        {
            return Err(Trouble::bad(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
            ));
        }
    }
    // Signatures are asked for since the last thing that the user said.
    let said = |turn: &Value| turn["role"] != "model" && !has(turn, "functionResponse");
    let turn = contents.iter().rposition(said).map_or(0, |at| at + 1);
    signed(credentials, model, contents.get(turn..).unwrap_or_default())
}

fn signed(credentials: &Credentials, model: &str, turns: &[Value]) -> Result<(), Trouble> {
    // 2.5 would only answer worse without one. It is refused here, so that whoever loses a signature is noticed.
    let thinks = !model.starts_with("gemini-1") && !model.starts_with("gemini-2.0");
    for (at, turn) in turns.iter().enumerate() {
        let calls = list(&turn["parts"]).iter().filter(|part| part["functionCall"].is_object());
        for (number, part) in calls.enumerate() {
            let name = part["functionCall"]["name"].as_str().unwrap_or_default();
            match part["thoughtSignature"].as_str() {
                Some(signature) if NO_SIGNATURE.contains(&signature) => {}
                Some(signature) if credentials.is_signed(name, signature) => {}
                Some(_) => return Err(Trouble::bad("Corrupted thought signature.")),
                None if number == 0 && thinks => {
                    let message = format!(
                        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `default_api:{name}` , position {}.",
                        at + 1
                    );
                    return Err(Trouble::bad(message));
                }
                None => {}
            }
        }
    }
    Ok(())
}
