//! Who may talk to a server: nobody unasked, no foreign page, and nothing under a foreign name.

use base64::Engine as _;
use reqwest::Method;
use server::Access;
use tests::served::{Options, send, serving, serving_with};

#[tokio::test]
async fn loopback_is_open() {
    serving(async |api| {
        api.get("flows/search").await.ok();
    })
    .await;
}

#[test]
fn other_addresses_need_credentials() {
    for address in ["0.0.0.0:8080", "[::]:8080", "192.168.1.5:80"] {
        let address = address.parse().expect("an address");
        let refused = Access::for_address(address, None).err().expect("must refuse").to_string();
        assert!(refused.contains("hint:") && refused.contains("SLUICE_USERNAME"), "{refused}");
        assert!(Access::for_address(address, Some(("ada", "x"))).is_ok());
    }
}

#[tokio::test]
async fn credentials_are_asked_for_and_checked() {
    let options = Options { credentials: Some(("ada", "s3cret")), ..Options::default() };
    serving_with(options, async |api| {
        let answer = api.get("flows/search").await;
        assert!(answer.header("www-authenticate").starts_with("Basic "));
        answer.refused(401, "unauthorized");
        let with = async |pair: &str| {
            let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            send(api.request(Method::GET, "flows/search").header("authorization", value)).await
        };
        with("ada:wrong").await.refused(401, "unauthorized");
        with("ada:").await.refused(401, "unauthorized");
        with("ada:s3cret").await.ok();
        let other = send(api.request(Method::GET, "flows/search").header("authorization", "Basic %%%")).await;
        other.refused(401, "unauthorized");
        api.post("flows", "application/x-yaml", "id: [").await.refused(401, "unauthorized");
        assert_eq!(api.get("/health").await.status, 200, "health is no secret");
    })
    .await;
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    serving(async |api| {
        let from = async |origin: &str| send(api.request(Method::GET, "flows/search").header("origin", origin)).await;
        from("https://evil.example").await.refused(403, "foreign_origin");
        from("null").await.refused(403, "foreign_origin");
        from(&format!("http://{}", api.address)).await.ok();
    })
    .await;
}

/// A page whose own name was pointed at loopback is of the same origin; its name gives it away.
#[tokio::test]
async fn open_server_knows_only_names_of_this_machine() {
    serving(async |api| {
        let named = async |host: &str| {
            let origin = format!("http://{host}");
            send(api.request(Method::GET, "flows/search").header("host", host).header("origin", origin)).await
        };
        named("evil.example").await.refused(403, "foreign_host");
        named("127.0.0.1.evil.example:8080").await.refused(403, "foreign_host");
        named("localhost:8080").await.ok();
        named("[::1]:8080").await.ok();
    })
    .await;
}
