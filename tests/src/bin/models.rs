//! A stand-in for model providers to play with: `models [SCRIPT] [--tls | --mtls]` prints where it is and what it accepts as lines for a shell, and
//! runs until ctrl-c.

#![expect(clippy::print_stdout, reason = "a program that prints")]

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use tests::models::{Models, Provider, Script, Tls};

struct Asked {
    script: Option<PathBuf>,
    tls: Option<Tls>,
}

fn asked() -> Result<Asked> {
    let mut asked = Asked { script: None, tls: None };
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--tls" => asked.tls = Some(Tls { require_client: false }),
            "--mtls" => asked.tls = Some(Tls { require_client: true }),
            name if name.starts_with('-') => bail!("`{name}` is not known\n  hint: models [SCRIPT] [--tls | --mtls]"),
            file if asked.script.is_none() => asked.script = Some(file.into()),
            more => bail!("`{more}`: one script is enough"),
        }
    }
    Ok(asked)
}

#[tokio::main]
async fn main() -> Result<()> {
    let asked = asked()?;
    let script = match &asked.script {
        None => Script::default(),
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("`{}` cannot be read", file.display()))?;
            Script::parse(&text).with_context(|| format!("`{}`", file.display()))?
        }
    };
    let models = match asked.tls {
        None => Models::start(script).await,
        Some(tls) => Models::start_tls(script, tls).await,
    };
    for (name, value) in lines(&models) {
        println!("{name}={}", quoted(&value));
    }
    if asked.tls.is_some() {
        println!("CA_PEM={}\nCLIENT_PEM={}", quoted(models.ca_pem()), quoted(models.client_pem()));
    }
    tokio::signal::ctrl_c().await.context("signals cannot be waited for")?;
    models.end().await;
    Ok(())
}

fn lines(models: &Models) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for provider in Provider::ALL {
        let name = provider.name().replace('-', "_").to_ascii_uppercase();
        let key = if provider == Provider::Bedrock { "SECRET_ACCESS_KEY" } else { "API_KEY" };
        lines.push((format!("{name}_BASE_URL"), models.base(provider)));
        // A private key is within the account.
        if provider != Provider::VertexAi {
            lines.push((format!("{name}_{key}"), models.key(provider).to_owned()));
        }
    }
    let entra = models.entra();
    let further = [
        ("BEDROCK_ACCESS_KEY_ID", models.bedrock_access_key_id().to_owned()),
        ("BEDROCK_API_KEY", models.bedrock_api_key().to_owned()),
        ("GOOGLE_SERVICE_ACCOUNT", models.service_account().to_owned()),
        ("ENTRA_AUTHORITY", models.entra_authority()),
        ("ENTRA_TENANT_ID", entra.tenant.clone()),
        ("ENTRA_CLIENT_ID", entra.client_id.clone()),
        ("ENTRA_CLIENT_SECRET", entra.client_secret.clone()),
        ("GOOGLE_CALENDAR_URL", models.calendar()),
        ("SLACK_WEBHOOK_URL", models.slack()),
        ("DISCORD_WEBHOOK_URL", models.discord()),
        ("TODOIST_URL", models.todoist()),
        ("TODOIST_TOKEN", models.todoist_token().to_owned()),
    ];
    lines.extend(further.map(|(name, value)| (name.to_owned(), value)));
    lines
}

/// As a shell reads it back.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
