//! HTTPS for the stand-in: a CA made for each server, and a listener whose handshakes do not wait for each other.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::serve::Listener;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How a server speaks TLS.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tls {
    /// Refuses whoever has no certificate of the CA.
    pub require_client: bool,
}

/// A CA, and what it signed: certificate and key, one behind the other.
pub(crate) struct Pems {
    pub ca: String,
    server: String,
    pub client: String,
}

impl Pems {
    pub fn new() -> Self {
        let named = |name: &str, hosts: &[&str]| {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            let mut params = CertificateParams::new(hosts).expect("the names are names");
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let mut ca = named("the CA of the stand-in", &[]);
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = || KeyPair::generate().expect("a key can be made");
        let ca = CertifiedIssuer::self_signed(ca, key()).expect("a CA signs itself");
        let signed = |mut params: CertificateParams, usage: ExtendedKeyUsagePurpose| {
            params.extended_key_usages = vec![usage];
            let key = key();
            let certificate = params.signed_by(&key, &ca).expect("a CA signs");
            certificate.pem() + &key.serialize_pem()
        };
        Self {
            server: signed(named("server", &["localhost"]), ExtendedKeyUsagePurpose::ServerAuth),
            client: signed(named("client", &[]), ExtendedKeyUsagePurpose::ClientAuth),
            ca: ca.pem(),
        }
    }

    fn config(&self, tls: Tls) -> ServerConfig {
        let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("it was just made");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().expect("ring speaks them");
        let builder = match tls.require_client {
            false => builder.with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate(&self.ca)).expect("it was just made");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("the CA is a root"))
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.server.as_bytes()).expect("it was just made");
        let mut config = builder.with_single_cert(vec![certificate(&self.server)], key).expect("they fit each other");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }
}

type Handshake = BoxFuture<'static, Option<(TlsStream<TcpStream>, SocketAddr)>>;

/// A listener that answers as `localhost`.
pub(crate) struct Encrypted {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    handshakes: FuturesUnordered<Handshake>,
}

impl Encrypted {
    pub fn new(listener: TcpListener, pems: &Pems, tls: Tls) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(pems.config(tls)));
        Self { listener, acceptor, handshakes: FuturesUnordered::new() }
    }
}

impl Listener for Encrypted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.next(), if !self.handshakes.is_empty() => {
                    if let Some(connection) = done {
                        return connection;
                    }
                }
                came = self.listener.accept() => {
                    let Ok((socket, address)) = came else { continue };
                    let _ = socket.set_nodelay(true);
                    let acceptor = self.acceptor.clone();
                    // Who is refused is gone.
                    self.handshakes.push(Box::pin(async move { Some((acceptor.accept(socket).await.ok()?, address)) }));
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
