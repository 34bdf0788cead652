//! Plugins installed by name from a source: what is offered, what a requirement means there, and that nothing is half installed whatever goes
//! wrong on the way.

use std::path::{Path, PathBuf};

use catalog::{Requirement, Trust, digest_of};
use reqwest::Method;
use serde_json::{Value, json};
use server::{PluginSource, Wanted};
use tests::hosted::{Hosted, Reply, Signer};
use tests::program::{Ran, command, end, written};
use tests::registered::{contents, core_as, core_with, publish};
use tests::served::{Answer, Api, Options, send, serving_with};

use super::command_line::sluice;

const AT: &str = "/api/v1/cluster/versioned-plugins";
const COMPONENT: &str = "core/7.0.0/plugin.wasm";

/// A source with a published folder behind it, and a server that may install from it.
struct Place {
    _folder: tempfile::TempDir,
    installed: PathBuf,
    hosted: Hosted,
    signer: Signer,
}

impl Place {
    async fn of(components: &[Vec<u8>]) -> Self {
        let folder = tempfile::tempdir().expect("tests have a temporary folder");
        let signer = Signer::default();
        let published = folder.path().join("published");
        publish(&published, components, Some(&signer));
        let hosted = Hosted::of(&published).await;
        Self { installed: folder.path().join("plugins"), _folder: folder, hosted, signer }
    }

    fn options(&self) -> Options {
        Options {
            installed: Some(self.installed.clone()),
            plugin_sources: vec![PluginSource::parse(&self.hosted.url()).expect("loopback is asked")],
            trust: Trust::parse(&self.signer.trusted("enforce", "core, mine, thief"), "trust.yaml")
                .expect("it is valid"),
            ..Options::default()
        }
    }

    /// Changes what the index says of the only version of a plugin.
    fn reindex(&self, plugin: &str, change: impl FnOnce(&mut Value)) {
        let path = format!("{plugin}/index.json");
        let mut index: Value = serde_json::from_slice(&self.hosted.file(&path)).expect("it is JSON");
        change(&mut index["versions"][0]);
        self.hosted.answer(&path, Reply::File(index.to_string().into_bytes()));
    }
}

async fn install(api: &Api, wished: Value) -> Answer {
    let request = api.request(Method::POST, &format!("{AT}/install")).header("content-type", "application/json");
    send(request.body(wished.to_string())).await
}

/// `core` under another name, with one task type of its own.
fn plugin_with(name: &str, task_type: &str) -> Vec<u8> {
    core_with(|manifest| {
        manifest["name"] = name.into();
        manifest["version"] = "1.0.0".into();
        manifest["tasks"] = json!([{ "type": task_type }]);
        manifest["triggers"] = json!([]);
    })
}

