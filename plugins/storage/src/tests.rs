//! The tasks against the mock host.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};
use sluice_sdk::Task;
use sluice_sdk::testing::MockHost;

use crate::{cut, directory, items, join, namespace, remove, write};

const FROM: &str = "kestra:///in/rows.csv";

fn text(host: &MockHost, uri: &Value) -> String {
    String::from_utf8(host.file_bytes(uri.as_str().unwrap()).unwrap()).unwrap()
}

fn failed<T: Task>(host: &MockHost, properties: Value) -> String {
    let failure = host.run_task::<T>(properties).unwrap_err();
    format!("{}: {}", failure.code(), failure.message())
}

#[test]
fn texts_are_written() {
    let check = |properties: Value, content: &str, end: &str| {
        let host = MockHost::new();
        let written = host.run_task::<write::write>(properties.clone()).unwrap();
        assert_eq!(written, json!({"uri": host.file_uris()[0]}), "{properties}");
        assert!(host.file_uris()[0].ends_with(end), "{written}");
        assert_eq!(text(&host, &written["uri"]), content, "{properties}");
    };
    check(json!({"content": "Hello World", "extension": ".txt"}), "Hello World", "/write.txt");
    check(json!({"content": "größer\r\n\n", "extension": "csv"}), "größer\r\n\n", "/write.csv");
    check(json!({"content": ""}), "", "/write.tmp");
    check(json!({"content": "a", "extension": null}), "a", "/write.tmp");
    check(json!({"content": "a", "extension": ".tar/../gz"}), "a", "/write.tar..gz");
    // More than one piece of what the host takes at once.
    let long = "0123456789abcde\n".repeat(20_000);
    check(json!({"content": long}), &long, "/write.tmp");
    for bad in [json!({}), json!({"content": null}), json!({"content": "a", "name": "b"})] {
        assert!(failed::<write::write>(&MockHost::new(), bad.clone()).starts_with("BAD_PROPERTY"), "{bad}");
    }
}

#[test]
fn files_are_joined() {
    let host = MockHost::new().file("kestra:///a", "one").file("kestra:///b", "two\n");
    let joined = |properties: Value| host.run_task::<join::concat>(properties).unwrap()["uri"].clone();
    let uri = joined(json!({"files": ["kestra:///a", "kestra:///b"]}));
    assert!(uri.as_str().unwrap().ends_with("/concat.tmp"), "{uri}");
    assert_eq!(text(&host, &uri), "onetwo\n");
    let uri = joined(json!({"files": "[\"kestra:///a\", \"kestra:///a\"]", "separator": "|", "extension": "txt"}));
    assert_eq!((text(&host, &uri).as_str(), uri.as_str().unwrap().ends_with("/concat.txt")), ("one|one|", true));
    assert!(failed::<join::concat>(&host, json!({"files": ["kestra:///none"]})).starts_with("NOT_FOUND"));
}

#[test]
fn files_are_turned_around() {
    let check = |content: &str, separator: &str, expected: &str| {
        let host = MockHost::new().file(FROM, content);
        let turned = host.run_task::<join::reverse>(json!({"from": FROM, "separator": separator})).unwrap();
        assert!(turned["uri"].as_str().unwrap().ends_with("/reverse.csv"));
        assert_eq!(text(&host, &turned["uri"]), expected, "{content:?}");
    };
    check("1\n2\n3\n", "\n", "3\n2\n1\n");
    check("1\r\n2\r\n3", "\n", "3\n2\n1\n");
    check("\n\na\n", "|", "a|||");
    check("a", "\n", "a\n");
    check("", "\n", "");
    // Rows across the pieces that are read.
    let rows: Vec<String> = (0..30_000).map(|number| format!("row {number}")).collect();
    let turned: Vec<&str> = rows.iter().rev().map(String::as_str).collect();
    check(&(rows.join("\n") + "\n"), "\n", &(turned.join("\n") + "\n"));
    let host = MockHost::new().file(FROM, "a");
    assert!(failed::<join::reverse>(&host, json!({"from": FROM, "charset": "utf-16le"})).contains("`charset`"));
}

