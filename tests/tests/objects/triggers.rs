//! Triggers of flows that plans save are watched, and those of flows that plans delete are not.

use std::time::Duration;

use serde_json::{Value, json};
use tests::served::{Api, serving_with};

use super::{applied, change, options, save};

const EVERY_SECOND: &str = "id: ticks\nnamespace: site\ntasks:\n  - {id: t, type: io.kestra.plugin.core.debug.Return, format: x}\ntriggers:\n  - {id: often, type: io.kestra.plugin.core.trigger.Schedule, cron: '* * * * * *', withSeconds: true}\n";
const LISTENS: &str = "id: listens\nnamespace: site\ntasks:\n  - {id: t, type: io.kestra.plugin.core.debug.Return, format: x}\ntriggers:\n  - id: hears\n    type: io.kestra.plugin.core.trigger.Flow\n    conditions:\n      - {type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: site, flowId: one}\n";
/// Longer than a schedule of every second takes to fire, or a flow to be heard of.
const MOMENT: Duration = Duration::from_millis(2_500);

async fn count(api: &Api, flow: &str) -> u64 {
    let shown = api.get(&format!("executions/search?namespace=site&flowId={flow}&size=100")).await.ok();
    shown["total"].as_u64().unwrap_or_else(|| panic!("{shown}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_watched_from_the_commit_on() {
    serving_with(options(), async |api| {
        let saved = applied(
            api,
            json!([
                save("one", "a"),
                change("save", "flow", "ticks", Some(EVERY_SECOND)),
                change("save", "flow", "listens", Some(LISTENS))
            ]),
        )
        .await;
        assert_eq!(saved["items"].as_array().map(Vec::len), Some(3), "{saved}");
        let of = |flow: &str| format!("executions/search?namespace=site&flowId={flow}&size=1");
        api.until(&of("ticks"), |shown: &Value| shown["total"].as_u64() > Some(0)).await;
        api.run("site/one").await;
        api.until(&of("listens"), |shown: &Value| shown["total"] == 1).await;

        let gone =
            applied(api, json!([change("delete", "flow", "ticks", None), change("delete", "flow", "listens", None)]))
                .await;
        assert_eq!(gone["items"].as_array().map(Vec::len), Some(2), "{gone}");
        // What had fired before is perhaps still on its way.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let before = (count(api, "ticks").await, count(api, "listens").await);
        api.run("site/one").await;
        tokio::time::sleep(MOMENT).await;
        assert_eq!((count(api, "ticks").await, count(api, "listens").await), before);
    })
    .await;
}
