//! The files of namespaces over HTTP.

use serde_json::{Value, json};
use tests::served::{Api, serving};

const AT: &str = "namespaces/tests.files/files";

async fn write(api: &Api, path: &str, content: &str) {
    let answer = api.form(&format!("{AT}?path={path}"), "fileContent", "x", content).await;
    assert_eq!((answer.status, &*answer.text), (200, ""), "{path}");
}

fn names(list: &Value) -> Vec<String> {
    let name = |one: &Value| {
        format!("{}:{}", one["fileName"].as_str().unwrap_or_default(), one["type"].as_str().unwrap_or_default())
    };
    list.as_array().expect("a list").iter().map(name).collect()
}

#[tokio::test]
async fn files_are_written_read_moved_and_deleted() {
    serving(async |api| {
        write(api, "a.txt", "hello").await;
        write(api, "/scripts/main.py", "print(1)").await;
        write(api, "scripts/lib/x.py", "").await;
        write(api, "a.txt", "again").await;
        assert_eq!(api.get(&format!("{AT}?path=a.txt")).await.text, "again");
        assert_eq!(names(&api.get(&format!("{AT}/directory")).await.ok()), ["scripts:Directory", "a.txt:File"]);
        let inner = api.get(&format!("{AT}/directory?path=/scripts/")).await.ok();
        assert_eq!(names(&inner), ["lib:Directory", "main.py:File"]);
        let stats = api.get(&format!("{AT}/stats?path=scripts/main.py")).await.ok();
        assert_eq!((&stats["size"], &stats["type"]), (&json!(8), &json!("File")));
        assert_eq!(api.get(&format!("{AT}/stats?path=scripts")).await.ok()["type"], "Directory");
        assert_eq!(api.get(&format!("{AT}/search?q=.PY")).await.ok(), json!(["/scripts/lib/x.py", "/scripts/main.py"]));

        let moved = async |from: &str, to: &str| api.put(&format!("{AT}?from={from}&to={to}"), "text/plain", "").await;
        assert_eq!(moved("/scripts", "/code").await.status, 200);
        moved("/a.txt", "/code/main.py").await.refused(409, "file.exists");
        moved("/code", "/code/lib/deeper").await.refused(422, "file.path");
        moved("/nothing", "/b").await.refused(404, "not_found");
        assert_eq!(api.get(&format!("{AT}/search")).await.ok(), json!(["/a.txt", "/code/lib/x.py", "/code/main.py"]));
        // What a flow reads is what was written.
        api.save("id: reads\nnamespace: tests.files\ntasks: [{id: t, type: io.kestra.plugin.core.debug.Return, format: \"{{ read('code/main.py') }}\"}]\n").await;
        assert_eq!(api.run("tests.files/reads").await["taskRunList"][0]["outputs"]["value"], "print(1)");

        assert_eq!(api.post(&format!("{AT}/directory?path=empty/one"), "text/plain", "").await.status, 200);
        api.post(&format!("{AT}/directory?path=empty"), "text/plain", "").await.refused(409, "file.exists");
        assert_eq!(names(&api.get(&format!("{AT}/directory?path=empty")).await.ok()), ["one:Directory"]);
        assert_eq!(names(&api.get(&format!("{AT}/directory?path=empty/one")).await.ok()), Vec::<String>::new());
        assert_eq!(api.delete(&format!("{AT}?path=/code/")).await.status, 204);
        api.delete(&format!("{AT}?path=code")).await.refused(404, "not_found");
        api.get(&format!("{AT}?path=code/main.py")).await.refused(404, "not_found");
        api.delete(&format!("{AT}?path=/")).await.refused(422, "file.path");
    })
    .await;
}

#[tokio::test]
async fn archives_go_out_and_come_in() {
    serving(async |api| {
        write(api, "a/b.txt", "one").await;
        write(api, "c.txt", "two").await;
        let packed = api.bytes(&format!("{AT}/export")).await;
        let other = "namespaces/tests.other/files";
        let unpacked = api.form(&format!("{other}?path=into"), "fileContent", "files.zip", &packed).await;
        assert_eq!((unpacked.status, &*unpacked.text), (200, ""));
        assert_eq!(api.get(&format!("{other}/search")).await.ok(), json!(["/into/a/b.txt", "/into/c.txt"]));
        assert_eq!(api.get(&format!("{other}?path=into/a/b.txt")).await.text, "one");
        // Kept as it is where it is to be called so.
        assert_eq!(api.form(&format!("{other}?path=kept.zip"), "fileContent", "files.zip", &packed).await.status, 200);
        assert_eq!(api.bytes(&format!("{other}?path=kept.zip")).await, packed);
        // A file in the way of a folder: nothing of the archive is written.
        api.form(&format!("{other}?path=kept.zip/x"), "fileContent", "x", "x").await.refused(409, "file.exists");
        let way = api.form(&format!("{other}?path=x/a"), "fileContent", "a", "a file").await;
        assert_eq!(way.status, 200);
        api.form(&format!("{other}?path=x"), "fileContent", "files.zip", &packed).await.refused(409, "file.exists");
        assert_eq!(api.get(&format!("{other}/search?q=x/")).await.ok(), json!(["/x/a"]));
    })
    .await;
}

#[tokio::test]
async fn paths_that_lead_elsewhere_are_refused() {
    serving(async |api| {
        for path in ["../a", "a/../b", "./a", "a//b", "a%5Cb", "a%00b", ""] {
            api.form(&format!("{AT}?path={path}"), "fileContent", "x", "x").await.refused(422, "file.path");
        }
        api.form("namespaces/a..b/files?path=x", "fileContent", "x", "x").await.refused(422, "namespace.invalid");
        api.get(&format!("{AT}?path=../tests/other")).await.refused(422, "file.path");
        api.form(&format!("{AT}?path=a"), "other", "x", "x").await.refused(422, "body.no_file");
        api.post(&format!("{AT}?path=a"), "text/plain", "x").await.refused(400, "request.invalid");
        assert_eq!(api.get(&format!("{AT}/search")).await.ok(), json!([]));
    })
    .await;
}