#[test]
fn files_are_cut() {
    let check = |properties: Value, expected: &[&str]| {
        let host = MockHost::new().file(FROM, "1\n22\n333\n4\n5");
        let mut asked = json!({"from": FROM});
        asked.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
        let parts = host.run_task::<cut::split>(asked).unwrap();
        let texts: Vec<String> = parts["uris"].as_array().unwrap().iter().map(|uri| text(&host, uri)).collect();
        assert_eq!(texts, expected, "{properties}");
    };
    check(json!({"rows": 2}), &["1\n22\n", "333\n4\n", "5\n"]);
    check(json!({"rows": 9}), &["1\n22\n333\n4\n5\n"]);
    check(json!({"partitions": 2}), &["1\n333\n5\n", "22\n4\n"]);
    check(json!({"partitions": 9}), &["1\n", "22\n", "333\n", "4\n", "5\n"]);
    check(json!({"bytes": 5}), &["1\n22\n", "333\n", "4\n5\n"]);
    check(json!({"bytes": "1KB"}), &["1\n22\n333\n4\n5\n"]);
    check(json!({"bytes": "1"}), &["1\n", "22\n", "333\n", "4\n", "5\n"]);
    check(json!({"rows": 3, "separator": ";"}), &["1;22;333;", "4;5;"]);
    let host = MockHost::new().file(FROM, "1\n");
    for bad in [
        json!({"from": FROM}),
        json!({"from": FROM, "rows": 0}),
        json!({"from": FROM, "partitions": 0}),
        json!({"from": FROM, "bytes": "10 parsec"}),
        json!({"from": FROM, "bytes": "0"}),
    ] {
        assert!(failed::<cut::split>(&host, bad.clone()).starts_with("BAD_PROPERTY"), "{bad}");
    }
    assert_eq!(
        MockHost::new().file(FROM, "").run_task::<cut::split>(json!({"from": FROM, "rows": 1})).unwrap(),
        json!({"uris": []})
    );
}

