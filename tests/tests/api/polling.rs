//! `http.Trigger`, the component, on a server: asks a stand-in in intervals, and starts executions of what it saw.

use serde_json::Value;
use tests::served::{Options, serving_with};
use tests::stand_in::StandIn;

fn flow(uri: &str) -> String {
    format!(
        "
id: asks
namespace: tests.api
variables: {{least: 200}}
tasks:
  - {{id: t, type: io.kestra.plugin.core.debug.Return, format: '{{{{ trigger.code }}}} {{{{ trigger.body }}}} of {{{{ trigger.uri }}}}'}}
outputs:
  - {{id: said, type: STRING, value: '{{{{ outputs.t.value }}}}'}}
triggers:
  - id: fires
    type: io.kestra.plugin.core.http.Trigger
    interval: PT1S
    uri: '{{{{ \"{uri}\" }}}}/fires'
    headers: {{x-key: fires}}
    responseCondition: \"{{{{ response.statusCode == vars.least and response.body == '{{}}' }}}}\"
  - id: waits
    type: io.kestra.plugin.core.http.Trigger
    interval: PT1S
    uri: '{uri}/waits'
    headers: {{x-key: waits}}
    responseCondition: \"{{{{ response.headers['no-such'] ?? false }}}}\"
  - {{id: breaks, type: io.kestra.plugin.core.http.Trigger, interval: PT1S, uri: '{uri}/breaks', headers: {{x-key: breaks}}, responseCondition: '{{{{ nothing.of.this }}}}'}}
"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answer_that_was_waited_for_starts_executions() {
    let outside = StandIn::open().await;
    let uri = format!("http://{}", outside.address);
    serving_with(Options { outside: vec![outside.address], ..Options::default() }, async |api| {
        api.save(&flow(&uri)).await;
        let ended = |list: &Value| {
            let list = list["results"].as_array().expect("a list");
            list.iter().filter(|one| one["state"]["current"] == "SUCCESS").count() >= 2
        };
        let list = api.until("executions?namespace=tests.api&flowId=asks", ended).await;
        for one in list["results"].as_array().expect("a list") {
            assert_eq!(one["trigger"]["id"], "fires");
            assert_eq!(one["trigger"]["variables"]["code"], 200);
            if one["state"]["current"] == "SUCCESS" {
                assert_eq!(one["outputs"]["said"], format!("200 {{}} of {uri}/fires"));
            }
        }
        // All three were asked, more than once.
        let asked = |key: &str| outside.keys().iter().filter(|asked| *asked == key).count();
        assert!(asked("fires") >= 2 && asked("waits") >= 2 && asked("breaks") >= 2, "{:?}", outside.keys());
    })
    .await;
    outside.end().await;
}
