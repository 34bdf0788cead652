//! Signatures of what is installed from a source, as files and over the API: each refusal with its code and remedy, and a registry as before.

use std::path::PathBuf;

use catalog::Trust;
use serde_json::json;
use server::PluginSource;
use tests::hosted::{Hosted, Reply, Signer};
use tests::program::{command, end};
use tests::registered::{contents, core_as, publish};
use tests::served::{Answer, Api, Options, serving_with};

const AT: &str = "/api/v1/cluster/versioned-plugins";
const SIGNATURE: &str = "core/7.0.0/plugin.wasm.minisig";

async fn install(api: &Api) -> Answer {
    let wished = json!({ "plugins": ["core"] }).to_string();
    api.post(&format!("{AT}/install"), "application/json", wished).await
}

/// A form of a component and its signature.
async fn upload(api: &Api, component: &[u8], signature: Option<&str>) -> Answer {
    let part = |name: &str| {
        format!("--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n").into_bytes()
    };
    let mut body = [&part("plugin.wasm"), component, b"\r\n"].concat();
    if let Some(signature) = signature {
        body.extend([&part("plugin.wasm.minisig"), signature.as_bytes(), b"\r\n"].concat());
    }
    body.extend_from_slice(b"--edge--\r\n");
    api.post(&format!("{AT}/upload"), "multipart/form-data; boundary=edge", body).await
}

