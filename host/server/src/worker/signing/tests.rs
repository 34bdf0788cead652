//! Published vectors: AWS's for signature version 4, RFC 4231 for HMAC, RFC 7515 for RS256 and ES256.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use expr::{Origin, Secret};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use super::super::secrets::RunSecrets;
use super::*;

fn secret(value: &str) -> Secret {
    Secret::new(Origin::Named("KEY".into()), value)
}

fn signed(value: &str, algorithm: &str, parameters: &str, data: &str) -> Result<Vec<u8>, HostError> {
    sign(&RunSecrets::default(), &secret(value), algorithm, parameters, data.as_bytes())
}

fn bytes(base64: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(base64).expect("base64")
}

/// A value of DER with its tag and length.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.iter().copied().skip_while(|byte| *byte == 0).collect();
    if content.len() < 128 {
        out.push(content.len() as u8);
    } else {
        out.push(0x80 | significant.len() as u8);
        out.extend(significant);
    }
    out.extend_from_slice(content);
    out
}

/// A positive number of DER.
fn number(bytes: &[u8]) -> Vec<u8> {
    let sign = bytes.first().is_some_and(|byte| *byte >= 0x80);
    der(0x02, &[if sign { &[0][..] } else { &[] }, bytes].concat())
}

/// PKCS#8 around a key, as PEM.
fn pem(algorithm: &[u8], key: &[u8]) -> String {
    let whole = der(0x30, &[number(&[0]), algorithm.to_vec(), der(0x04, key)].concat());
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(whole))
}

/// RFC 7515, A.2.1.
fn rsa_key() -> String {
    const N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    const D: &str = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ";
    const P: &str = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc";
    const Q: &str = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc";
    const DP: &str = "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0";
    const DQ: &str = "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU";
    const QI: &str = "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U";
    let numbers = [N, "AQAB", D, P, Q, DP, DQ, QI].iter().map(|text| number(&bytes(text)));
    let key = der(0x30, &[number(&[0]), numbers.collect::<Vec<_>>().concat()].concat());
    // rsaEncryption, NULL
    pem(&[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00], &key)
}

const JWS_PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn hmac_of_rfc_4231() {
    let found = signed("Jefe", "hmac-sha256", "{}", "what do ya want for nothing?").expect("signed");
    assert_eq!(hex(&found), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

#[test]
fn aws_signature_version_4() {
    const KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const EXPECTED: &str = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
    let to_sign = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\nf536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
    let parameters = r#"{"date":"20150830","region":"us-east-1","service":"iam"}"#;
    assert_eq!(signed(KEY, "aws-sigv4", parameters, to_sign).expect("signed"), EXPECTED.as_bytes());
    let request = "GET\n/\nAction=ListUsers&Version=2010-05-08\ncontent-type:application/x-www-form-urlencoded; charset=utf-8\nhost:iam.amazonaws.com\nx-amz-date:20150830T123600Z\n\ncontent-type;host;x-amz-date\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let parameters = r#"{"time":"20150830T123600Z","region":"us-east-1","service":"iam"}"#;
    assert_eq!(signed(KEY, "aws-sigv4", parameters, request).expect("signed"), EXPECTED.as_bytes());
    // A session's token is signed as it is sent, though the guest has but its placeholder.
    let secrets = RunSecrets::default();
    let session = secrets.placeholder(&Secret::new(Origin::Named("SESSION".into()), "the-token"));
    let with = |token: &str| {
        let request = request.replace("\n\ncontent-type", &format!("\nx-amz-security-token:{token}\n\ncontent-type"));
        sign(&secrets, &secret(KEY), "aws-sigv4", parameters, request.as_bytes()).expect("signed")
    };
    assert_eq!(with(&session), with("the-token"));
}

#[test]
fn rs256_of_rfc_7515() {
    const SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let data = format!("eyJhbGciOiJSUzI1NiJ9.{JWS_PAYLOAD}");
    assert_eq!(signed(&rsa_key(), "rs256", "{}", &data).expect("signed"), bytes(SIGNATURE));
    // The same within a service account.
    let account = serde_json::json!({ "type": "service_account", "private_key": rsa_key() }).to_string();
    let found = signed(&account, "rs256", r#"{"pointer": "/private_key"}"#, &data).expect("signed");
    assert_eq!(found, bytes(SIGNATURE));
}

#[test]
fn es256_of_rfc_7515() {
    // A.3.1
    const SIGNATURE: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let point = [
        vec![4],
        bytes("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
        bytes("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
    ]
    .concat();
    let private = bytes("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    let key = der(
        0x30,
        &[number(&[1]), der(0x04, &private), der(0xa1, &der(0x03, &[vec![0], point.clone()].concat()))].concat(),
    );
    // id-ecPublicKey, prime256v1
    let algorithm = [
        0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
        0x03, 0x01, 0x07,
    ];
    let data = format!("eyJhbGciOiJFUzI1NiJ9.{JWS_PAYLOAD}");
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    // Signatures are random: the published one proves the key, and the key ours.
    public.verify(data.as_bytes(), &bytes(SIGNATURE)).expect("the published signature fits");
    let found = signed(&pem(&algorithm, &key), "es256", "{}", &data).expect("signed");
    public.verify(data.as_bytes(), &found).expect("ours fits");
}

#[test]
fn what_cannot_sign_says_so_and_shows_nothing() {
    let check = |value: &str, algorithm: &str, parameters: &str, expected: &str| {
        let refused = signed(value, algorithm, parameters, "data").expect_err("it cannot sign");
        assert!(refused.message.contains(expected) && !refused.message.contains(value), "{}", refused.message);
    };
    check("hunter2-alone", "md5", "{}", "no algorithm");
    check("hunter2-alone", "rs256", "{}", "`KEY` is not an RSA key");
    check("hunter2-alone", "es256", "{}", "`KEY` is not a P-256 key");
    check("hunter2-alone", "aws-sigv4", "{}", "needs `region`");
    check("hunter2-alone", "hmac-sha256", r#"{"pointer":"/a"}"#, "is no JSON object");
    check("hunter2-alone", "hmac-sha256", r#"{"colour":"red"}"#, "unknown field `colour`");
}

#[test]
fn fields_that_are_no_secrets_are_shown() {
    let account = serde_json::json!({
        "type": "service_account", "project_id": "p", "private_key_id": "k", "private_key": "-----BEGIN PRIVATE KEY-----", "client_email": "a@b",
        "token_uri": "https://oauth2.example.com/token", "client_secret": "x", "nested": { "refreshToken": "x", "port": 5 }, "cert": "-----BEGIN CERTIFICATE-----",
    });
    let account = secret(&account.to_string());
    let check = |pointer: &str, expected: Option<&str>| {
        let found = field(&account, pointer);
        assert_eq!(found.as_deref().ok(), expected, "{pointer}: {found:?}");
    };
    check("/client_email", Some("\"a@b\""));
    check("/private_key_id", Some("\"k\""));
    check("/token_uri", Some("\"https://oauth2.example.com/token\""));
    check("/nested/port", Some("5"));
    for refused in ["/private_key", "/client_secret", "/nested/refreshToken", "/nested", "", "/cert", "/absent"] {
        check(refused, None);
    }
}
