//! Files with holes: nearly nothing to write, and large to whoever takes them out of a WorkingDirectory.

use serde_json::json;
use tests::served::{Options, serving_with};

use crate::{components, suite};

fn flow(id: &str, count: &str) -> String {
    let with = json!(["holes", count, "7000000"]);
    format!(
        "id: {id}\nnamespace: hostile\ntasks:\n  - id: all\n    type: io.kestra.plugin.core.flow.WorkingDirectory\n    outputFiles: [\"hole-*\"]\n    tasks:\n      - {{id: t, type: com.example.hostile.File, with: {with}}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_taken_than_a_run_may_write() {
    let policy = Some("plugins: {hostile: {network: ['*'], reveal: true, processes: ['*']}}\n".to_owned());
    serving_with(Options { limits: suite::limits(), policy, ..Options::default() }, async |api| {
        assert_eq!(components::upload(api, suite::guest()).await.status, 200);
        for (id, count, state) in [("many", "2", "FAILED"), ("one", "1", "SUCCESS")] {
            api.save(&flow(id, count)).await;
            let ended = api.run(&format!("hostile/{id}")).await;
            assert_eq!(ended["state"]["current"], state, "{ended}");
            let told = ended.to_string().contains("more than 8388608 bytes fit; hint: make the patterns narrower");
            assert_eq!(told, state == "FAILED", "{ended}");
        }
    })
    .await;
}
