//! `sluice secret`: secrets of namespaces on a server, and the keys they are sealed with.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::args::{Global, SecretSet};
use crate::client::Client;
use crate::setup;

/// Longest value that is read; a server takes less.
const VALUE_MAX_BYTES: u64 = 1 << 20;

/// The path of a namespace's secrets, and the name if one was given. Neither has a character that a path would have to escape.
fn path_of(secret: &str) -> Result<(String, &str)> {
    let (namespace, name) = secret.split_once('/').unwrap_or((secret, ""));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if namespace.is_empty() || !namespace.chars().chain(name.chars()).all(is_plain) {
        bail!("`{secret}` is not NAMESPACE/NAME");
    }
    Ok((format!("/api/v1/main/namespaces/{namespace}/secrets"), name))
}

fn named(secret: &str) -> Result<(String, &str)> {
    let (path, name) = path_of(secret)?;
    if name.is_empty() {
        bail!("`{secret}` is not NAMESPACE/NAME");
    }
    Ok((path, name))
}

/// Sets one. The value comes from standard input or a file: arguments are visible to other users.
pub async fn set(arguments: &SecretSet) -> Result<ExitCode> {
    let (path, name) = named(&arguments.secret)?;
    let value = match &arguments.file {
        Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?,
        None if std::io::stdin().is_terminal() => {
            console::Term::stderr().write_all(format!("value of {name} (not shown): ").as_bytes())?;
            console::Term::stderr().read_secure_line()?
        }
        None => {
            let mut text = String::new();
            std::io::stdin().take(VALUE_MAX_BYTES).read_to_string(&mut text).context("standard input is not text")?;
            // What `echo` puts at the end is not meant.
            text.strip_suffix('\n').map(str::to_owned).unwrap_or(text)
        }
    };
    let body = json!({
        "key": name, "value": value, "description": arguments.description, "hosts": arguments.hosts,
    });
    Client::new(&arguments.remote)?.ask(Method::PUT, &path, Some(&body)).await?;
    crate::print(&format!("set {}", arguments.secret));
    Ok(ExitCode::SUCCESS)
}

/// Lists the secrets of a namespace by name.
pub async fn list(client: &Client, namespace: &str) -> Result<ExitCode> {
    let (path, name) = path_of(namespace)?;
    if !name.is_empty() {
        bail!("`{namespace}` is no namespace");
    }
    let answer = client.ask(Method::GET, &format!("{path}?size=1000"), None).await?;
    let results: Vec<&Value> = answer["results"].as_array().into_iter().flatten().collect();
    for secret in &results {
        let hosts: Vec<&str> = secret["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let bound = if hosts.is_empty() { String::new() } else { format!("  to {}", hosts.join(", ")) };
        let said = secret["description"].as_str().map(|said| format!("  {said}")).unwrap_or_default();
        crate::print(&format!("{}{bound}{said}", secret["key"].as_str().unwrap_or_default()));
    }
    if results.is_empty() {
        crate::print(&format!("namespace {namespace} has no secrets of its own"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes one away.
pub async fn delete(client: &Client, secret: &str) -> Result<ExitCode> {
    let (path, name) = named(secret)?;
    client.ask(Method::DELETE, &format!("{path}/{name}"), None).await?;
    crate::print(&format!("deleted {secret}"));
    Ok(ExitCode::SUCCESS)
}

/// Puts a new key in front of those in the key file: the next start seals with it.
pub fn new_key(global: &Global) -> Result<ExitCode> {
    let file = setup::new_key(global)?;
    crate::print(&format!(
        "a new key is the first of `{}`; the next start of the server seals all secrets of namespaces with it\n\
         the former keys stay behind it: executions whose SECRET inputs they sealed still need them",
        file.display()
    ));
    Ok(ExitCode::SUCCESS)
}
