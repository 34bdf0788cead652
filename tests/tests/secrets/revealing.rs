//! Secrets in the clear: for whom the operator and the manifest say so, written down, and taken out of what is said.

use serde_json::json;
use tests::served::Options;

use super::{failed, logs, named, run, succeeded, world};

const VALUE: &str = "r3vealed/to \"the+probe\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revealed_secret_is_audited_and_scrubbed_in_every_spelling() {
    let options = Options {
        secrets: named(&[("SHOWN", VALUE), ("KEPT", "never-shown")]),
        policy: Some("plugins: {probe: {reveal: [SHOWN]}}\n".to_owned()),
        ..Options::default()
    };
    world(options, async |api, _, _| {
        let places = ["log", "field", "output", "metric", "tag", "progress"];
        let ended = run(api, "tells", "tell", json!({ "name": "shown", "places": places })).await;
        assert_eq!(succeeded(&ended)["length"], VALUE.len());
        let again = run(api, "fails", "tell", json!({ "name": "SHOWN", "places": ["error"] })).await;
        failed(&again);
        let shown = format!("{ended}{again}{}{}", logs(api, &ended).await, logs(api, &again).await);
        assert!(shown.contains("look: it is ******"), "{shown}");
        for part in ["r3veal", "cjN2ZWFs", "IzdmVhbGVk", "yM3ZlYWxlZ", "7233766561", "r3vealed%2F", "%72%33"] {
            assert!(!shown.contains(part), "`{part}` in {shown}");
        }
        let refused = run(api, "refused", "tell", json!({ "name": "KEPT", "places": ["log"] })).await;
        assert!(failed(&refused).contains("not granted"), "{refused}");
        let audit = api.get("/api/v1/cluster/versioned-plugins/audit").await;
        assert!(!audit.text.contains("r3veal"), "{}", audit.text);
        assert_eq!(audit.text.matches("secret.reveal").count(), 2, "{}", audit.text);
        assert!(!audit.text.contains("KEPT"));
    })
    .await;
}