#[test]
fn items_are_filtered() {
    let condition = "{{ a > 1 }}";
    let rows = [r#"{"a": 1}"#, r#"{"a": 2}"#, r#"{"b": 3}"#, r#"{"a": 4}"#];
    let host = || {
        MockHost::new()
            .file(FROM, rows.join("\n"))
            .rendered_with(condition, rows[0], "false")
            .rendered_with(condition, rows[1], "true")
            .rendered_with(condition, rows[3], " yes ")
    };
    let check = |properties: Value, expected: &[usize]| {
        let host = host();
        let mut asked = json!({"from": FROM, "filterCondition": condition});
        asked.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
        let kept = host.run_task::<items::filter>(asked).unwrap();
        let wanted: String = expected.iter().map(|at| format!("{}\n", rows[*at])).collect();
        assert_eq!(text(&host, &kept["uri"]), wanted, "{properties}");
        assert_eq!((&kept["processedItemsTotal"], &kept["droppedItemsTotal"]), (&json!(4), &json!(4 - expected.len())));
    };
    check(json!({"errorOrNullBehavior": "EXCLUDE"}), &[1, 3]);
    check(json!({"errorOrNullBehavior": "INCLUDE"}), &[1, 2, 3]);
    check(json!({"errorOrNullBehavior": "EXCLUDE", "filterType": "EXCLUDE"}), &[0]);
    check(json!({"errorOrNullBehavior": "INCLUDE", "filterType": "EXCLUDE"}), &[0, 2]);
    let all = json!({"from": FROM, "filterCondition": condition});
    assert!(failed::<items::filter>(&host(), all).starts_with("expression.undefined"));
}

#[test]
fn the_last_of_equal_items_stays() {
    let rows: Vec<String> = (0..2_500).map(|number| format!("{{\"n\": {number}}}")).collect();
    let key = "{{ n % 1000 }}";
    let host = rows.iter().enumerate().fold(MockHost::new().file(FROM, rows.join("\n")), |host, (number, row)| {
        host.rendered_with(key, row, &(number % 1_000).to_string())
    });
    let kept = host.run_task::<items::deduplicate>(json!({"from": FROM, "expr": key})).unwrap();
    assert_eq!(text(&host, &kept["uri"]), rows[1_500..].join("\n") + "\n");
    let counted = ["numKeys", "processedItemsTotal", "droppedItemsTotal"].map(|name| kept[name].as_u64().unwrap());
    assert_eq!(counted, [1_000, 2_500, 1_500]);
}

#[test]
fn files_are_measured_and_removed() {
    let host = MockHost::new().file(FROM, "12345").file("nsfile:///x", "");
    assert_eq!(host.run_task::<remove::size>(json!({"uri": FROM})).unwrap(), json!({"size": 5}));
    assert_eq!(host.run_task::<remove::delete>(json!({"uri": FROM})).unwrap(), json!({"uri": FROM, "deleted": true}));
    assert_eq!(host.run_task::<remove::delete>(json!({"uri": FROM})).unwrap()["deleted"], json!(false));
    assert!(
        failed::<remove::delete>(&host, json!({"uri": FROM, "errorOnMissing": true})).starts_with("FILE_NOT_FOUND")
    );
    let host = host.file("kestra:///a", "").file("kestra:///b", "");
    let purged = host.run_task::<remove::purge_current_execution_files>(json!({})).unwrap();
    assert_eq!(purged, json!({"uris": ["kestra:///a", "kestra:///b"]}));
    assert_eq!(host.file_uris(), ["nsfile:///x"]);
}

/// A folder of its own below the build's, gone at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tmp").join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn host(&self) -> MockHost {
        MockHost::new().context("working-dir", self.0.to_str().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn local_files_go_in_and_out() {
    let folder = Folder::new("local-files");
    let host = folder.host().file("kestra:///stored", "from the storage");
    let inputs = json!({"out/a.txt": "text", "/out/deep/b.json": {"n": 1}, "./c": "kestra:///stored", "out/deep/a.txt": "other"});
    assert_eq!(host.run_task::<directory::local_files>(json!({"inputs": inputs})).unwrap(), json!({"uris": {}}));
    let found = host.run_task::<directory::local_files>(json!({"outputs": ["out/**", "c"]})).unwrap();
    let texts: Vec<(String, String)> =
        found["uris"].as_object().unwrap().iter().map(|(path, uri)| (path.clone(), text(&host, uri))).collect();
    let expected = [
        ("c", "from the storage"),
        ("out/a.txt", "text"),
        ("out/deep/a.txt", "other"),
        ("out/deep/b.json", "{\"n\":1}"),
    ];
    assert_eq!(texts, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
    for bad in ["../x", "a/../../x", ""] {
        assert!(
            failed::<directory::local_files>(&host, json!({"inputs": {bad: "x"}})).contains("no path within"),
            "{bad}"
        );
    }
    assert!(failed::<directory::local_files>(&host, json!({"outputs": ["[a"]})).contains("without its `]`"));
    assert!(failed::<directory::local_files>(&MockHost::new(), json!({})).starts_with("NO_WORKING_DIRECTORY"));
}

#[test]
fn files_are_uploaded() {
    let folder = Folder::new("uploaded");
    std::fs::create_dir_all(folder.0.join("sub")).unwrap();
    std::fs::write(folder.0.join("sub/l.txt"), "local").unwrap();
    let host = folder.host().file("kestra:///x/in.csv", "stored").file("nsfile://a.b/old.txt", "old");
    let upload = |properties: Value| host.run_task::<namespace::upload>(properties);
    let listed =
        upload(json!({"namespace": "a.b", "files": ["kestra:///x/in.csv", "sub/*"], "destination": "/d"})).unwrap();
    assert_eq!(
        listed["files"],
        json!({"/d/in.csv": "nsfile://a.b/d/in.csv", "/d/sub/l.txt": "nsfile://a.b/d/sub/l.txt"})
    );
    assert_eq!(text(&host, &json!("nsfile://a.b/d/sub/l.txt")), "local");
    let mapped = json!({"namespace": "a.b", "files": {"/r/new.csv": "kestra:///x/in.csv"}});
    assert_eq!(upload(mapped).unwrap()["files"], json!({"/r/new.csv": "nsfile://a.b/r/new.csv"}));
    let old = |conflict: &str| json!({"namespace": "a.b", "filesMap": {"old.txt": "kestra:///x/in.csv"}, "conflict": conflict});
    assert_eq!(upload(old("ERROR")).unwrap_err().code(), "FILE_EXISTS");
    assert_eq!(upload(old("SKIP")).unwrap()["files"], json!({}));
    assert_eq!(text(&host, &json!("nsfile://a.b/old.txt")), "old");
    upload(old("OVERWRITE")).unwrap();
    assert_eq!(text(&host, &json!("nsfile://a.b/old.txt")), "stored");
    assert_eq!(upload(json!({"namespace": "a/b", "files": []})).unwrap_err().code(), "BAD_PROPERTY");
    assert_eq!(upload(json!({"namespace": "a", "files": {"x": "http://e"}})).unwrap_err().code(), "BAD_PROPERTY");
}

#[test]
fn files_of_a_namespace_are_got_and_removed() {
    let host = MockHost::new()
        .file("nsfile://a.b/q/one.sql", "1")
        .file("nsfile://a.b/two.sql", "2")
        .file("nsfile://a.b/q/three.txt", "3")
        .file("nsfile://a.c/two.sql", "not ours");
    let got = host
        .run_task::<namespace::download>(json!({"namespace": "a.b", "files": ["**.sql"], "destination": "x/"}))
        .unwrap();
    let texts: Vec<(&str, String)> =
        got["files"].as_object().unwrap().iter().map(|(path, uri)| (path.as_str(), text(&host, uri))).collect();
    assert_eq!(texts, [("/x/q/one.sql", "1".to_owned()), ("/x/two.sql", "2".to_owned())]);
    let one = host.run_task::<namespace::download>(json!({"namespace": "a.b", "files": "/q/three.txt"})).unwrap();
    assert_eq!(one["files"].as_object().unwrap().keys().collect::<Vec<_>>(), ["/q/three.txt"]);
    host.run_task::<namespace::delete>(json!({"namespace": "a.b", "files": "/q/**"})).unwrap();
    let left: Vec<String> = host.file_uris().into_iter().filter(|uri| uri.starts_with("nsfile")).collect();
    assert_eq!(left, ["nsfile://a.b/two.sql", "nsfile://a.c/two.sql"]);
    assert_eq!(host.metrics().last().map(|metric| metric.value), Some(2.0));
}
