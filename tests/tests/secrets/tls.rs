//! A secret that is the certificate and key of a client: used by the host, never sent.

use std::io::{BufReader, Read as _, Write as _};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};
use serde_json::json;
use tests::served::Options;

use super::{named, run, succeeded, world};

/// PEM files: a CA, and the certificate and key of a server and of a client that it signed.
struct Pems {
    ca: String,
    server: String,
    client: String,
}

impl Pems {
    fn new() -> Self {
        let named = |name: &str, hosts: &[&str]| {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            let mut params = CertificateParams::new(hosts).expect("hosts");
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let mut ca = named("the CA of a test", &[]);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().expect("a key")).expect("a certificate");
        let signed = |mut params: CertificateParams, usage: ExtendedKeyUsagePurpose| {
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate().expect("a key");
            let certificate = params.signed_by(&key, &ca).expect("a certificate");
            certificate.pem() + &key.serialize_pem()
        };
        Self {
            server: signed(named("server", &["127.0.0.1"]), ExtendedKeyUsagePurpose::ServerAuth),
            client: signed(named("client", &[]), ExtendedKeyUsagePurpose::ClientAuth),
            ca: ca.pem(),
        }
    }
}

/// Answers one request of a client that has a certificate of the CA.
fn serve_one(pems: &Pems) -> (u16, std::thread::JoinHandle<String>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pems.ca.as_bytes()).expect("a certificate")).expect("a root");
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("a verifier");
    let chain = vec![CertificateDer::from_pem_slice(pems.server.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(pems.server.as_bytes()).expect("a key");
    let config = ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key);
    let config = Arc::new(config.expect("a configuration"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let port = listener.local_addr().expect("an address").port();
    let serving = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client");
        let mut connection = ServerConnection::new(config).expect("a connection");
        let mut stream = Stream::new(&mut connection, &mut socket);
        let mut request = Vec::new();
        let mut reader = BufReader::new(&mut stream);
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && reader.read(&mut byte).is_ok_and(|read| read > 0) {
            request.push(byte[0]);
        }
        drop(reader);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
            .expect("it is written");
        stream.conn.send_close_notify();
        let _ = stream.flush();
        String::from_utf8_lossy(&request).into_owned()
    });
    (port, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_a_secret_is_shown_to_the_server() {
    let pems = Pems::new();
    let (port, serving) = serve_one(&pems);
    let mut options = Options { secrets: named(&[("CLIENT", pems.client.as_str())]), ..Options::default() };
    options.outside.push(([127, 0, 0, 1], port).into());
    world(options, async |api, _, _| {
        let properties = json!({ "url": format!("https://127.0.0.1:{port}/with"),
            "options": { "ca-pem": pems.ca, "client-pem": "{{ secret('CLIENT') }}", "http-version": "1.1" } });
        let ended = run(api, "tls", "exchange", properties).await;
        assert_eq!(succeeded(&ended)["body"], "{}");
    })
    .await;
    let request = serving.join().expect("the server does not panic");
    assert!(request.starts_with("GET /with HTTP/1.1\r\n"), "{request}");
}