fn newer_host() -> Vec<u8> {
    core_with(|manifest| {
        manifest["version"] = "9.0.0".into();
        manifest["minimumHost"] = "99.0.0".into();
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_are_installed_by_name() {
    let place = Place::of(&[core_as("7.0.0"), core_as("7.1.0"), core_as("7.2.0-rc.1"), newer_host()]).await;
    serving_with(place.options(), async |api| {
        let offered = api.get(&format!("{AT}/available")).await.ok();
        let versions = json!(["7.0.0", "7.1.0", "7.2.0-rc.1", "9.0.0"]);
        assert_eq!((&offered["results"][0]["name"], &offered["results"][0]["versions"]), (&json!("core"), &versions));
        assert_eq!(offered["results"][0]["source"], place.hosted.url());

        let installed = install(api, json!({ "plugins": ["core:OLDEST", "core:^7"] })).await.ok();
        let versions: Vec<&Value> =
            installed["results"].as_array().expect("a list").iter().map(|one| &one["version"]).collect();
        assert_eq!(versions, ["7.0.0", "7.1.0"]);
        let again = install(api, json!({ "plugins": ["core"], "from": place.hosted.url() })).await.ok();
        assert_eq!(
            (&again["results"][0]["version"], &again["results"][0]["alreadyInstalled"]),
            (&json!("7.1.0"), &json!(true))
        );

        // Who signed it is in the listing and in the log, and the signature is kept.
        let of_core = api.get(&format!("{AT}/core/7.1.0")).await.ok();
        assert_eq!(of_core["artifact"]["signer"], place.signer.key());
        let log = api.get(&format!("{AT}/audit")).await.ok();
        assert_eq!((&log["total"], &log["results"][0]["details"]["signer"]), (&json!(2), &json!(place.signer.key())));
        assert_eq!(log["results"][0]["details"]["source"], format!("{}core/7.1.0/plugin.wasm", place.hosted.url()));
        let kept = std::fs::read(place.installed.join("core/7.1.0/plugin.wasm.minisig")).expect("it is kept");
        assert_eq!(kept, place.hosted.file("core/7.1.0/plugin.wasm.minisig"));

        install(api, json!({ "plugins": ["core:9.0.0"] })).await.refused(422, "PLUGIN_NEEDS_NEWER_HOST");
        install(api, json!({ "plugins": ["core:^8"] })).await.refused(422, "PLUGIN_NO_MATCHING_VERSION");
        let nearest = install(api, json!({ "plugins": ["cor"] })).await;
        assert!(nearest.text.contains("offers no plugin `cor`"), "{}", nearest.text);
        nearest.refused(422, "PLUGIN_NOT_OFFERED");
        install(api, json!({ "plugins": ["../core"] })).await.refused(422, "PLUGIN_NOT_OFFERED");
        install(api, json!({ "plugins": ["core:^x"] })).await.refused(422, "plugins.refused");
        // Only what is configured, whatever a client names.
        for from in ["http://127.0.0.1:9/", "https://example.com/", "/etc"] {
            install(api, json!({ "plugins": ["core"], "from": from })).await.refused(422, "plugin.unknown_source");
        }
    })
    .await;
    serving_with(Options::default(), async |api| {
        install(api, json!({ "plugins": ["core"] })).await.refused(422, "plugin.no_source");
        assert_eq!(api.get(&format!("{AT}/available")).await.ok()["total"], 0);
    })
    .await;
    place.hosted.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_and_other_places_for_components_are_followed_on_this_machine() {
    let place = Place::of(&[core_as("7.0.0")]).await;
    let other = Hosted::open().await;
    other.answer("elsewhere.wasm", Reply::File(place.hosted.file(COMPONENT)));
    place.hosted.answer(COMPONENT, Reply::Redirect("/moved.wasm".to_owned()));
    place.hosted.answer("moved.wasm", Reply::Redirect(format!("{}elsewhere.wasm", other.url())));
    serving_with(place.options(), async |api| {
        install(api, json!({ "plugins": ["core"] })).await.ok();
    })
    .await;
    let (place, base) = (Place::of(&[core_as("7.0.0")]).await, other.url());
    let mut index: Value = serde_json::from_slice(&place.hosted.file("core/index.json")).expect("it is JSON");
    index["baseUrl"] = base.into();
    for path in [COMPONENT, "core/7.0.0/plugin.wasm.minisig"] {
        other.answer(path, Reply::File(place.hosted.file(path)));
        place.hosted.answer(path, Reply::Status(410));
    }
    place.hosted.answer("core/index.json", Reply::File(index.to_string().into_bytes()));
    serving_with(place.options(), async |api| {
        install(api, json!({ "plugins": ["core"] })).await.ok();
    })
    .await;
    place.hosted.end().await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_nothing_is_half_installed() {
    let place = Place::of(&[core_as("7.0.0"), plugin_with("mine", "com.example.mine.Do")]).await;
    let good = place.hosted.file(COMPONENT);
    let index = place.hosted.file("core/index.json");
    let file = |bytes: &[u8]| Reply::File(bytes.to_vec());
    let half = &good[..good.len() / 2];
    let (mut other, mut longer) = (good.clone(), good.clone());
    *other.last_mut().expect("it has bytes") ^= 1;
    longer.push(0);
    serving_with(place.options(), async |api| {
        // Something is there already, so that there is a registry to be spoilt.
        install(api, json!({ "plugins": ["mine"] })).await.ok();
        let before = contents(&place.installed);
        // One that is good comes before: it must not stay either.
        let refused = async |code: &str, said: &[&str]| {
            let wanted = [Wanted { plugin: "core".to_owned(), requirement: Requirement::Latest }];
            let error = api.node.install_from_sources(&wanted, None, None, "test").await.expect_err("it is refused");
            assert_eq!(error.code(), code, "{error}");
            let message = error.to_string();
            assert!(said.iter().all(|part| message.contains(part)), "{message}");
            assert!(message.contains("\nhint: "), "{message}");
            assert_eq!(contents(&place.installed), before, "{code}");
        };
        let named = ["plugin `core` 7.0.0"];
        let redirect = |to: &str| Reply::Redirect(to.to_owned());
        let cases: Vec<(Reply, &str)> = vec![
            (file(&other), "SOURCE_OTHER_BYTES"),
            (file(half), "SOURCE_CUT_OFF"),
            (Reply::Unsized(half.to_vec()), "SOURCE_CUT_OFF"),
            (Reply::CutOff(half.to_vec()), "SOURCE_CUT_OFF"),
            (Reply::Stall(half.to_vec()), "SOURCE_STALLED"),
            (file(&longer), "SOURCE_TOO_LONG"),
            (Reply::Unsized(longer.clone()), "SOURCE_TOO_LONG"),
            (Reply::Status(500), "SOURCE_STATUS"),
            (Reply::Status(404), "SOURCE_STATUS"),
            (redirect("http://plugins.example.com/plugin.wasm"), "SOURCE_NOT_ALLOWED"),
            (redirect("ftp://127.0.0.1/plugin.wasm"), "SOURCE_NOT_ALLOWED"),
            (redirect("file:///etc/hostname"), "SOURCE_NOT_ALLOWED"),
            (redirect("plugin.wasm"), "SOURCE_REDIRECTS"),
        ];
        for (reply, code) in cases {
            place.hosted.answer(COMPONENT, reply);
            refused(code, &named).await;
        }

        // An index that agrees with what it offers, which is not what was asked for.
        let offered = |bytes: &[u8]| {
            place.hosted.answer(COMPONENT, file(bytes));
            place.reindex("core", |one| {
                one["sha256"] = json!(digest_of(bytes));
                one["sizeBytes"] = json!(bytes.len());
            });
        };
        for (bytes, inside) in [
            (core_as("7.5.0"), "plugin `core` 7.5.0 inside"),
            (plugin_with("mine", "com.example.mine.Do"), "plugin `mine` 1.0.0 inside"),
        ] {
            offered(&bytes);
            refused("SOURCE_OTHER_PLUGIN", &[named[0], inside]).await;
        }
        offered(b"\0asm and nothing");
        refused("PLUGIN_NOT_A_COMPONENT", &["core/7.0.0/plugin.wasm"]).await;
        place.hosted.answer("core/index.json", file(b"<html>"));
        refused("SOURCE_BAD_INDEX", &["the index of plugin `core`"]).await;
        place.hosted.answer("core/index.json", Reply::Unsized(vec![b' '; (8 << 20) + 1]));
        refused("SOURCE_TOO_LONG", &["the index of plugin `core`"]).await;
        place.hosted.answer("core/index.json", Reply::Stall(Vec::new()));
        refused("SOURCE_STALLED", &["the index of plugin `core`"]).await;

        // It was not the plugin.
        place.hosted.answer("core/index.json", file(&index));
        place.hosted.answer(COMPONENT, file(&good));
        install(api, json!({ "plugins": ["core"] })).await.ok();
    })
    .await;
    place.hosted.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_installed_keeps_what_comes_with_it() {
    let thief = plugin_with("thief", "com.example.mine.Do");
    let place = Place::of(&[core_as("7.0.0"), plugin_with("mine", "com.example.mine.Do"), thief]).await;
    serving_with(place.options(), async |api| {
        install(api, json!({ "plugins": ["mine"] })).await.ok();
        let before = contents(&place.installed);
        let taken = install(api, json!({ "plugins": ["core", "thief"] })).await;
        assert!(taken.text.contains("claims task type `com.example.mine.Do`"), "{}", taken.text);
        taken.refused(409, "TASK_TYPE_TAKEN");
        install(api, json!({ "plugins": ["core", "nosuch"] })).await.refused(422, "PLUGIN_NOT_OFFERED");
        assert_eq!(contents(&place.installed), before);
    })
    .await;
    place.hosted.end().await;
    let place = Place::of(&[core_as("7.0.0"), plugin_with("thief", "io.kestra.plugin.mine.Do")]).await;
    serving_with(place.options(), async |api| {
        let taken = install(api, json!({ "plugins": ["core", "thief"] })).await;
        assert!(taken.text.contains("belongs to the plugins of Sluice"), "{}", taken.text);
        taken.refused(409, "TASK_TYPE_TAKEN");
        assert!(contents(&place.installed).is_empty());
    })
    .await;
    place.hosted.end().await;
}

#[test]
fn only_https_and_this_machine_are_sources() {
    for text in ["http://plugins.example.com/", "ftp://127.0.0.1/", "file:///etc/", "http://127.0.0.1.example.com"] {
        let error = PluginSource::parse(text).expect_err("it is refused");
        assert_eq!(error.code(), "SOURCE_NOT_ALLOWED", "{text}: {error}");
    }
    for text in
        ["https://plugins.example.com", "http://127.0.0.1:1/x?y#z", "http://[::1]/", "http://localhost/", "folder"]
    {
        assert!(PluginSource::parse(text).is_ok(), "{text}");
    }
    let with_password = PluginSource::parse("https://ada:secret@plugins.example.com/x?y#z").expect("it is a source");
    assert_eq!(with_password.to_string(), "https://plugins.example.com/x/");
}

fn local(data: &Path, arguments: &[&str]) -> Ran {
    let mut asked = command(arguments);
    asked.env("SLUICE_DATA_DIR", data);
    end(asked.spawn().expect("the program was just built"))
}

#[test]
fn folder_is_indexed_searched_and_installed_from() {
    let place = tempfile::tempdir().expect("tests have a temporary folder");
    let (folder, data) = (place.path().join("published"), place.path().join("data"));
    publish(&folder, &[core_as("7.0.0"), core_as("7.1.0")], None);
    let from = folder.to_str().expect("temporary folders have plain names");
    let before = contents(&folder);
    local(&data, &["plugin", "index", from]).exits(0).says(&["indexed 1 plugins, 2 versions: "]);
    assert_eq!(contents(&folder), before, "the same folder makes the same index");
    local(&data, &["plugin", "search", "--from", from]).exits(0).says(&["core  7.0.0, 7.1.0  "]);
    local(&data, &["plugin", "search", "--from", from, "slack"]).exits(0).says(&["no plugins"]);
    let installed = local(&data, &["plugin", "install", "core@OLDEST", "core@^7", "--from", from]).exits(0);
    installed.says(&["installed core 7.0.0", "installed core 7.1.0"]);
    let kept = contents(&data.join("plugins"));
    local(&data, &["plugin", "install", "core", "nosuch", "--from", from])
        .exits(1)
        .complains(&["offers no plugin `nosuch`", "hint: "]);
    std::fs::write(folder.join(COMPONENT), b"\0asm").expect("tests may write");
    local(&data, &["plugin", "index", from]).exits(1).complains(&["is damaged"]);
    local(&data, &["plugin", "install", "core", "--from", from]).exits(1).complains(&["is damaged"]);
    assert_eq!(contents(&data.join("plugins")), kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn command_line_installs_from_a_url_what_the_trust_file_trusts() {
    let place = Place::of(&[core_as("7.0.0")]).await;
    let (url, data) = (place.hosted.url(), place.installed.with_file_name("data"));
    let trust = written("trust.yaml", place.signer.trusted("enforce", "core"));
    let sluice_here = async |arguments: &[&str]| {
        let (data, arguments): (_, Vec<String>) =
            (data.clone(), arguments.iter().map(|&text| text.to_owned()).collect());
        let run = move || local(&data, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.expect("no panic")
    };
    sluice_here(&["plugin", "search", "--from", &url]).await.exits(0).says(&["core  7.0.0"]);
    let refused = sluice_here(&["plugin", "install", "core", "--from", &url]).await.exits(1);
    refused.complains(&["plugin `core` 7.0.0 is signed by key", "add to `", "trust.yaml`:", "plugins: [core]"]);
    assert!(contents(&data.join("plugins")).is_empty());
    let installed = sluice_here(&["plugin", "install", "core", "--from", &url, "--trust", &trust.path]).await.exits(0);
    installed.says(&["installed core 7.0.0", &format!("signed by {}", place.signer.key())]);
    sluice_here(&["plugin", "install", "core", "--from", "http://plugins.example.com/"])
        .await
        .exits(1)
        .complains(&["only https is", "hint: "]);

    serving_with(place.options(), async |api| {
        sluice(api, &["plugin", "search"]).await.exits(0).says(&["core  7.0.0"]);
        sluice(api, &["plugin", "install", "core@^7"]).await.exits(0).says(&["installed core 7.0.0"]);
        sluice(api, &["plugin", "install", "core", "--from", "https://example.com/"])
            .await
            .exits(1)
            .complains(&["is no source of this server"]);
    })
    .await;
    place.hosted.end().await;
}