fn options(installed: PathBuf, hosted: &Hosted, trust: &str) -> Options {
    Options {
        installed: Some(installed),
        plugin_sources: vec![PluginSource::parse(&hosted.url()).expect("loopback is asked")],
        trust: Trust::parse(trust, "trust.yaml").expect("it is valid"),
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_by_who_is_trusted_is_refused() {
    let folder = tempfile::tempdir().expect("tests have a temporary folder");
    let (signer, stranger) = (Signer::default(), Signer::default());
    let (published, installed) = (folder.path().join("published"), folder.path().join("plugins"));
    let component = core_as("7.0.0");
    publish(&published, std::slice::from_ref(&component), Some(&signer));
    let hosted = Hosted::of(&published).await;
    let index = hosted.file("core/index.json");
    let refused = async |api: &Api, code: &str, said: &[&str]| {
        let before = contents(&installed);
        let answer = install(api).await;
        assert!(said.iter().all(|part| answer.text.contains(part)), "{}", answer.text);
        assert!(answer.text.contains("plugin `core` 7.0.0"), "{}", answer.text);
        answer.refused(422, code);
        assert_eq!(contents(&installed), before);
    };
    // Without a word what comes from a URL has to be signed.
    for trust in [signer.trusted("enforce", "core"), signer.trusted("enforce", "core").replace("mode: enforce\n", "")] {
        serving_with(options(installed.clone(), &hosted, &trust), async |api| {
            let sign = |text: String| hosted.answer(SIGNATURE, Reply::File(text.into_bytes()));
            sign(stranger.sign(&component, "core", "7.0.0"));
            refused(api, "PLUGIN_UNTRUSTED_KEY", &["add to `trust.yaml`", "plugins: [core]"]).await;
            sign(signer.sign(b"other", "core", "7.0.0"));
            refused(api, "PLUGIN_BAD_SIGNATURE", &["not a signature of these bytes", "hint: "]).await;
            sign(signer.sign(&component, "core", "6.0.0"));
            refused(api, "PLUGIN_BAD_SIGNATURE", &["does not say `plugin:core version:7.0.0`"]).await;
            sign(signer.sign_unhashed(&component, "core", "7.0.0"));
            refused(api, "PLUGIN_BAD_SIGNATURE", &["made without hashing"]).await;
            sign("nonsense".to_owned());
            refused(api, "PLUGIN_BAD_SIGNATURE", &["minisign's format"]).await;
            sign("x".repeat(10_000));
            refused(api, "SOURCE_TOO_LONG", &["the signature of plugin"]).await;
            hosted.answer(SIGNATURE, Reply::Status(404));
            refused(api, "SOURCE_STATUS", &["the signature of plugin"]).await;
            let unsigned = String::from_utf8(index.clone()).expect("it is text").replace("\"signature\"", "\"was\"");
            hosted.answer("core/index.json", Reply::File(unsigned.into_bytes()));
            refused(api, "PLUGIN_UNSIGNED", &["mode: warn", "minisign -S -m plugin.wasm"]).await;
            hosted.answer("core/index.json", Reply::File(index.clone()));
        })
        .await;
    }
    let other = signer.trusted("enforce", "mail-*");
    hosted.answer(SIGNATURE, Reply::File(signer.sign(&component, "core", "7.0.0").into_bytes()));
    serving_with(options(installed.clone(), &hosted, &other), async |api| {
        refused(api, "PLUGIN_UNTRUSTED_KEY", &[&signer.key()]).await;
    })
    .await;
    // With a warning it is installed, and nobody is said to have signed it.
    hosted.answer(SIGNATURE, Reply::File(stranger.sign(&component, "core", "7.0.0").into_bytes()));
    serving_with(options(installed.clone(), &hosted, &signer.trusted("warn", "core")), async |api| {
        install(api).await.ok();
        assert_eq!(api.get(&format!("{AT}/core/7.0.0")).await.ok()["artifact"]["signer"], json!(null));
        assert!(!installed.join(SIGNATURE).exists());
    })
    .await;
    hosted.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_bring_their_signatures() {
    let folder = tempfile::tempdir().expect("tests have a temporary folder");
    let (signer, hosted) = (Signer::default(), Hosted::open().await);
    let component = core_as("7.0.0");
    let installed = folder.path().join("plugins");
    serving_with(options(installed.clone(), &hosted, &signer.trusted("enforce", "core")), async |api| {
        upload(api, &component, None).await.refused(422, "PLUGIN_UNSIGNED");
        let other = signer.sign(&component, "core", "8.0.0");
        upload(api, &component, Some(&other)).await.refused(422, "PLUGIN_BAD_SIGNATURE");
        assert!(contents(&installed).is_empty());
        let good = signer.sign(&component, "core", "7.0.0");
        upload(api, &component, Some(&good)).await.ok();
        assert_eq!(api.get(&format!("{AT}/core/7.0.0")).await.ok()["artifact"]["signer"], signer.key());
        assert_eq!(std::fs::read_to_string(installed.join(SIGNATURE)).expect("it is kept"), good);
    })
    .await;
    hosted.end().await;
}

#[test]
fn files_bring_their_signatures() {
    let folder = tempfile::tempdir().expect("tests have a temporary folder");
    let (signer, component) = (Signer::default(), core_as("7.0.0"));
    let (data, file) = (folder.path().join("data"), folder.path().join("core.wasm"));
    let path = file.to_str().expect("temporary folders have plain names");
    let install = || {
        let mut asked = command(&["plugin", "install", path]);
        asked.env("SLUICE_DATA_DIR", &data);
        end(asked.spawn().expect("the program was just built"))
    };
    std::fs::create_dir(&data).expect("tests may write");
    std::fs::write(&file, &component).expect("tests may write");
    std::fs::write(data.join("trust.yaml"), "keys: 1").expect("tests may write");
    install().exits(1).complains(&["the trust file `", "is not valid"]);
    std::fs::write(data.join("trust.yaml"), signer.trusted("enforce", "core")).expect("tests may write");
    install().exits(1).complains(&["plugin `core` 7.0.0 is not signed", "mode: warn"]);
    std::fs::write(folder.path().join("core.wasm.minisig"), signer.sign(&component, "core", "1.0.0"))
        .expect("tests may write");
    install().exits(1).complains(&["the signature of plugin `core` 7.0.0 is not good"]);
    assert!(contents(&data.join("plugins")).is_empty());
    std::fs::write(folder.path().join("core.wasm.minisig"), signer.sign(&component, "core", "7.0.0"))
        .expect("tests may write");
    install().exits(0).says(&["installed core 7.0.0", &format!("signed by {}", signer.key())]);
}
