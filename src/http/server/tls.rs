//! TLS for the connections of clients: 1.2 and 1.3 by rustls, with a certificate that can be replaced at run time.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use webpki::EndEntityCert;

use crate::config::{ClientAuth, PemFile, TlsFiles};
use crate::wire::api_key::CertificateName;

/// Most plaintext that a connection holds before it is encrypted and sent, bytes: as much as one record has.
const MAX_BUFFERED: usize = 16 * 1024;
/// Session tickets for each TLS 1.3 handshake: one is enough for a client that comes back with one connection.
const TICKETS: usize = 1;

/// The certificate of a listener, and what else a handshake needs; clones share it.
#[derive(Clone)]
pub struct ServerTls(Arc<ArcSwap<LoadedTls>>);

/// A certificate that was read from its files, and can be put in use.
pub struct LoadedTls {
    files: TlsFiles,
    config: Arc<ServerConfig>,
}

impl LoadedTls {
    /// Reads the files.
    ///
    /// # Errors
    /// A file that can't be read or has no such content; a key that is not the certificate's.
    pub fn read(files: &TlsFiles) -> Result<Self, ServerTlsError> {
        Ok(Self { files: files.clone(), config: Arc::new(read(files)?) })
    }

    /// Its files.
    #[must_use]
    pub const fn files(&self) -> &TlsFiles {
        &self.files
    }
}

/// Why a certificate can't be used. The text names the setting, the file and a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTlsError {
    /// The setting, such as `tls.cert`.
    pub setting: String,
    /// The problem and its remedy.
    pub problem: String,
}

impl fmt::Display for ServerTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

impl std::error::Error for ServerTlsError {}

impl ServerTlsError {
    fn new(file: &PemFile, problem: impl fmt::Display, remedy: &str) -> Self {
        Self { setting: file.setting.clone(), problem: format!("{}: {problem}; {remedy}", file.shown) }
    }
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// As [`LoadedTls::read`].
    pub fn new(files: &TlsFiles) -> Result<Self, ServerTlsError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(LoadedTls::read(files)?))))
    }

    /// The certificate in use.
    #[must_use]
    pub fn current(&self) -> Arc<LoadedTls> {
        self.0.load_full()
    }

    /// As [`ServerTls::replace`], unless another certificate than `expected` is in use meanwhile. Returns whether it was
    /// replaced.
    #[must_use]
    pub fn replace_if_current(&self, expected: &Arc<LoadedTls>, with: Arc<LoadedTls>) -> bool {
        Arc::ptr_eq(&*self.0.compare_and_swap(expected, with), expected)
    }

    /// Uses another certificate for the handshakes that follow. Connections go on with what they began with. Sessions of
    /// before can't be resumed: their clients were verified with the authorities of before.
    pub fn replace(&self, with: LoadedTls) {
        self.0.store(Arc::new(with));
    }

    /// Does the handshake of a connection.
    ///
    /// # Errors
    /// Those of the socket, and of a client that speaks no TLS, ends the handshake, or has no valid certificate where
    /// one is required.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> std::io::Result<TlsStream<S>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.0.load().config));
        acceptor.accept_with(stream, |session| session.set_buffer_limit(Some(MAX_BUFFERED))).await
    }

    /// The DNS names and URIs in the certificate of a client (RFC 5280, subjectAltName). A common name is none of them: RFC
    /// 9525 no longer allows it as a name.
    #[must_use]
    pub fn client_names(session: &ServerConnection) -> Vec<CertificateName> {
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let Some(certificate) = certificate.and_then(|certificate| EndEntityCert::try_from(certificate).ok()) else {
            return Vec::new();
        };
        let dns = certificate.valid_dns_names().map(CertificateName::dns);
        dns.chain(certificate.valid_uri_names().map(CertificateName::uri)).collect()
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, ServerTlsError> {
    let provider = Arc::new(ring::default_provider());
    let certificates = certificates(&files.cert)?;
    let problem = |problem: String| ServerTlsError { setting: files.key.setting.clone(), problem };
    let key = PrivateKeyDer::from_pem_slice(&files.key.read().map_err(problem)?).map_err(|error| {
        ServerTlsError::new(&files.key, error, "expected a PEM file with an unencrypted private key")
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| ServerTlsError::new(&files.cert, error, "TLS can't be set up"))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(authorities) => builder.with_client_cert_verifier(verifier(authorities, files.client_auth, provider)?),
    };
    let mut config = builder.with_single_cert(certificates, key).map_err(|error| {
        let remedy = format!("it must be the private key of the first certificate in {}", files.cert.shown);
        ServerTlsError::new(&files.key, error, &remedy)
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Tickets hold the session at the client: sessions of clients that never come back take no memory here.
    config.ticketer = ring::Ticketer::new()
        .map_err(|error| ServerTlsError::new(&files.cert, error, "the system provides no random bytes"))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = TICKETS;
    Ok(config)
}

fn verifier(
    authorities: &PemFile,
    auth: ClientAuth,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ServerTlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authorities)? {
        roots
            .add(certificate)
            .map_err(|error| ServerTlsError::new(authorities, error, "expected certificates of authorities"))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if auth == ClientAuth::Request { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|error| ServerTlsError::new(authorities, error, "expected certificates of authorities"))
}

fn certificates(file: &PemFile) -> Result<Vec<CertificateDer<'static>>, ServerTlsError> {
    let bytes = file.read().map_err(|problem| ServerTlsError { setting: file.setting.clone(), problem })?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let parsed = parsed.map_err(|error| ServerTlsError::new(file, error, "expected a PEM file with certificates"))?;
    if parsed.is_empty() {
        return Err(ServerTlsError::new(file, "no certificate", "expected a PEM file with certificates"));
    }
    Ok(parsed)
}
