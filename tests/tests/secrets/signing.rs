//! Signatures and fields, asked for by a guest. The vectors of the algorithms are the server's own tests.

use serde_json::json;
use tests::served::Options;

use super::{alarms, failed, logs, named, run, succeeded, world};

/// RFC 4231, case 2.
const SIGNED: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_signs_with_what_it_never_sees() {
    let account = json!({ "client_email": "a@example.com", "private_key": "Jefe", "port": 5 }).to_string();
    let options = Options { secrets: named(&[("JEFE", "Jefe"), ("ACCOUNT", &account)]), ..Options::default() };
    world(options, async |api, _, _| {
        let sign = |name: &str, pointer: serde_json::Value| {
            json!({ "name": name, "algorithm": "hmac-sha256", "parameters": pointer, "data": "what do ya want for nothing?" })
        };
        // By name, and by the placeholder of a property that is a secret.
        for (id, name, parameters) in [
            ("named", "jefe", json!({})),
            ("given", "{{ secret('JEFE') }}", json!({})),
            ("derived", "{{ secret('JEFE') | lower | capitalize }}", json!({})),
            ("inside", "ACCOUNT", json!({ "pointer": "/private_key" })),
        ] {
            let ended = run(api, id, "sign", sign(name, parameters)).await;
            assert_eq!(succeeded(&ended)["signature"], SIGNED, "{id}");
        }
        let absent = run(api, "absent", "sign", sign("NOBODY", json!({}))).await;
        assert!(failed(&absent).contains("there is no secret `NOBODY`"));
        let field = |pointer: &str| json!({ "name": "ACCOUNT", "pointer": pointer });
        assert_eq!(succeeded(&run(api, "shown", "field", field("/client_email")).await)["field"], "a@example.com");
        let ended = run(api, "hidden", "field", field("/private_key")).await;
        assert!(failed(&ended).contains("its name says that it is secret"));
        assert!(!logs(api, &ended).await.contains("Jefe"));
        assert_eq!(alarms(api).await, [""; 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_are_placeholders_like_others() {
    let options = Options { secrets: named(&[("JEFE", "the-value-of-jefe")]), ..Options::default() };
    world(options, async |api, mirror, _| {
        let properties = json!({ "url": mirror.url("/quiet"), "handles": ["jefe"], "headers": [["x-key", "<jefe>"]] });
        succeeded(&run(api, "handle", "exchange", properties).await);
        assert_eq!(mirror.last().header("x-key"), "the-value-of-jefe");
    })
    .await;
}
