//! The API's description: what is served, and that it leaves nothing out.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use tests::described::{BLESS, GOLDEN};
use tests::root;
use tests::served::{Api, serving};

/// Asked for past what holds answers against the golden file, which may be about to be written.
async fn description(api: &Api) -> Value {
    let answer = api.request(Method::GET, "/openapi.json").send().await.expect("the server answers");
    serde_json::from_str(&answer.text().await.expect("the answer is whole")).expect("the description is JSON")
}

#[tokio::test]
async fn description_is_the_golden_one() {
    serving(async |api| {
        let served = description(api).await;
        let text = serde_json::to_string_pretty(&served).expect("JSON is written") + "\n";
        let file = root().join(GOLDEN);
        if std::env::var_os("SLUICE_BLESS").is_some() {
            std::fs::write(&file, &text).expect("the golden file is written");
        }
        let golden = std::fs::read_to_string(&file).unwrap_or_default();
        let differs = text.lines().zip(golden.lines()).position(|(served, golden)| served != golden);
        assert!(text == golden, "`{GOLDEN}` is out of date from line {}; hint: `{BLESS}`", differs.unwrap_or(0) + 1);
    })
    .await;
}

#[tokio::test]
async fn every_operation_is_described() {
    serving(async |api| {
        let document = description(api).await;
        assert_eq!(document["openapi"], "3.1.0");
        let known: BTreeSet<&str> = strings(&document["tags"], "name").collect();
        let (mut ids, mut used, mut problems) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for (path, item) in document["paths"].as_object().expect("there are paths") {
            let declared: BTreeSet<&str> = strings(&item["parameters"], "name").collect();
            let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            let parts: BTreeSet<&str> = parts.filter(|name| *name != "tenant").collect();
            if declared != parts {
                problems.push(format!("`{path}` declares {declared:?}"));
            }
            for (method, operation) in item.as_object().expect("an object").iter().filter(|(_, one)| one.is_object()) {
                let at = format!("{method} {path}");
                let summary = operation["summary"].as_str().unwrap_or_default();
                if !summary.ends_with(['.', '`']) {
                    problems.push(format!("`{at}` has the summary `{summary}`"));
                }
                let id = operation["operationId"].as_str().unwrap_or_default();
                if id.is_empty() || !ids.insert(id.to_owned()) {
                    problems.push(format!("`{at}` has the operation id `{id}` of another"));
                }
                let tags: Vec<&str> =
                    operation["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                match tags.as_slice() {
                    [tag] if known.contains(tag) => drop(used.insert((*tag).to_owned())),
                    other => problems.push(format!("`{at}` has the tags {other:?}")),
                }
                let nameless = operation["responses"].as_object().into_iter().flatten().filter(|(_, response)| {
                    response.get("$ref").is_none() && response["description"].as_str().is_none_or(str::is_empty)
                });
                problems.extend(nameless.map(|(status, _)| format!("`{at}` does not say what {status} is")));
            }
        }
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        assert_eq!(known, used.iter().map(String::as_str).collect(), "a tag without operations");
    })
    .await;
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    serving(async |api| {
        let document = description(api).await;
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        let broken: Vec<&String> = used.iter().filter(|to| document.pointer(&to[1..]).is_none()).collect();
        assert!(broken.is_empty(), "{broken:?}");
        let schemas = document["components"]["schemas"].as_object().expect("there are schemas").keys();
        let unused: Vec<&String> =
            schemas.filter(|name| !used.contains(&format!("#/components/schemas/{name}"))).collect();
        assert!(unused.is_empty(), "nothing refers to {unused:?}");
    })
    .await;
}

/// The page is there, whole, and may fetch nothing from elsewhere.
#[tokio::test]
async fn page_is_served() {
    serving(async |api| {
        let page = api.get("/docs").await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
        assert!(page.text.contains("openapi.json") && !page.text.contains("https://"), "{}", page.text);
    })
    .await;
}

fn strings<'a>(list: &'a Value, name: &'a str) -> impl Iterator<Item = &'a str> {
    list.as_array().into_iter().flatten().filter_map(move |one| one[name].as_str())
}

fn references(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            into.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, into));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, into)),
        _ => {}
    }
}
