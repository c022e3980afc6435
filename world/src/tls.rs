//! TLS in front of the servers of a test, with certificates from an authority that the test creates.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

/// A certificate authority that only this test uses.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Another authority signed it.
    UnknownAuthority,
    /// Another authority with the same name signed it.
    SameName,
    /// It was valid in 2020.
    Expired,
    /// It becomes valid in the year 4000.
    NotYetValid,
    /// It is for coiled.example.com.
    WrongName,
}

impl Authority {
    /// Creates an authority and writes its certificate to a file.
    pub fn create() -> Self {
        Self::named("authority of a test")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder: TempDir::new().unwrap() };
        let pem = BASE64_STANDARD.encode(authority.issuer.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n");
        std::fs::write(authority.file(), pem).unwrap();
        authority
    }

    /// The file for `SSL_CERT_FILE`.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A valid certificate for 127.0.0.1.
    pub fn certificate(&self) -> Arc<CertifiedKey> {
        self.sign(CertificateParams::new(["127.0.0.1".to_owned()]).unwrap())
    }

    /// A certificate for 127.0.0.1 with a flaw.
    pub fn flawed(&self, flaw: Flaw) -> Arc<CertifiedKey> {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        match flaw {
            Flaw::UnknownAuthority => return Authority::named("another authority").sign(params),
            Flaw::SameName => return Authority::create().sign(params),
            Flaw::Expired => {
                (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 12, 31))
            }
            Flaw::NotYetValid => params.not_before = date_time_ymd(4000, 1, 1),
            Flaw::WrongName => params = CertificateParams::new(["coiled.example.com".to_owned()]).unwrap(),
        }
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Arc<CertifiedKey> {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Arc::new(CertifiedKey::new(vec![certificate.der().clone()], any_supported_type(&key).unwrap()))
    }
}

/// A server that terminates TLS in front of another server.
pub struct Front {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Front {
    /// Opens a port in front of the server at this URL.
    pub async fn start(url: &str, certificate: Arc<CertifiedKey>) -> Self {
        Self::choosing(url, move || certificate.clone()).await
    }

    /// Like [`Front::start`], but chooses a certificate for each connection.
    pub async fn choosing(url: &str, choose: impl Fn() -> Arc<CertifiedKey> + Send + Sync + 'static) -> Self {
        let backend: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let config =
            ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_cert_resolver(Arc::new(Choice(choose)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, task: tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), backend)) }
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// `https://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, backend: SocketAddr) {
    // The set belongs to this task, so that aborting it also closes the connections.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            // An error means that the client does not trust the certificate.
            let Ok(mut client) = acceptor.accept(stream).await else { return };
            let Ok(mut server) = TcpStream::connect(backend).await else { return };
            drop(copy_bidirectional(&mut client, &mut server).await);
        });
    }
}

struct Choice<F>(F);

impl<F> std::fmt::Debug for Choice<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Choice")
    }
}

impl<F: Fn() -> Arc<CertifiedKey> + Send + Sync> ResolvesServerCert for Choice<F> {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some((self.0)())
    }
}
