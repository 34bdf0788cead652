//! The request that carries a message.

use serde_json::{Map, Value};
use sluice_sdk::http::{Body, Redirects, Request, Url, code};
use sluice_sdk::prelude::*;

use crate::payload::text;
use crate::{Answer, RequestOptions};

/// Who asks, unless the flow says otherwise: some services refuse nobody.
const USER_AGENT: &str = concat!("Sluice-notify/", env!("CARGO_PKG_VERSION"));

/// Posts a message as JSON; any status is an answer. The URL of a webhook is a secret, so no failure of this function shows it.
pub fn post(url: &str, options: &RequestOptions, message: &Map<String, Value>) -> Result<Answer, Failure> {
    let url = Url::parse(url).map_err(|failure| match failure.code() {
        code::URL => Failure::bad_property("property `url` is no URL of a webhook: write it whole, `https://…`"),
        _ => failure,
    })?;
    // A redirect would make a GET of this, and a webhook that is looked at answers as if it had been called.
    let mut request = Request::new("POST", url)?.timeouts(options.timeouts()).redirects(Redirects::Return);
    request.headers_mut().set("user-agent", USER_AGENT);
    request.headers_mut().set("content-type", "application/json");
    for (name, value) in options.headers.iter().flatten() {
        request.headers_mut().set(name, text(value));
    }
    let mut response = request.body(Body::json(message)?).send()?;
    Ok(Answer::read(&mut response, options.max_content_bytes()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::time::Duration;

    use serde_json::json;
    use sluice_sdk::from_rendered;
    use sluice_sdk::testing::{MockHost, Scripted};

    use super::*;

    const LINE: &str = "POST https://hooks.example/a";

    fn sent(host: &MockHost, options: Value) -> Result<Answer, Failure> {
        let message = Map::from_iter([("text".to_owned(), json!("hi"))]);
        host.with(|_| post("https://hooks.example/a", &from_rendered(options)?, &message))
    }

    #[test]
    fn message_is_posted_as_json() {
        let host = MockHost::new().answer(LINE, Scripted::status(200).body(" ok\n"));
        let answer = sent(&host, json!({"headers": {"User-Agent": "me", "X-A": 1}})).unwrap();
        assert_eq!((answer.status, answer.text.as_str()), (200, "ok"));
        let request = host.requests().remove(0);
        assert_eq!(request.body, br#"{"text":"hi"}"#);
        let fields: Vec<_> = request.headers.iter().collect();
        let expected =
            [("content-type", "application/json"), ("user-agent", "me"), ("x-a", "1"), ("content-length", "13")];
        assert_eq!(fields, expected);
        assert_eq!(request.timeouts.first_byte, Some(Duration::from_secs(10)));
        assert_eq!(request.timeouts.idle, Some(Duration::from_secs(300)));
    }

    #[test]
    fn options_of_the_flow_hold() {
        let host = MockHost::new().answer(LINE, Scripted::status(200).body("0123456789"));
        let options = json!({
            "connectTimeout": "PT1S", "readTimeout": "PT2S", "readIdleTimeout": "PT3S", "maxContentLength": 4,
            "connectionPoolIdleTimeout": "PT0S", "defaultCharset": "UTF-8",
        });
        assert_eq!(sent(&host, options).unwrap().text, "0123");
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let timeouts = host.requests().remove(0).timeouts;
        assert_eq!((timeouts.connect, timeouts.first_byte, timeouts.idle), (seconds(1), seconds(2), seconds(3)));
        assert_eq!(sent(&host, json!({"retries": 1})).err().unwrap().code(), "BAD_PROPERTY");
    }

    #[test]
    fn redirect_is_an_answer() {
        let answer = Scripted::status(302).header("location", "https://hooks.example/b");
        let host = MockHost::new().answer(LINE, answer);
        assert_eq!(sent(&host, json!({})).unwrap().status, 302);
        assert_eq!(host.requests().len(), 1);
    }

    #[test]
    fn what_is_no_url_is_not_shown() {
        let options = RequestOptions::default();
        let failure = MockHost::new().with(|_| post("sluicesecret01", &options, &Map::new())).err().unwrap();
        assert_eq!(failure.code(), "BAD_PROPERTY");
        assert!(!failure.message().contains("sluicesecret"), "{}", failure.message());
    }
}
