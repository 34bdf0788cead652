//! Pushes that meet others, and servers that break off: either everything is there or nothing, and nobody's work is written over.
#![expect(clippy::print_stdout, reason = "a test says what it counted")]

use serde_json::json;
use tests::git::{Action, Commit, Fault, Service, Step, When, available};

use crate::world::{ended, failed, file, flow, flows, run, serve, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_another_overtakes_is_planned_again() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let served = serve(server, "r.git", &[("README.md", "ours\n")]);
        api.save(&flow("dev", "one", "1")).await;
        let other = served.clone();
        let push_first = Action::new(move || drop(other.commit(Commit::on("main").file("other.txt", "other"))));
        server.fault(When::at(Step::Push).nth(1), Fault::BeforePush(push_first));
        let execution = run(api, server, "PushFlows", "r.git", json!({ "sourceNamespace": "dev" })).await;
        ended(&execution, "SUCCESS");
        let files = served.checkout("main");
        assert_eq!(files.keys().collect::<Vec<_>>(), ["README.md", "_flows/one.yml", "other.txt"]);
        assert_eq!(served.log("main").len(), 3);
        assert_eq!(served.fsck_strict(), Ok(()));
        // One that is always overtaken gives up in the end.
        let (other, count) = (served.clone(), std::sync::atomic::AtomicUsize::new(0));
        let always = Action::new(move || {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            drop(other.commit(Commit::on("main").file("other.txt", format!("other {number}"))));
        });
        server.fault(When::at(Step::Push), Fault::BeforePush(always));
        api.save(&flow("dev", "two", "1")).await;
        let execution = run(api, server, "PushFlows", "r.git", json!({ "sourceNamespace": "dev" })).await;
        assert_eq!(failed(&execution).0, "GIT_REJECTED");
        assert!(!served.checkout("main").contains_key("_flows/two.yml"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_have_changed_is_told_and_not_written_over() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let served = serve(server, "r.git", &[("_flows/one.yml", &flow("dev", "one", "0"))]);
        api.save(&flow("dev", "one", "1")).await;
        let (other, theirs) = (served.clone(), flow("dev", "one", "theirs"));
        let content = theirs.clone();
        let action = Action::new(move || drop(other.commit(Commit::on("main").file("_flows/one.yml", &content))));
        server.fault(When::at(Step::Push).nth(1), Fault::BeforePush(action));
        let execution = run(api, server, "PushFlows", "r.git", json!({ "sourceNamespace": "dev" })).await;
        let (code, message) = failed(&execution);
        assert_eq!(code, "GIT_CONFLICT");
        assert!(message.contains("`_flows/one.yml`"), "{message}");
        assert_eq!(served.checkout("main")["_flows/one.yml"], file(&theirs));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_server_is_told_in_its_words() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let served = serve(server, "r.git", &[("README.md", "ours\n")]);
        api.save(&flow("dev", "one", "1")).await;
        for (fault, words) in [
            (Fault::Hook("only on Mondays".to_owned()), "only on Mondays"),
            (Fault::Reject("protected branch hook declined".to_owned()), "protected branch hook declined"),
            (Fault::UnpackFailed("disk full".to_owned()), "disk full"),
        ] {
            server.heal();
            server.fault(When::at(Step::Push), fault);
            let execution = run(api, server, "PushFlows", "r.git", json!({ "sourceNamespace": "dev" })).await;
            let (code, message) = failed(&execution);
            assert_eq!(code, "GIT_REFUSED", "{message}");
            assert!(message.contains(words), "{message}");
            assert_eq!(served.log("main").len(), 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_anywhere_leaves_the_old_state_or_the_new_one() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let served = serve(
            server,
            "r.git",
            &[("team/flows/a.yaml", &flow("team", "a", "2")), ("team/flows/b.yaml", &flow("team", "b", "2"))],
        );
        api.save(&flow("team", "a", "1")).await;
        let old_engine = flows(api, "team").await;
        let old_head = served.hash("main");
        let faults = [
            Fault::Status(500),
            Fault::Status(503),
            Fault::Html,
            Fault::Dumb,
            Fault::Cut(0),
            Fault::Cut(3),
            Fault::Cut(60),
            Fault::Short(3),
            Fault::Short(60),
            Fault::Flip(40),
        ];
        let (mut old, mut new) = (0, 0);
        for step in [Step::Refs, Step::List, Step::Fetch] {
            for fault in &faults {
                server.heal();
                server.fault(When::at(step), fault.clone());
                let properties = json!({ "namespace": "team", "sourceOfTruth": "GIT" });
                let execution = run(api, server, "NamespaceSync", "r.git", properties).await;
                let now = flows(api, "team").await;
                if execution["state"]["current"] == "FAILED" {
                    assert_eq!(now, old_engine, "{step:?} {fault:?}");
                    old += 1;
                } else {
                    // A fault behind what is read changes nothing; then it is done.
                    assert_eq!(now.len(), 2, "{step:?} {fault:?}: {execution:#}");
                    new += 1;
                    api.put("flows/team/a", "application/x-yaml", flow("team", "a", "1")).await.ok();
                    api.delete("flows/team/b").await;
                }
                assert_eq!(served.hash("main"), old_head);
            }
        }
        for (step, service) in [(Step::Refs, Service::ReceivePack), (Step::Push, Service::ReceivePack)] {
            for fault in &faults {
                server.heal();
                server.fault(When::at(step).of(service), fault.clone());
                let before = served.hash("main");
                let properties =
                    json!({ "namespace": "team", "sourceOfTruth": "KESTRA", "whenMissingInSource": "KEEP" });
                let execution = run(api, server, "NamespaceSync", "r.git", properties).await;
                let now = served.hash("main");
                assert_eq!(served.fsck_strict(), Ok(()), "{step:?} {fault:?}");
                if now == before {
                    old += 1;
                } else {
                    // The push was taken before the answer broke off.
                    assert_eq!(
                        served.checkout("main")["team/flows/a.yaml"],
                        file(&flow("team", "a", "1")),
                        "{step:?} {fault:?}"
                    );
                    new += 1;
                    served.commit(Commit::on("main").file("team/flows/a.yaml", flow("team", "a", "2")));
                }
                assert!(
                    execution["state"]["current"] == "FAILED" || now != before,
                    "{step:?} {fault:?}: {execution:#}"
                );
            }
        }
        println!("{old} faults left the old state, {new} the new one");
    })
    .await;
}
