//! The services beside the models.

use super::*;

#[tokio::test]
async fn calendar_takes_events_with_a_token_of_its_scope() {
    with(json!([]), async |models| {
        let url = format!("{}/calendars/primary/events", models.calendar());
        let event = json!({ "summary": "Lunch", "start": { "date": "2026-01-01" }, "end": { "date": "2026-01-02" } });
        let token = signing::google_token(&models, "https://www.googleapis.com/auth/calendar").await;
        let answer = sent(post(&url, &event).bearer_auth(&token)).await;
        assert_eq!(
            (answer.status, &answer.body["status"], &answer.body["summary"]),
            (200, &json!("confirmed"), &json!("Lunch"))
        );
        assert!(answer.body["id"].is_string() && answer.body["htmlLink"].is_string());
        let endless = sent(post(&url, &json!({ "start": { "date": "2026-01-01" } })).bearer_auth(&token)).await;
        assert!(endless.status == 400 && endless.text.contains("Missing end time."), "{}", endless.text);
        let other = signing::google_token(&models, signing::CLOUD).await;
        for request in [post(&url, &event), post(&url, &event).bearer_auth(other)] {
            assert_eq!(sent(request).await.status, 401);
        }
    })
    .await;
}

#[tokio::test]
async fn webhooks_take_messages_that_say_something() {
    with(json!([]), async |models| {
        let check = async |url: String, body: &str, status: u16, text: &str| {
            let answer =
                sent(client().post(&url).header("content-type", "application/json").body(body.to_owned())).await;
            assert_eq!(answer.status, status, "{url} {body}: {}", answer.text);
            assert!(answer.text.contains(text), "{url} {body}: {}", answer.text);
        };
        check(models.slack(), r#"{"text": "Hi"}"#, 200, "ok").await;
        check(models.slack(), "{}", 400, "no_text").await;
        check(models.slack(), "Hi", 400, "invalid_payload").await;
        check(format!("{}x", models.slack()), r#"{"text": "Hi"}"#, 403, "invalid_token").await;
        check(models.discord(), r#"{"content": "Hi"}"#, 204, "").await;
        check(models.discord(), r#"{"embeds": [{}]}"#, 204, "").await;
        check(models.discord(), "{}", 400, "Cannot send an empty message").await;
        check(format!("{}x", models.discord()), r#"{"content": "Hi"}"#, 401, "Invalid Webhook Token").await;
        let names: Vec<_> = models.seen().into_iter().map(|seen| seen.name).collect();
        assert_eq!(names, [["slack"; 4], ["discord"; 4]].concat());
    })
    .await;
}

#[tokio::test]
async fn todoist_takes_tasks_with_its_token() {
    with(json!([]), async |models| {
        let url = format!("{}/tasks", models.todoist());
        let task = json!({ "content": "Buy milk", "priority": 4 });
        let answer = sent(post(&url, &task).bearer_auth(models.todoist_token())).await;
        assert_eq!(
            (answer.status, &answer.body["content"], &answer.body["priority"]),
            (200, &json!("Buy milk"), &json!(4))
        );
        assert_eq!(sent(post(&url, &json!({})).bearer_auth(models.todoist_token())).await.status, 400);
        assert_eq!(sent(post(&url, &task)).await.status, 401);
    })
    .await;
}
